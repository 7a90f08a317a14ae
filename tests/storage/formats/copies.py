"""The copies that are written of each master: their formats and their colours."""

import numpy as np

from storage.images import Master
from storage.images.rows import whole
from tests.storage.formats.samples import Pixels

COPIES = {"tiff": "copy.tif", "png": "copy.png", "jp2": "copy.jp2"}


def colours_for(master: Master) -> Pixels:
    """Samples of a copy that are different in every channel."""
    stored = whole(master.samples)
    depth = np.uint16 if master.bit_depth == 16 else np.uint8
    wide = stored.astype(depth) * (257 if stored.itemsize < np.dtype(depth).itemsize else 1)
    rgb = wide if wide.ndim == 3 else np.repeat(wide[..., np.newaxis], 3, axis=2)
    return np.asarray(rgb // np.array([1, 2, 3], depth))
