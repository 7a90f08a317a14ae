"""Interlaced film: found by its tag or by its pictures, and refused with a clear message, never blended."""

import re
from dataclasses import replace
from pathlib import Path

from storage.film.damage import decoder_error, timed_out
from storage.film.decoding import input_arguments
from storage.film.errors import UnreadableFilm
from storage.film.program import run_ffmpeg
from storage.film.records import FieldOrder, FilmFacts
from storage.paths import path_to_text

LOOKED_AT_FRAMES = 300
_SECONDS = 600.0
_FEWEST = 8
_SURER = 4
_COUNTS = re.compile(r"Single frame detection: TFF:\s*(\d+) BFF:\s*(\d+) Progressive:\s*(\d+)")


def detect_fields(path: Path, facts: FilmFacts) -> FilmFacts:
    """The facts with the field order that the pictures show in their luma.

    A tag that says interlaced is believed. Otherwise ffmpeg's ``idet`` looks at the first 300 frames: a film is
    interlaced if at least eight of them, more than look progressive, show two moments, and always the same field
    first (coarsely compressed film gives a few of both). A still picture shows nothing; then the tag stays. Raises
    ``UnreadableFilm`` if these frames cannot be decoded.
    """
    if facts.field_order in ("top field first", "bottom field first"):
        return facts
    arguments = ["-loglevel", "info", *input_arguments(path, facts.sequence, facts.frame_rate)]
    arguments += ["-map", f"0:{facts.video_index}", "-frames:v", str(LOOKED_AT_FRAMES), "-vf", "format=gray,idet"]
    arguments += ["-fps_mode", "passthrough", "-f", "null", "-"]
    try:
        finished = run_ffmpeg(arguments, seconds=_SECONDS)
    except TimeoutError:
        raise timed_out(path, 0) from None
    counts = _COUNTS.findall("\n".join(finished.errors))
    if finished.status or not counts:
        raise decoder_error(path, facts, finished.errors, 0)
    top, bottom, progressive = (int(count) for count in counts[-1])
    order: FieldOrder = facts.field_order
    if max(top, bottom) >= _FEWEST and max(top, bottom) > max(progressive, _SURER * min(top, bottom)):
        order = "top field first" if top > bottom else "bottom field first"
    elif progressive:
        order = "progressive"
    return replace(facts, field_order=order)


def refuse_interlaced(facts: FilmFacts) -> None:
    """Raise ``UnreadableFilm`` ("interlaced") for a film whose frames each show two moments."""
    if facts.field_order in ("top field first", "bottom field first"):
        raise UnreadableFilm(
            f"{path_to_text(facts.path)} is interlaced ({facts.field_order}): its frames show two moments each, which "
            "are not colorized together; deinterlace a copy (for instance with ffmpeg's bwdif) and give that",
            "interlaced",
        )
