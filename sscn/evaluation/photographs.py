"""A folder of held-out colour photographs, and how like each other they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.nn import functional as F

from sscn import colour
from sscn.efficientnet import EfficientNetLite0, load_efficientnet
from sscn.errors import SscnError
from sscn.evaluation.pictures8 import Picture8

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
LONG_SIDE = 512
"""Pixels; larger photographs are scaled down to it."""
LEAST_SIDE = 64
"""Pixels; a photograph with a shorter side is not used."""
LEAST_CHROMA = 3.0
"""Mean chroma in Lab units; a photograph with less of it has no colour to bring back."""
_FEATURE_SIDE = 224
"""What EfficientNet-Lite0 was trained with."""


@dataclass(frozen=True)
class PhotographSet:
    """The usable photographs below a folder, in the order of their names."""

    folder: Path
    names: tuple[str, ...]
    """Paths relative to ``folder``."""
    features: NDArray[np.float32]
    """(N, 1280), unit length: EfficientNet-Lite0's pooled head on the luminance, centred over the set."""
    unused: tuple[str, ...]
    """One line for each file that is not used: its name, and why."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Look at every photograph once.

        Raises:
            SscnError: no such folder, or nothing usable in it.
        """
        if not folder.is_dir():
            raise SscnError(f"there is no folder {folder}; name a folder of colour photographs")
        encoder = load_efficientnet()
        names, features, unused = [], [], []
        for path in _pictures_below(folder):
            name = str(path.relative_to(folder))
            try:
                features.append(_features(encoder, _read(path)))
                names.append(name)
            except SscnError as error:
                unused.append(f"{name}: {error}")
        if not names:
            why = f", for instance {unused[0]}" if unused else ""
            raise SscnError(f"{folder} has no usable colour photographs{why}; name a folder with JPEG or PNG files")
        joined = np.stack(features)
        if len(names) > 2:  # what all photographs have in common says nothing
            joined = joined - joined.mean(axis=0)
        return cls(folder, tuple(names), joined / np.linalg.norm(joined, axis=1, keepdims=True), tuple(unused))

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Picture8:
        """Photograph ``index``: sRGB (H, W, 3), upright, at most ``LONG_SIDE`` long.

        Raises:
            SscnError: it cannot be read any more.
        """
        return _read(self.folder / self.names[index])

    def spread(self, limit: int | None) -> list[int]:
        """At most ``limit`` of the indices, evenly spread over the set."""
        count = len(self) if limit is None else min(limit, len(self))
        return [int(index) for index in np.linspace(0, len(self) - 1, count).round()]


def _pictures_below(folder: Path) -> Iterator[Path]:
    yield from sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()
    )


def _read(path: Path) -> Picture8:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * LONG_SIDE, 2 * LONG_SIDE))
            picture = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SscnError(f"it cannot be read as a picture ({error})") from error
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(picture)
    if min(pixels.shape[:2]) < LEAST_SIDE:
        raise SscnError(f"its short side has less than {LEAST_SIDE} pixels")
    if colour.lab(pixels)[1:].norm(dim=0).mean() < LEAST_CHROMA:
        raise SscnError("it has next to no colour")
    return pixels


@torch.inference_mode()
def _features(encoder: EfficientNetLite0, pixels: Picture8) -> NDArray[np.float32]:
    luminance = torch.from_numpy(colour.luminance(pixels))[None, None]
    small = F.interpolate(luminance, (_FEATURE_SIDE, _FEATURE_SIDE), mode="bilinear", antialias=True)
    features: NDArray[np.float32] = encoder.head(small)[0].numpy()
    return features
