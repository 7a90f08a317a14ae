"""Chroma at the size in which it is stored: each sample where the format's siting puts it."""

import math

import numpy as np
import numpy.typing as npt

from storage.film.pixels import FACTORS
from storage.film.records import Plane, Subsampling


def subsampling_factors(subsampling: Subsampling) -> tuple[int, int]:
    """How many columns and rows of luma share a sample of chroma."""
    return FACTORS[subsampling]


def chroma_size(width: int, height: int, subsampling: Subsampling) -> tuple[int, int]:
    """Height and width of a chroma plane, rounded up where the picture's size is odd."""
    across, down = FACTORS[subsampling]
    return -(-height // down), -(-width // across)


def subsample(plane: Plane, subsampling: Subsampling, siting: str = "left") -> Plane:
    """A full-size chroma plane (H, W) at the size of ``subsampling``, rounded to the nearest; the type stays.

    ``siting`` is that of 4:2:0: "left" (MPEG-2, H.264: on the even columns, between two rows), "center" (JPEG,
    MPEG-1) or "topleft". 4:2:2 and 4:1:1 lie on the columns whatever it says. A sample on a column is the average
    of its neighbourhood by a triangle, one between columns or rows the mean of those around it; beyond the edges
    the outermost samples are repeated.
    """
    across, down = FACTORS[subsampling]
    on_column = subsampling in ("422", "411") or siting != "center"
    on_row = siting == "topleft"
    if across == down == 1:
        return plane
    smaller = _reduce(_reduce(plane.astype(np.float32), across, on_column).T, down, on_row).T
    rounded = np.ascontiguousarray(np.floor(smaller + 0.5))
    return rounded.astype(np.uint8) if plane.dtype == np.uint8 else rounded.astype(np.uint16)


def _reduce(plane: npt.NDArray[np.float32], factor: int, on_sample: bool) -> npt.NDArray[np.float32]:
    """Reduce the columns of (H, W) to (H, ceil(W / factor))."""
    if factor == 1:
        return plane
    count = math.ceil(plane.shape[1] / factor)
    if on_sample:
        weights = [factor - abs(offset) for offset in range(1 - factor, factor)]
        before = factor - 1
    else:
        weights, before = [1] * factor, 0
    after = max(0, (count - 1) * factor + len(weights) - before - plane.shape[1])
    padded = np.pad(plane, ((0, 0), (before, after)), "edge")
    total = np.zeros((plane.shape[0], count), np.float32)
    for start, weight in enumerate(weights):
        total += padded[:, start : start + (count - 1) * factor + 1 : factor] * np.float32(weight / sum(weights))
    return total
