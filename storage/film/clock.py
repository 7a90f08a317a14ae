"""The clock of a joined film: which packet of which segment is which frame, and when it is decoded and shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from storage.film.errors import FilmNotWritten
from storage.film.facts import open_film
from storage.film.records import Frames
from storage.paths import path_to_text

_FINEST = 10_000_000  # MP4 and MOV count ticks a second in 32 bits


@dataclass(frozen=True)
class DecodingOrder:
    """The packets of all segments in decoding order. ``segments`` are (path, number of its first frame);
    ``shown_as`` is int64 (N,), the frame that each packet is; ``delay`` how many packets a frame can come early."""

    segments: tuple[tuple[Path, int], ...]
    shown_as: npt.NDArray[np.int64]
    delay: int

    def shown(self, place: int) -> int:
        """The number of the frame that the packet at this place is."""
        return int(self.shown_as[place])

    def decoding_tick(self, place: int, frames: Frames) -> int:
        """When the packet at this place is decoded: rising, and never after any frame it is needed for is shown.

        These are the times of the frames themselves, moved by the encoder's delay.
        """
        if place >= self.delay:
            return int(frames.pts[place - self.delay])
        return int(frames.pts[0]) - (self.delay - place) * int(frames.durations[0])


def exact_rate(frames: Frames, rate: Fraction) -> Frames:
    """The frames at exactly ``rate`` frames a second, if that is what their times were rounded from.

    Matroska counts in milliseconds, so 24 frames a second come out of it 41 and 42 ms apart; MP4 and MOV can hold
    the rate itself. Unchanged if any frame would move by more than one tick.
    """
    begin = int(frames.pts[0]) * frames.time_base
    base = Fraction(1, math.lcm(rate.numerator, begin.denominator))
    step, start = int(1 / (rate * base)), int(begin / base)
    pts = start + step * np.arange(len(frames), dtype=np.int64)
    # Compared in integers: a tick is num/den of one unit of the new base.
    ratio = frames.time_base / base
    moved = np.abs(pts * ratio.denominator - frames.pts * ratio.numerator)
    if base.denominator > _FINEST or moved.max() > ratio.numerator or (base >= frames.time_base and not moved.any()):
        return frames
    return Frames(base, pts, np.full(len(frames), step, np.int64), frames.digests)


def decoding_order(segments: Sequence[Path], count: int) -> DecodingOrder:
    """The order in which the segments' packets are decoded; each segment begins with a frame that needs no other.

    Raises ``FilmNotWritten`` ("wrong_frames") if the segments do not hold ``count`` frames in all.
    """
    shown_as: list[npt.NDArray[np.int64]] = []
    bases: list[tuple[Path, int]] = []
    base = 0
    for segment in segments:
        with open_film(segment) as container:
            times = [
                packet.pts
                for packet in container.demux(container.streams.video[0])
                if packet.size and packet.pts is not None
            ]
        ranks = np.empty(len(times), np.int64)
        ranks[np.argsort(times, kind="stable")] = np.arange(len(times))
        shown_as.append(ranks + base)
        bases.append((segment, base))
        base += len(times)
    if base != count:
        raise FilmNotWritten(
            f"the segments beside {path_to_text(segments[0])} hold {base} frames instead of {count}; "
            "remove them and start again",
            "wrong_frames",
        )
    order = np.concatenate(shown_as)
    delay = int(max(0, (np.arange(count) - order).max()))
    return DecodingOrder(tuple(bases), order, delay)
