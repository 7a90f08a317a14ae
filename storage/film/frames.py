"""All frames of a film: one decoding from the first to the last, which finds every damage before work begins."""

import hashlib
import re
import tempfile
from array import array
from fractions import Fraction
from pathlib import Path

import numpy as np

from storage.film.decoder import Decoder, decoding
from storage.film.decoding import output_arguments, plane_bytes
from storage.film.errors import UnreadableFilm
from storage.film.program import address
from storage.film.records import FilmFacts, Frames
from storage.paths import path_to_text

_CLOCK_JUMPS = "Non-monotonic DTS"
_PRINTED = re.compile(r"frame:\d+\s+pts:(-?\d+)")
# So many frames must have the times of a constant rate, and one of the last, before the others are given theirs.
_NEARLY_ALL = 0.75
_LAST = 25
_DIGESTS = ("-f", "framehash", "-hash", "md5")
_DIGEST_BYTES = hashlib.md5(usedforsecurity=False).digest_size


def frame_times(path: Path, facts: FilmFacts) -> Frames:
    """The time, duration and luma MD5 of every frame that is shown, in order.

    The whole film is decoded once: containers list packets, and of these some hold half a frame, none, or one that
    is never shown. What is listed here is therefore exactly what ``read_luma`` gives. MPEG streams do not give a
    time to every frame, and what ffmpeg puts in may jump back; such a film gets the times of its constant rate, if
    nearly all of its frames have them. Raises ``UnreadableFilm``: ``"decoder_error"`` (with ``frames_decoded``),
    ``"empty"``, ``"timestamps"``, ``"unsupported"`` (the picture's size changes), ``"timeout"``.
    """
    table = _Table(path, plane_bytes(facts))
    with decoding(path, facts, [*output_arguments(facts), *_DIGESTS, "pipe:1"]) as decoder:
        for line in decoder.lines():
            if decoder.has_complained():
                break
            decoder.decoded = table.take(line)
        if decoder.says(_CLOCK_JUMPS):
            return _regular_frames(path, facts)
        _check_end(facts, decoder)
    return table.frames(facts)


def _regular_frames(path: Path, facts: FilmFacts) -> Frames:
    """The frames of a film whose clock jumps, numbered first, with the times of its rate where these fit."""
    clock = ["metadata=mode=add:key=clock:value=0", "metadata=mode=print:key=clock:file=-", "setpts=N"]
    times = array("q")
    with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as folder:
        listing = Path(folder, "frames")
        with decoding(path, facts, [*output_arguments(facts, clock), *_DIGESTS, address(listing)]) as decoder:
            for line in decoder.lines():
                if found := _PRINTED.match(line):
                    times.append(int(found[1]))
            decoder.decoded = len(times)
            _check_end(facts, decoder)
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


def _check_end(facts: FilmFacts, decoder: Decoder) -> None:
    decoder.check_end()
    if facts.sequence is not None and decoder.decoded != facts.sequence.count:
        raise decoder.broken_off()


class _Table:
    """The lines of ffmpeg's framehash, taken in one after the other."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._pts = array("q")
        self._durations = array("q")
        self._digests = bytearray()
        self._time_base: Fraction | None = None

    def take(self, line: str) -> int:
        """Take in a line; returns how many frames there are now."""
        if line.startswith("#tb 0:"):
            self._time_base = Fraction(line.split(":")[1].strip())
        if line.startswith("#") or not line.strip():
            return len(self._pts)
        _, _, pts, duration, size, digest = (field.strip() for field in line.split(","))
        name, number = path_to_text(self._path), len(self._pts)
        if int(size) != self._size:
            raise UnreadableFilm(
                f"{name} changes the size of its picture at frame {number}; cut it into one film for each size",
                "unsupported",
                number,
            )
        if pts == "NOPTS" or (self._pts and int(pts) <= self._pts[-1]):
            raise _clock_error(self._path, number)
        self._pts.append(int(pts))
        self._durations.append(int(duration))
        self._digests += bytes.fromhex(digest)
        return len(self._pts)

    def frames(self, facts: FilmFacts) -> Frames:
        pts = np.frombuffer(self._pts, np.int64)
        durations = np.frombuffer(self._durations, np.int64).copy()
        time_base = self._time_base or facts.time_base
        # A frame without a duration lasts until the next one; the last one as long as the rate says.
        if not durations[-1]:
            durations[-1] = max(1, round(1 / (facts.frame_rate * time_base)))
        unknown = np.flatnonzero(durations[:-1] <= 0)
        durations[unknown] = pts[unknown + 1] - pts[unknown]
        digests = np.frombuffer(bytes(self._digests), np.uint8).reshape(-1, _DIGEST_BYTES)
        return Frames(time_base, pts, durations, digests)
