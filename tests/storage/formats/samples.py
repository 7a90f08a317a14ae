"""The samples that go into masters, all of one real photograph, and what is to become of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from storage.images.srgb import srgb_profile

Pixels = npt.NDArray[Any]
PHOTOGRAPH = Path(__file__).parents[2] / "data" / "dust_bowl_home.jpg"
WIDTH, HEIGHT = 61, 45


def _photograph(bits: int) -> Pixels:
    """(45, 61, 3): every channel is different, and 16 bits are all in use."""
    with Image.open(PHOTOGRAPH) as image:
        rgb = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT))).astype(np.uint32)
    rgb[..., 2] = 255 - rgb[..., 2]
    if bits == 8:
        return rgb.astype(np.uint8)
    fine = np.random.default_rng(1).integers(0, 256, rgb.shape)
    return (rgb * 256 + fine).astype(np.uint16)


RGB = {8: _photograph(8), 16: _photograph(16)}
GREY = {bits: np.ascontiguousarray(rgb[..., 0]) for bits, rgb in RGB.items()}
WHITE = GREY[8] > 110
INK = {8: np.asarray(Image.fromarray(RGB[8]).convert("CMYK"))}
INK[8] = np.ascontiguousarray(np.dstack([INK[8][..., :3] // 2, 255 - GREY[8]]))
INK[16] = INK[8].astype(np.uint16) * 257


def opacity(bits: int) -> Pixels:
    top = (1 << bits) - 1
    return np.linspace(0, top, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16 if bits == 16 else np.uint8)


def few_bits(bits: int) -> Pixels:
    return (GREY[8] >> (8 - bits)).astype(np.uint8)


def on_white(colour: Pixels, alpha: Pixels, premultiplied: bool = False) -> Pixels:
    top = np.iinfo(colour.dtype).max
    share = (alpha / top).reshape(alpha.shape + (1,) * (colour.ndim - 2))
    found = (colour if premultiplied else colour * share) + (1 - share) * top
    return np.clip(np.rint(found), 0, top).astype(colour.dtype)


def spread(values: Pixels, bits: int) -> Pixels:
    """Few bits over the full range of 8, or of 16."""
    full = 255 if bits <= 8 else 65535
    return np.rint(values / ((1 << bits) - 1) * full).astype(np.uint8 if bits <= 8 else np.uint16)


def plain_inks(ink: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(ink, "CMYK").convert("RGB"))


def converted(samples: Pixels, mode: str, profile: bytes) -> Pixels:
    """8-bit samples in sRGB, by Pillow's own lcms."""
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION if mode == "CMYK" else ImageCms.Flags.NONE
    result = ImageCms.profileToProfile(
        Image.fromarray(samples, mode),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=flags,
    )
    assert result is not None
    return np.asarray(result)
