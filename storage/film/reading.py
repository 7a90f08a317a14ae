"""Reading luma: every frame's own luma samples, bit for bit as the decoder gives them."""

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from storage.film.decoder import Decoder, decoding
from storage.film.decoding import output_arguments, plane_bytes
from storage.film.errors import UnreadableFilm
from storage.film.records import FilmFacts, Frames, Plane
from storage.paths import path_to_text

# How far before the wanted frame a seek aims, in seconds, one attempt after the other; then from the start. Transport
# streams have no index: there the decoder begins at the next key frame after the place.
_SEEK_MARGINS = (Fraction(1), Fraction(5), Fraction(20))
# ITU-R BT.709: Y' of R'G'B', in units of 1/10000.
_RED, _GREEN, _BLUE = 2126, 7152, 722


def read_luma(
    path: Path, facts: FilmFacts, first: int = 0, last: int | None = None, frames: Frames | None = None
) -> Iterator[Plane]:
    """The luma planes of the frames ``first`` to ``last`` (both included; None: to the end), one at a time.

    Each is an array (H, W) of its own, uint8, or uint16 where ``facts.bit_depth`` is over 8, with the film's own
    samples in their own range. For RGB films it is Y' of BT.709 computed from R'G'B' in full range at the film's
    depth, rounded to the nearest; for equal R', G' and B' (a scan of a grey film) that is the sample itself.

    With ``frames`` (of ``survey``) the decoder starts near ``first``, and each frame is held against the MD5
    it had when the film was decoded from its start, so a seek can never give another frame; without them it
    starts at the beginning. The memory does not grow with the film. Raises ``UnreadableFilm``: ``"decoder_error"``
    with ``frames_decoded``, ``"changed"`` if the frames are not those of ``frames``, ``"timeout"``.
    """
    end = _last(facts, frames)
    if first < 0 or (last is not None and last < first) or (end is not None and max(first, last or 0) > end):
        raise ValueError(f"frames {first} to {last} of a film whose last frame is {end}")
    last = end if last is None else last
    wanted = first
    if frames is not None:
        for seconds in _starts(facts, frames, first):
            try:
                for data in _decode_from(path, facts, wanted, last, frames, seconds):
                    yield _luma(data, facts)
                    wanted += 1
                return
            except (_WrongFrameError, UnreadableFilm):
                continue  # the seek went wrong; the decoding from the start tells whether the film is damaged
    try:
        for data in _decode_from(path, facts, wanted, last, frames, None):
            yield _luma(data, facts)
            wanted += 1
    except _WrongFrameError:
        raise UnreadableFilm(
            f"{path_to_text(path)} is not as it was when its frames were listed (frame {wanted}); "
            "was it changed meanwhile? start again",
            "changed",
            wanted,
        ) from None


class _WrongFrameError(Exception):
    """The frame that came is not the one that was wanted."""


def _starts(facts: FilmFacts, frames: Frames, first: int) -> list[Fraction]:
    """The times from which the decoder is started, in seconds, best first; none if that would be the start."""
    begin = int(frames.pts[0]) * frames.time_base
    time = int(frames.pts[first]) * frames.time_base
    if facts.sequence is not None:
        return [time] if first else []
    return [time - margin for margin in _SEEK_MARGINS if time - margin > begin]


def _decode_from(
    path: Path, facts: FilmFacts, first: int, last: int | None, frames: Frames | None, seek: Fraction | None
) -> Iterator[bytearray]:
    """The samples of the frames ``first`` to ``last`` as ffmpeg gives them; ``seek`` None: from the start."""
    if frames is not None and seek is not None:
        filters = [f"trim=start_pts={int(frames.pts[first])}"]
    else:
        filters = [f"trim=start_frame={first}"] if first else []
    output = [*output_arguments(facts, filters), "-f", "rawvideo", "pipe:1"]
    with decoding(path, facts, output, seek_seconds=seek, first=first) as decoder:
        while last is None or decoder.decoded <= last:
            data = bytearray(plane_bytes(facts))
            filled = decoder.fill(memoryview(data))
            if filled == 0 and last is None:
                break
            if filled < len(data):
                raise decoder.broken_off(None if last is None else last + 1)
            if frames is not None:
                if hashlib.md5(data, usedforsecurity=False).digest() != frames.digests[decoder.decoded].tobytes():
                    raise _WrongFrameError
            elif decoder.has_complained():
                raise decoder.broken_off(None if last is None else last + 1)
            yield data
            decoder.decoded += 1
        if last is None or last == _last(facts, frames):
            _check_end(decoder, sought=seek is not None)


def _last(facts: FilmFacts, frames: Frames | None) -> int | None:
    """The number of the film's last frame, None if it is not known."""
    if frames is not None:
        return len(frames) - 1
    return facts.sequence.count - 1 if facts.sequence is not None else None


def _check_end(decoder: Decoder, *, sought: bool) -> None:
    """After the film's last frame there must be nothing more, and no error."""
    if decoder.fill(memoryview(bytearray(1))):
        raise _WrongFrameError
    decoder.check_end(sought=sought)


def _luma(data: bytearray, facts: FilmFacts) -> Plane:
    """The samples of one frame as an array (H, W); of the planes G, B, R of an RGB film their BT.709 luma."""
    samples: Plane = np.frombuffer(data, np.uint8) if facts.bit_depth == 8 else np.frombuffer(data, "<u2")
    if facts.subsampling != "rgb":
        return samples.reshape(facts.height, facts.width)
    green, blue, red = samples.reshape(3, facts.height, facts.width).astype(np.uint32)
    luma = (red * _RED + green * _GREEN + blue * _BLUE + 5000) // 10000
    return luma.astype(np.uint8) if facts.bit_depth == 8 else luma.astype(np.uint16)
