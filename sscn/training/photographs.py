"""A folder of colour photographs to learn from."""

import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sscn.errors import SscnError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff")
SMALLEST_SIDE = 96
"""Pixels of the short side below which a picture teaches nothing."""
GREY_BELOW = 4.0
"""Mean distance of the largest from the smallest of R, G, B (0..255) below which a picture counts as grey."""
_PROBE_SIDE = 128


class Photographs:
    """Colour photographs of a folder and its subfolders, in the order of their names.

    Every file is looked at once when the collection is made (JPEG at an eighth of its size), decoded in full only when
    it is asked for, and kept as long as memory allows.

    Attributes:
        paths: files in use.
        left_out: files that are not, each with the reason.
    """

    def __init__(self, folder: Path, long_side: int = 640, cache_bytes: int = 1 << 30) -> None:
        """
        Args:
            folder: walked with its subfolders; hidden files and folders are passed by.
            long_side: larger photographs are shrunk to so many pixels.
            cache_bytes: memory for decoded photographs, per process.

        Raises:
            SscnError: no such folder, or no usable photograph in it.
        """
        if not folder.is_dir():
            raise SscnError(f"{folder}: there is no such folder; name the folder that holds the training photographs")
        self.long_side = long_side
        self.cache_bytes = cache_bytes
        found = [path for path in sorted(folder.rglob("*")) if _is_candidate(path, folder)]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            reasons = list(pool.map(_why_not, found))
        self.paths = [path for path, reason in zip(found, reasons, strict=True) if not reason]
        self.left_out = {path: reason for path, reason in zip(found, reasons, strict=True) if reason}
        if not self.paths:
            raise SscnError(f"{folder}: no usable colour photograph in this folder ({self._tally()})")
        self._cache: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        """Photograph ``number``: sRGB, (H, W, 3), upright, not to be written to.

        Raises:
            SscnError: the file has become unreadable since the collection was made.
        """
        if not 0 <= number < len(self.paths):
            raise IndexError(number)
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        path = self.paths[number]
        try:
            pixels = _decode(path, self.long_side)
        except _UNREADABLE as error:
            raise SscnError(
                f"{path}: can no longer be read; put this training photograph back or take it out"
            ) from error
        pixels.flags.writeable = False
        self._keep(number, pixels)
        return pixels

    def _keep(self, number: int, pixels: NDArray[np.uint8]) -> None:
        if pixels.nbytes > self.cache_bytes:
            return
        self._cache[number] = pixels
        self._cached_bytes += pixels.nbytes
        while self._cached_bytes > self.cache_bytes:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes

    def _tally(self) -> str:
        if not self.left_out:
            return "it holds no picture files"
        reasons = list(self.left_out.values())
        return ", ".join(f"{reasons.count(reason)} {reason}" for reason in sorted(set(reasons)))


_UNREADABLE = (OSError, UnidentifiedImageError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)
"""What Pillow raises on files that are damaged or no pictures."""


def _is_candidate(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()


def _why_not(path: Path) -> str:
    """Reason to leave a file out, or nothing."""
    try:
        with Image.open(path) as picture:
            if min(picture.size) < SMALLEST_SIDE:
                return "too small"
        probe = _decode(path, _PROBE_SIDE)
    except _UNREADABLE:
        return "unreadable"
    spread = probe.max(axis=2).astype(np.float32) - probe.min(axis=2)
    return "grey" if spread.mean() < GREY_BELOW else ""


def _decode(path: Path, long_side: int) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        picture.draft("RGB", (long_side, long_side))
        upright = ImageOps.exif_transpose(picture)
        if upright.has_transparency_data:
            ground = Image.new("RGBA", upright.size, (160, 160, 160, 255))
            ground.alpha_composite(upright.convert("RGBA"))
            upright = ground
        rgb = upright.convert("RGB")
    rgb.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    return np.asarray(rgb).copy()
