"""The pictures of an evaluation: 8 bit, sRGB, in colour."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sscn import colour

Picture8 = NDArray[np.uint8]
"""sRGB (H, W, 3)."""


def encode8(linear: Tensor) -> Picture8:
    """Linear RGB 0..1 (3, H, W) -> sRGB uint8 (H, W, 3)."""
    return np.asarray(colour.encode(linear, np.dtype(np.uint8)), np.uint8)
