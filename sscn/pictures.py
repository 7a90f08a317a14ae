"""Pictures as callers hand them in: PIL images, ndarrays or what gives rows when asked; grey or colour, 8 or 16 bit."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sscn.errors import SscnError

Picture = NDArray[np.uint8] | NDArray[np.uint16]


class Rows(Protocol):
    """A picture that is asked for by rows, so that it may be larger than memory; an ndarray is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a sample: uint8 or uint16."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """The rows of a slice without a step: (n, W) or (n, W, 3)."""


def as_picture(image: Image.Image | Picture, what: str = "picture") -> Picture:
    """Samples of ``image`` as (H, W) or (H, W, 3), uint8 or uint16; an alpha channel is dropped.

    Args:
        image: PIL image, or ndarray (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        what: how the message calls it.

    Raises:
        SscnError: another shape or type, or no pixels.
    """
    pixels = _samples(image) if isinstance(image, Image.Image) else image
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[:, :, :3]
    _check(pixels.shape, pixels.dtype, what)
    return pixels


def as_rows(image: Image.Image | Rows, what: str = "picture") -> Rows:
    """``image`` as rows (H, W) or (H, W, 3), uint8 or uint16; what is not in memory is not read.

    Raises:
        SscnError: another shape or type, or no pixels.
    """
    if isinstance(image, Image.Image | np.ndarray):
        return as_picture(image, what)
    _check(image.shape, image.dtype, what)
    return image


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> None:
    if dtype not in (np.uint8, np.uint16):
        raise SscnError(f"the {what} has samples of type {dtype}; 8 or 16 bit unsigned are needed")
    if len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or 0 in shape:
        raise SscnError(f"the {what} has the shape {shape}; (height, width) or (height, width, 3) is needed")


def _samples(image: Image.Image) -> Picture:
    if image.mode.startswith("I"):
        samples = np.asarray(image)
        if samples.size and (samples.min() < 0 or samples.max() > np.iinfo(np.uint16).max):
            raise SscnError("the picture has samples of 32 bit; 8 or 16 bit unsigned are needed")
        return samples.astype(np.uint16)
    if image.mode == "F":
        raise SscnError("the picture has samples of floating point; 8 or 16 bit unsigned are needed")
    return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
