"""All frames of a film: one decoding from the first to the last, which finds every damage before work begins."""

import hashlib
import re
import tempfile
from array import array
from fractions import Fraction
from pathlib import Path

import numpy as np

from storage.film.decoding import (
    complaints,
    decoder_error,
    input_arguments,
    output_arguments,
    plane_bytes,
    timed_out,
)
from storage.film.errors import UnreadableFilm
from storage.film.program import STALL_SECONDS, Process, address, ffmpeg, read_lines
from storage.film.records import FilmFacts, Frames
from storage.paths import path_to_text

_CLOCK_JUMPS = "Non-monotonic DTS"
_PRINTED = re.compile(r"frame:\d+\s+pts:(-?\d+)")
# So many frames must have the times of a constant rate, and one of the last, before the others are given theirs.
_NEARLY_ALL = 0.75
_LAST = 25
_DIGEST_BYTES = hashlib.md5(usedforsecurity=False).digest_size


def frame_times(path: Path, facts: FilmFacts) -> Frames:
    """The time, duration and luma MD5 of every frame that is shown, in order.

    The whole film is decoded once: containers list packets, and of these some hold half a frame, none, or one that
    is never shown. What is listed here is therefore exactly what ``read_luma`` gives. MPEG streams do not give a
    time to every frame, and what ffmpeg puts in may jump back; such a film gets the times of its constant rate, if
    nearly all of its frames have them. Raises ``UnreadableFilm``: ``"decoder_error"`` (with ``frames_decoded``),
    ``"empty"``, ``"timestamps"``, ``"unsupported"`` (the picture's size changes), ``"timeout"``.
    """
    arguments = input_arguments(path, facts.sequence, facts.frame_rate)
    arguments += [*output_arguments(facts), "-f", "framehash", "-hash", "md5", "pipe:1"]
    table = _Table(path, plane_bytes(facts))
    try:
        with ffmpeg(arguments) as process:
            for line in read_lines(process.output, STALL_SECONDS):
                if process.has_spoken() and complaints(facts, process.errors()):
                    break
                table.take(line)
            if any(_CLOCK_JUMPS in line for line in process.errors()):
                return _regular_frames(path, facts)
            _check_end(path, facts, process, len(table.pts))
    except TimeoutError:
        raise timed_out(path, len(table.pts)) from None
    return table.frames(facts)


def _regular_frames(path: Path, facts: FilmFacts) -> Frames:
    """The frames of a film whose clock jumps, numbered first, with the times of its rate where these fit."""
    clock = ["metadata=mode=add:key=clock:value=0", "metadata=mode=print:key=clock:file=-", "setpts=N"]
    arguments = input_arguments(path, facts.sequence, facts.frame_rate)
    times = array("q")
    with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as folder:
        listing = Path(folder, "frames")
        arguments += [*output_arguments(facts, clock), "-f", "framehash", "-hash", "md5", address(listing)]
        with ffmpeg(arguments) as process:
            for line in read_lines(process.output, STALL_SECONDS):
                if found := _PRINTED.match(line):
                    times.append(int(found[1]))
            _check_end(path, facts, process, len(times))
        table = _Table(path, plane_bytes(facts))
        with listing.open() as lines:
            for line in lines:
                table.take(line)
    numbered = table.frames(facts)
    step = 1 / (facts.frame_rate * facts.time_base)
    regular = times[0] + np.rint(np.arange(len(times)) * float(step)).astype(np.int64)
    fitting = np.abs(regular - np.frombuffer(times, np.int64)) <= 1
    if len(times) != len(numbered) or fitting.mean() < _NEARLY_ALL or not fitting[-_LAST:].any():
        raise _clock_error(path, int(np.argmin(fitting)))
    durations = np.diff(regular, append=regular[-1] + round(step))
    return Frames(facts.time_base, regular, durations, numbered.digests)


def _clock_error(path: Path, number: int) -> UnreadableFilm:
    return UnreadableFilm(
        f"{path_to_text(path)} has a clock that stands still or jumps at frame {number}; "
        "give it new timestamps by copying its streams into Matroska",
        "timestamps",
        number,
    )


def _check_end(path: Path, facts: FilmFacts, process: Process, decoded: int) -> None:
    found = complaints(facts, process.errors())
    if found or process.wait():
        raise decoder_error(path, found or process.errors(), decoded, facts.declared_frames)
    if not decoded:
        raise UnreadableFilm(f"{path_to_text(path)} holds no frame; copy it again from its source", "empty", 0)
    if facts.sequence is not None and decoded != facts.sequence.count:
        raise decoder_error(path, (), decoded, facts.sequence.count)


class _Table:
    """The lines of ffmpeg's framehash, taken in one after the other."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self.pts = array("q")
        self._durations = array("q")
        self._digests = bytearray()
        self._time_base: Fraction | None = None

    def take(self, line: str) -> None:
        if line.startswith("#tb 0:"):
            self._time_base = Fraction(line.split(":")[1].strip())
        if line.startswith("#") or not line.strip():
            return
        _, _, pts, duration, size, digest = (field.strip() for field in line.split(","))
        name, number = path_to_text(self._path), len(self.pts)
        if int(size) != self._size:
            raise UnreadableFilm(
                f"{name} changes the size of its picture at frame {number}; cut it into one film for each size",
                "unsupported",
                number,
            )
        if pts == "NOPTS" or (self.pts and int(pts) <= self.pts[-1]):
            raise _clock_error(self._path, number)
        self.pts.append(int(pts))
        self._durations.append(int(duration))
        self._digests += bytes.fromhex(digest)

    def frames(self, facts: FilmFacts) -> Frames:
        pts = np.frombuffer(self.pts, np.int64)
        durations = np.frombuffer(self._durations, np.int64).copy()
        time_base = self._time_base or facts.time_base
        # A frame without a duration lasts until the next one; the last one as long as the rate says.
        if not durations[-1]:
            durations[-1] = max(1, round(1 / (facts.frame_rate * time_base)))
        unknown = np.flatnonzero(durations[:-1] <= 0)
        durations[unknown] = pts[unknown + 1] - pts[unknown]
        digests = np.frombuffer(bytes(self._digests), np.uint8).reshape(-1, _DIGEST_BYTES)
        return Frames(time_base, pts, durations, digests)
