"""The eight orientations of Exif and TIFF (tag 274), applied and taken back."""

import numpy as np

from storage.images.rows import Pixels


def upright(stored: Pixels, orientation: int) -> Pixels:
    """Stored rows and columns (H, W[, C]) as the upright picture; a contiguous array."""
    return np.ascontiguousarray(_mirror(_turn(stored, orientation), orientation))


def as_stored(picture: Pixels, orientation: int) -> Pixels:
    """The upright picture in the rows and columns of the file: the inverse of ``upright``."""
    return np.ascontiguousarray(_turn(_mirror(picture, orientation), orientation))


def _turn(array: Pixels, orientation: int) -> Pixels:
    return array.swapaxes(0, 1) if orientation >= 5 else array


def _mirror(array: Pixels, orientation: int) -> Pixels:
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array
