"""Pictures as callers hand them in: PIL images or ndarrays, grey or colour, 8 or 16 bit."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sscn.errors import SscnError

Picture = NDArray[np.uint8] | NDArray[np.uint16]


def as_picture(image: Image.Image | Picture, what: str = "picture") -> Picture:
    """Samples of ``image`` as (H, W) or (H, W, 3), uint8 or uint16; an alpha channel is dropped.

    Args:
        image: PIL image, or ndarray (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        what: how the message calls it.

    Raises:
        SscnError: another shape or type, or no pixels.
    """
    pixels = _samples(image) if isinstance(image, Image.Image) else image
    if pixels.dtype not in (np.uint8, np.uint16):
        raise SscnError(f"the {what} has samples of type {pixels.dtype}; 8 or 16 bit unsigned are needed")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[:, :, :3]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or 0 in pixels.shape:
        raise SscnError(f"the {what} has the shape {pixels.shape}; (height, width) or (height, width, 3) is needed")
    return pixels


def _samples(image: Image.Image) -> Picture:
    if image.mode.startswith("I"):
        samples = np.asarray(image)
        if samples.size and (samples.min() < 0 or samples.max() > np.iinfo(np.uint16).max):
            raise SscnError("the picture has samples of 32 bit; 8 or 16 bit unsigned are needed")
        return samples.astype(np.uint16)
    if image.mode == "F":
        raise SscnError("the picture has samples of floating point; 8 or 16 bit unsigned are needed")
    return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
