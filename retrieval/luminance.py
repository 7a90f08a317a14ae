"""From a picture of any size and tone to the luminance that the embedding looks at."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.errors import RetrievalError
from sscn.colour import luminance
from sscn.errors import SscnError
from sscn.pictures import Picture as Pixels
from sscn.pictures import as_picture

Picture = Image.Image | Pixels
Prepared = NDArray[np.float32]

SIDE = 224
"""Both sides of the prepared square, in pixels: what EfficientNet-Lite0 was trained at."""
TAILS = (1.0, 99.0)
"""Percentiles of L* that are stretched to 0 and 100, so that a faded print and a fresh one look alike."""
_LEAST_SPAN = 8.0
"""L* units; a picture flatter than this is not stretched to full contrast, or its noise would become its
content."""
_RECIPE = f"squash{SIDE}-stretch{TAILS[0]:g}-{TAILS[1]:g}"


def recipe() -> str:
    """Short name of how pictures are prepared; part of the embedding's version."""
    return _RECIPE


def as_pixels(picture: Picture) -> Pixels:
    """PIL image or ndarray -> (H, W) or (H, W, 3), uint8 or uint16.

    Raises:
        RetrievalError: shape or type is another, or the picture has no pixels.
    """
    try:
        return as_picture(picture)
    except SscnError as error:
        raise RetrievalError(f"{error}, so it cannot be embedded") from error


def shrink(pixels: Pixels, side: int) -> Pixels:
    """Average whole blocks of pixels so that the short side stays at or above ``side``; same dtype."""
    factor = min(pixels.shape[:2]) // side
    if factor < 2:
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).reduce(factor))
    height, width = (length // factor for length in pixels.shape[:2])
    blocks: Any = np.ascontiguousarray(pixels[: height * factor, : width * factor])
    shrunk: Any = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint16)


def prepare(picture: Picture) -> Prepared:
    """The whole picture, squashed to a square, its luminance stretched.

    The square keeps all that is in the picture and lets pictures of any shape go through the networks
    together.

    Args:
        picture: PIL image, or ndarray (H, W) or (H, W, 3) uint8 or uint16, sRGB-encoded.

    Returns:
        L* (SIDE, SIDE), float32, 0..100.

    Raises:
        RetrievalError: this is no such picture.
    """
    small = luminance(shrink(as_pixels(picture), 2 * SIDE))
    square = np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    low, high = (float(value) for value in np.percentile(square, TAILS))
    span = max(high - low, _LEAST_SPAN)
    # Centred, should the span be the least one: what is flat and bright then stays apart from flat and dark.
    start = low if high - low >= _LEAST_SPAN else (low + high) / 2 * (1 - _LEAST_SPAN / 100)
    stretched: Prepared = np.clip((square - start) * np.float32(100 / span), 0, 100).astype(np.float32)
    return stretched
