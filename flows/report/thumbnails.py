"""Small JPEG pictures for the gallery, made from what a batch has in memory."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from storage.fixity import PARTIAL_SUFFIX

LONG_SIDE = 480  # pixels
QUALITY = 82


def write_thumbnail(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a JPEG of at most 480 px on the long side. `pixels` is (H, W) or (H, W, 3), uint8 or uint16.

    Renamed into place, so that a killed run leaves no half picture; not synced to disk, since it can be made again.
    """
    image = Image.fromarray(_eight_bits(pixels) if pixels.dtype == np.uint16 else pixels)
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}"
    try:
        image.save(partial, "JPEG", quality=QUALITY)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """16-bit samples as 8-bit ones; a large picture is reduced first, which is far quicker."""
    height, width = pixels.shape[:2]
    factor = max(height, width) // (2 * LONG_SIDE)
    if factor > 1 and min(height, width) >= factor:
        pixels = cv2.resize(pixels, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return (pixels >> 8).astype(np.uint8)


class ThumbnailFolder:
    """Where the thumbnails of one run's gallery lie."""

    def __init__(self, gallery: Path) -> None:
        self.folder = gallery / "thumbnails"

    def grey(self, item_id: int, shot: int = 0) -> Path:
        """The master's, or that of a film's shot."""
        return self.folder / f"{_stem(item_id, shot)}-grey.jpg"

    def colour(self, item_id: int, shot: int = 0) -> Path:
        """The colorized copy's, or that of a film's shot."""
        return self.folder / f"{_stem(item_id, shot)}-colour.jpg"

    def reference(self, reference_id: int) -> Path:
        """The reference's; shared by all items that use it."""
        return self.folder / f"reference-{reference_id}.jpg"


def _stem(item_id: int, shot: int) -> str:
    return f"{item_id}-shot-{shot}" if shot else str(item_id)
