"""Large pictures made small by averaging blocks of pixels in linear light."""

import numpy as np
import numpy.typing as npt

from storage.images.encoding import Encoding, as_srgb, light, srgb_of_light
from storage.images.rows import BAND_PIXELS, Pixels, Rows, whole

_PREVIEW_SIDE = 4096


def reducing_factor(shape: tuple[int, ...], side: int = _PREVIEW_SIDE) -> int:
    """The side of the blocks that leave the long side at least ``side`` pixels long; 1 below twice that."""
    return max(1, max(shape[:2]) // side)


def reduced(rows: Rows, encoding: Encoding, factor: int, dtype: npt.DTypeLike) -> Pixels:
    """The picture in sRGB of ``dtype``, each ``factor`` x ``factor`` block of pixels averaged to one.

    Blocks at the right and lower edge average what there is of them. Read in bands; with a factor of 1 the whole
    picture is in memory afterwards.
    """
    if factor == 1:
        return as_srgb(whole(rows), encoding, dtype)
    height, width = rows.shape[:2]
    result = np.empty((-(-height // factor), -(-width // factor), *rows.shape[2:]), dtype)
    step = factor * max(1, BAND_PIXELS // (width * factor))
    for top in range(0, height, step):
        linear = light(rows[top : min(top + step, height)], encoding)
        means = _block_means(_block_means(linear, factor, 0), factor, 1)
        result[top // factor :][: means.shape[0]] = srgb_of_light(means, encoding, dtype)
    return result


def _block_means(values: npt.NDArray[np.float32], factor: int, axis: int) -> npt.NDArray[np.float32]:
    """Means of ``factor`` neighbours along an axis."""
    length = values.shape[axis]
    starts = np.arange(0, length, factor)
    counts = np.minimum(starts + factor, length) - starts
    shape = [1] * values.ndim
    shape[axis] = -1
    weights = (1 / counts).astype(np.float32).reshape(shape)
    means: npt.NDArray[np.float32] = np.add.reduceat(values, starts, axis=axis) * weights
    return means
