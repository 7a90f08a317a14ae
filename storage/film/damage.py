"""What ffmpeg says of a film that it cannot decode in whole, and the errors made of it."""

import re
from collections.abc import Sequence
from pathlib import Path

from storage.film.errors import UnreadableFilm
from storage.film.program import STALL_SECONDS
from storage.film.records import FilmFacts
from storage.paths import path_to_text


def complaints(facts: FilmFacts, errors: Sequence[str]) -> list[str]:
    """Those of ffmpeg's errors that concern the picture: of its decoder, its stream and the container.

    Some damage is only said, and the decoder goes on with made-up samples (a wrong slice CRC of FFV1, a hole in a
    Matroska file); a film is whole only if there is no such line. What the sound's decoder says does not count.
    """
    own = (f"[{facts.codec} ", "[in#", "[vist#", "[vf#", "[fc#", "[image2 ")
    return [line for line in errors if line.startswith(own)]


def decoder_error(
    path: Path, facts: FilmFacts, errors: Sequence[str], decoded: int, expected: int | None = None
) -> UnreadableFilm:
    """The error for a film that could be decoded in part only.

    ``errors`` are ffmpeg's own words; ``expected`` is how many frames there should be, if other than declared.
    """
    expected = facts.declared_frames if expected is None else expected
    of = f" of {expected}" if expected else ""
    # several threads write these lines, in any order: what the codec itself says tells most, and a warning less
    lines = complaints(facts, errors) or list(errors)
    telling = sorted(lines, key=lambda line: (not line.startswith(f"[{facts.codec} "), "Warning" in line))[:1]
    said = f" (the decoder says: {in_short(telling)})" if telling else ""
    return UnreadableFilm(
        f"{path_to_text(path)} breaks off or is damaged: {decoded}{of} frames could be decoded{said}; "
        "copy it again from its source or repair it",
        "decoder_error",
        decoded,
    )


def timed_out(path: Path, decoded: int) -> UnreadableFilm:
    """The error for a film from which nothing came for too long."""
    return UnreadableFilm(
        f"{path_to_text(path)} gave nothing for {STALL_SECONDS:.0f} seconds after frame {decoded}; "
        "check the disk or the network share",
        "timeout",
        decoded,
    )


def in_short(errors: Sequence[str]) -> str:
    """The most telling of ffmpeg's lines, without the names of its objects before it."""
    lines = [re.sub(r"^(\[[^]]*\] *)+", "", line).strip() for line in errors]
    telling = [line for line in lines if not line.startswith(("Input #", "Output #", "Stream mapping", "Press"))]
    return (telling[-1] if telling else "no message")[:160]
