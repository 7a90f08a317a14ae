"""The time and digest of every frame of a film, as ffmpeg lists them."""

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

_PRINTED = re.compile(r"frame:\d+\s+pts:(-?\d+)")
# So many frames must have the times of a constant rate, and one of the last, before the others are given theirs.
_NEARLY_ALL = 0.75
_LAST = 25
DIGESTS = ("-f", "framehash", "-hash", "md5")
"""Arguments of the output that ``FrameTable`` reads."""
_DIGEST_BYTES = hashlib.md5(usedforsecurity=False).digest_size


def regular_frames(path: Path, facts: FilmFacts) -> Frames:
    """The frames of a film whose clock jumps, numbered first, with the times of its rate where these fit.

    Raises ``UnreadableFilm`` ("timestamps") if they do not.
    """
    clock = ["metadata=mode=add:key=clock:value=0", "metadata=mode=print:key=clock:file=-", "setpts=N"]
    times = array("q")
    with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as folder:
        listing = Path(folder, "frames")
        with decoding(path, facts, [*output_arguments(facts, clock), *DIGESTS, address(listing)]) as decoder:
            for line in decoder.lines():
                if found := _PRINTED.match(line):
                    times.append(int(found[1]))
            decoder.decoded = len(times)
            check_all_there(facts, decoder)
        table = FrameTable(path, plane_bytes(facts))
        table.take(listing)
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


def check_all_there(facts: FilmFacts, decoder: Decoder) -> None:
    """A decoding that has come to its end must have ended well, and a sequence have given all its frames."""
    decoder.check_end()
    if facts.sequence is not None and decoder.decoded != facts.sequence.count:
        raise decoder.broken_off()


class FrameTable:
    """What ffmpeg's framehash lists: every frame with its time, duration, size and MD5."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._pts = array("q")
        self._durations = array("q")
        self._digests = bytearray()
        self._time_base: Fraction | None = None

    def __len__(self) -> int:
        return len(self._pts)

    def take(self, listing: Path) -> None:
        """Take in a list of frames; raises ``UnreadableFilm`` at one that cannot stand in a film."""
        with listing.open() as lines:
            for line in lines:
                self._take(line)

    def _take(self, line: str) -> None:
        if line.startswith("#tb 0:"):
            self._time_base = Fraction(line.split(":")[1].strip())
        if line.startswith("#") or not line.strip():
            return
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

    def frames(self, facts: FilmFacts) -> Frames:
        """What was taken in; there must be a frame."""
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
