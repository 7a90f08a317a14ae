"""Shots: where a film cuts, by ffmpeg's scene detection, without being led astray by flashes and fades."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Thumbnails = npt.NDArray[np.uint8]

# The share of full scale by which two frames differ, in percent, as ffmpeg's scdet counts it.
CUT_THRESHOLD = 8.0
LONGEST_FLASH = 3
# Shots of so many frames have three typical ones; of a long part every so many'th frame is looked at.
_LONG_SHOT = 48
_LOOKED_THROUGH = 500
# A cut is one step: the steps before and after it are smaller than this part of it; what comes back within a few
# frames to less than this part of the step was a flash.
_LONE_STEP = 0.6
_RETURN = 0.5


@dataclass(frozen=True)
class Shot:
    """A shot, its first and last frame (both included), and the score of the cut before it (0 for the first).

    ``typical`` are up to three of its frames that are most like the others around them, in order.
    """

    first: int
    last: int
    score: float
    typical: tuple[int, ...]

    def __len__(self) -> int:
        return self.last - self.first + 1


def find_shots(scores: Scores, pictures: Thumbnails, threshold: float = CUT_THRESHOLD) -> list[Shot]:
    """The shots of a film, in order; together they hold every frame once.

    The cuts are those frames whose score is over ``threshold`` (0 to 100), that are one step (a fade is many), and that
    are no flash: after which the picture of before does not come back within three frames.

    ``scores`` are those of ffmpeg's ``scdet`` for each frame, (N,); ``pictures`` its luma made small, (N, P).
    """
    starts = [0, *_cuts(scores, pictures, threshold)]
    return [
        Shot(first, after - 1, float(scores[first]) if first else 0.0, _typical(first, after, pictures))
        for first, after in pairwise([*starts, len(scores)])
    ]


def _typical(first: int, after: int, pictures: Thumbnails) -> tuple[int, ...]:
    """Of each third of the frames ``first`` to ``after`` - 1 the one nearest to their mean; of a short shot one."""
    parts = 3 if after - first >= _LONG_SHOT else 1
    borders = np.linspace(first, after, parts + 1).astype(int).tolist()
    found = []
    for start, end in pairwise(borders):
        looked_at = np.arange(start, end, max(1, (end - start) // _LOOKED_THROUGH))
        thumbnails = pictures[looked_at].astype(np.float32)
        distances = np.abs(thumbnails - thumbnails.mean(axis=0)).mean(axis=1)
        found.append(int(looked_at[int(distances.argmin())]))
    return tuple(found)


def _cuts(scores: Scores, pictures: Thumbnails, threshold: float) -> list[int]:
    """The frames that begin a shot."""
    cuts: list[int] = []
    for frame in (int(number) for number in np.flatnonzero(scores > threshold)):
        # What is no longer than a flash is no shot: a flash at a cut belongs to the shot that it opens.
        if frame == 0 or (cuts and frame - cuts[-1] <= LONGEST_FLASH):
            continue
        if _is_one_step(frame, pictures) and not _is_flash(frame, pictures):
            cuts.append(frame)
    return cuts


def _is_one_step(frame: int, pictures: Thumbnails) -> bool:
    step = _difference(pictures, frame - 1, frame)
    before = _difference(pictures, frame - 2, frame - 1) if frame >= 2 else 0.0
    after = _difference(pictures, frame, frame + 1) if frame + 1 < len(pictures) else 0.0
    return max(before, after) < _LONE_STEP * step


def _is_flash(frame: int, pictures: Thumbnails) -> bool:
    """Whether the picture of before comes back soon after ``frame``, or ``frame`` is that coming back."""
    step = _difference(pictures, frame - 1, frame)
    later = range(frame + 1, min(frame + LONGEST_FLASH + 1, len(pictures)))
    earlier = range(max(0, frame - 1 - LONGEST_FLASH), frame - 1)
    return any(_difference(pictures, frame - 1, other) < _RETURN * step for other in later) or any(
        _difference(pictures, frame, other) < _RETURN * step for other in earlier
    )


def _difference(pictures: Thumbnails, one: int, other: int) -> float:
    return float(np.abs(pictures[one].astype(np.int16) - pictures[other]).mean())
