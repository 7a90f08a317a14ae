"""Colour space: sRGB <-> CIE Lab (D65), the luminance of any scan, and putting chroma back on a master.

Constants after IEC 61966-2-1 (sRGB) and CIE 15 (Lab). Tensors are float32, channels first; ndarrays are pictures,
channels last. Luminance L* lies in 0..100, a* and b* roughly in -110..110.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sscn.pictures import Picture, as_picture

RGB_TO_XYZ = (
    (0.4123908, 0.3575843, 0.1804808),
    (0.2126390, 0.7151687, 0.0721923),
    (0.0193308, 0.1191948, 0.9505322),
)
WHITE_D65 = (0.4123908 + 0.3575843 + 0.1804808, 1.0, 0.0193308 + 0.1191948 + 0.9505322)
_EPSILON = (6 / 29) ** 3
_SLOPE = (29 / 6) ** 2 / 3
_BAND_PIXELS = 1 << 20
"""Full-size pictures are finished in bands of about so many pixels, so that memory does not grow with the master."""


@lru_cache(maxsize=2)
def linear_table(dtype: np.dtype[Any]) -> NDArray[np.float32]:
    """Linear light 0..1 of every sample value of ``dtype``: (256,) or (65536,), not to be written to."""
    levels = int(np.iinfo(dtype).max)
    table: NDArray[np.float32] = decoded(torch.arange(levels + 1, dtype=torch.float64) / levels).float().numpy()
    table.setflags(write=False)
    return table


def decoded(signal: Tensor) -> Tensor:
    """sRGB signal 0..1 -> linear light 0..1."""
    return torch.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def to_linear(image: Picture) -> Tensor:
    """sRGB samples (H, W) or (H, W, 3) -> linear light 0..1, float32, (1 or 3, H, W)."""
    linear = torch.from_numpy(np.take(linear_table(image.dtype), image, mode="clip"))
    return linear.unsqueeze(0) if linear.ndim == 2 else linear.permute(2, 0, 1)


def relative_luminance(linear: Tensor) -> Tensor:
    """Linear light (1 or 3, H, W) -> CIE Y 0..1, (1, H, W)."""
    if linear.shape[0] == 1:
        return linear
    red, green, blue = RGB_TO_XYZ[1]
    return linear[0:1] * red + linear[1:2] * green + linear[2:3] * blue


def reduced_linear(image: Picture, factor: int) -> Tensor:
    """Linear light of a picture whose pixels are averaged in blocks of ``factor`` squared, band by band.

    Returns:
        float32 (1 or 3, H / factor, W / factor), sizes rounded up.
    """
    height, width = image.shape[:2]
    rows = max(1, _BAND_PIXELS // (width * factor)) * factor
    bands = (to_linear(image[top : top + rows]) for top in range(0, height, rows))
    return torch.cat([F.avg_pool2d(band, factor, ceil_mode=True) if factor > 1 else band for band in bands], dim=1)


def picture_y(image: Picture) -> Tensor:
    """CIE Y 0..1, float32 (1, H, W), of an sRGB picture, band by band."""
    height, width = image.shape[:2]
    y = torch.empty(1, height, width)
    for top, bottom in band_rows(height, width):
        y[:, top:bottom] = relative_luminance(to_linear(image[top:bottom]))
    return y


def lab_function(t: Tensor) -> Tensor:
    """CIE f(t): cube root with a linear foot; t relative to the white point."""
    return torch.where(t > _EPSILON, t.clamp_min(_EPSILON).pow(1 / 3), t * _SLOPE + 4 / 29)


def inverse_lab_function(f: Tensor) -> Tensor:
    """Inverse of ``lab_function``."""
    return torch.where(f > 6 / 29, f * f * f, (f - 4 / 29) / _SLOPE)


def lightness(y: Tensor) -> Tensor:
    """CIE Y 0..1 -> L* 0..100."""
    return 116 * lab_function(y) - 16


def luminance(image: Picture) -> NDArray[np.float32]:
    """L* 0..100, float32 (H, W), of an sRGB picture: grey, sepia-toned or colour alike.

    Raises:
        SscnError: not a picture (see ``sscn.pictures``).
    """
    picture = as_picture(image)
    values: NDArray[np.float32] = lightness(picture_y(picture))[0].numpy()
    return values


def lab(image: Picture) -> Tensor:
    """L*, a*, b* of an sRGB picture: float32 (3, H, W).

    Raises:
        SscnError: not a picture (see ``sscn.pictures``).
    """
    return linear_to_lab(to_linear(as_picture(image)))


def linear_to_lab(linear: Tensor) -> Tensor:
    """Linear light 0..1 (1 or 3, H, W) -> L*, a*, b* (3, H, W)."""
    xyz = torch.einsum("ij,jhw->ihw", torch.tensor(RGB_TO_XYZ), linear.expand(3, -1, -1))
    fx, fy, fz = lab_function(xyz / torch.tensor(WHITE_D65).view(3, 1, 1))
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def colour_with_luminance(y: Tensor, ab: Tensor) -> Tensor:
    """Linear RGB inside the sRGB gamut with exactly the luminance ``y`` and, as far as that allows, chroma ``ab``.

    A colour outside the gamut is moved towards the grey of equal Y in linear light, which keeps Y, until it just
    fits: chroma is reduced, luminance never.

    Args:
        y: CIE Y 0..1, (1, H, W).
        ab: a* and b*, (2, H, W).

    Returns:
        Linear RGB 0..1, (3, H, W).
    """
    fy = lab_function(y)
    x = inverse_lab_function(fy + ab[0:1] / 500) * WHITE_D65[0]
    z = inverse_lab_function(fy - ab[1:2] / 200) * WHITE_D65[2]
    to_rgb = torch.linalg.inv(torch.tensor(RGB_TO_XYZ, dtype=torch.float64)).float()
    chroma = torch.einsum("ij,jhw->ihw", to_rgb, torch.cat([x, y, z])) - y  # distance from the grey of equal Y
    room = torch.where(chroma > 0, 1 - y, y)
    keep = (room / chroma.abs().clamp_min(1e-9)).amin(dim=0, keepdim=True).clamp(0, 1)
    return (y + keep * chroma).clamp(0, 1)


def encoded(linear: Tensor) -> Tensor:
    """Linear light 0..1 -> sRGB signal 0..1."""
    high = 1.055 * linear.clamp_min(0.0031308).pow(1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, high)


def encode(linear: Tensor, dtype: np.dtype[Any]) -> Picture:
    """Linear RGB 0..1 (3, H, W) -> sRGB samples (H, W, 3) of ``dtype``, rounded to nearest."""
    levels = int(np.iinfo(dtype).max)
    samples = (encoded(linear) * levels + 0.5).to(torch.int32).permute(1, 2, 0).numpy()
    rounded: Picture = samples.astype(dtype)
    return rounded


def band_rows(height: int, width: int) -> list[tuple[int, int]]:
    """Row ranges [top, bottom) that cut a picture into bands of about a million pixels."""
    rows = max(1, _BAND_PIXELS // width)
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]
