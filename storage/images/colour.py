"""From a master's own colour space to sRGB, through lcms at 16 bits; what is sRGB already is not touched."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import imagecodecs
import numpy as np
from PIL import Image

from storage.images.records import Pixels, Samples
from storage.images.srgb import srgb_profile

_SPACES = {"grey": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK"}
_LCMS_SPACES = {"grey": "gray", "rgb": "rgb", "cmyk": "cmyk"}
_RELATIVE_COLORIMETRIC = 1
_BLACK_POINT_COMPENSATION = 0x2000
_EXACT = 0x0100
"""lcms' flag against replacing the profiles' curves by a coarse table, which is 0.3 % off in the shadows."""
_SAME_WITHIN = 400
"""Sixteen-bit steps (0.6 %) by which an sRGB profile may differ from ours: in strong colours, where the curve
is steep, the sRGB profiles in use differ by 100 to 200; the nearest other spaces by thousands."""
_FEWEST_GREYS = 200
"""Of 256 greys, how many must stay apart when an 8-bit file is converted, or its result gets 16 bits."""
_BLOCK_PIXELS = 1 << 20


@dataclass(frozen=True)
class Converted:
    """sRGB-encoded pixels, and notes for people."""

    pixels: Pixels
    notes: tuple[str, ...] = ()


def to_srgb(samples: Samples, profile: bytes | None) -> Converted:
    """Samples as sRGB-encoded grey or RGB of the same depth.

    Without a profile, or with one that describes sRGB, grey and RGB samples come out bit for bit. CMYK
    without a usable profile is converted by Pillow's plain formula. A profile that lcms refuses or that
    belongs to another kind of picture is left out and noted. An 8-bit file in a space so different that its
    greys would run together (a linear scan) comes out with 16 bits.
    """
    colour, notes = _without_alpha(samples)
    if profile is not None:
        problem = None
        if profile[16:20] != _SPACES[samples.space]:
            problem = "is for another kind of picture"
        else:
            try:
                return _through_lcms(colour, samples.space, profile, notes)
            except (RuntimeError, ValueError, MemoryError):
                problem = "is damaged"
        notes += (f"the embedded colour profile {problem} and was left out of account",)
    if samples.space == "cmyk":
        return Converted(_plain_cmyk(colour), notes)
    return Converted(colour, notes)


def _through_lcms(colour: Pixels, space: str, profile: bytes, notes: tuple[str, ...]) -> Converted:
    if _is_srgb(space, profile):
        return Converted(colour, notes)
    deep = colour.dtype == np.uint16
    if not deep and space != "cmyk" and _greys_kept(space, profile) < _FEWEST_GREYS:
        deep = True
        notes += ("the 8-bit samples were converted to 16 bits so that no tones run together",)
    depth = np.uint16 if deep else np.uint8
    if space == "grey":
        table = _transform(np.arange(65536, dtype=np.uint16)[np.newaxis], space, profile)[0]
        levels = table if colour.dtype == np.uint16 else table[::257]
        return Converted((levels if deep else _eight_bits(levels))[colour], notes)
    result = np.empty((*colour.shape[:2], 3), depth)
    rows = max(1, _BLOCK_PIXELS // colour.shape[1])

    def convert(top: int) -> None:
        block = _transform(_sixteen_bits(colour[top : top + rows]), space, profile)
        result[top : top + rows] = block if deep else _eight_bits(block)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for _ in pool.map(convert, range(0, colour.shape[0], rows)):
            pass
    return Converted(result, notes)


def _transform(values: Pixels, space: str, profile: bytes) -> Pixels:
    """uint16 samples to sRGB uint16: grey to grey (lcms gives it as equal R, G and B), others to RGB."""
    flags = _BLACK_POINT_COMPENSATION if space == "cmyk" else _EXACT
    rgb = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        srgb_profile(),
        colorspace=_LCMS_SPACES[space],
        outcolorspace="rgb",
        intent=_RELATIVE_COLORIMETRIC,
        flags=flags,
    )
    found: Pixels = rgb[..., 1] if space == "grey" else rgb
    return found


@lru_cache(maxsize=64)
def _is_srgb(space: str, profile: bytes) -> bool:
    """Whether the profile maps a spread of colours to where sRGB has them, whatever it calls itself."""
    if space == "cmyk":
        return False
    steps = np.linspace(0, 65535, 11).round().astype(np.uint16)
    if space == "grey":
        probe = steps[np.newaxis]
    else:
        probe = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    found = _transform(probe, space, profile)
    return bool(np.abs(found.astype(np.int32) - probe).max() <= _SAME_WITHIN)


def _greys_kept(space: str, profile: bytes) -> int:
    ramp = (np.arange(256, dtype=np.uint16) * 257)[np.newaxis]
    found = _transform(ramp if space == "grey" else np.repeat(ramp[..., np.newaxis], 3, axis=2), space, profile)
    return len(np.unique(_eight_bits(found if space == "grey" else found[..., 1])))


def _without_alpha(samples: Samples) -> tuple[Pixels, tuple[str, ...]]:
    """The colour laid on white paper where it is transparent; untouched if it nowhere is."""
    alpha, colour = samples.alpha, samples.colour
    top = np.iinfo(colour.dtype).max
    if alpha is None or (alpha == top).all():
        return colour, ()
    flat = np.empty_like(colour)
    rows = max(1, _BLOCK_PIXELS // colour.shape[1])
    for first in range(0, colour.shape[0], rows):
        block = slice(first, first + rows)
        weight = alpha[block].astype(np.float32) / top
        if colour.ndim == 3:
            weight = weight[..., np.newaxis]
        paper = (1 - weight) * (0 if samples.space == "cmyk" else top)
        ink = colour[block].astype(np.float32) * (1 if samples.premultiplied else weight)
        flat[block] = np.clip(np.rint(ink + paper), 0, top)
    return flat, ("transparent parts were laid on white",)


def _plain_cmyk(ink: Pixels) -> Pixels:
    eight = ink if ink.dtype == np.uint8 else _eight_bits(ink)
    return np.asarray(Image.fromarray(np.ascontiguousarray(eight), "CMYK").convert("RGB"))


def _sixteen_bits(values: Pixels) -> Pixels:
    return values if values.dtype == np.uint16 else values.astype(np.uint16) * 257


def _eight_bits(values: Pixels) -> Pixels:
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
