"""What a master's samples mean, and bringing those that cannot be kept as they are to sRGB."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np
from PIL import Image

from storage.images import icc
from storage.images.encoding import SRGB, Encoding, as_srgb
from storage.images.icc import Space
from storage.images.records import Samples
from storage.images.rows import BAND_PIXELS, Pixels

_FEWEST_GREYS = 200
"""Of 256 greys, how many must stay apart in sRGB; in a space with fewer, 8 bits are too coarse for a copy."""
_GAINS_BITS = "the 8-bit samples were converted to 16 bits so that no tones run together"

Convert = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Understanding:
    """How samples of one kind are taken.

    ``convert`` makes of samples as stored (without alpha) those in ``encoding``; it works on any rows alone.
    ``copy_encoding`` and ``bit_depth`` are what a copy is to be written in.
    """

    encoding: Encoding
    copy_encoding: Encoding
    bit_depth: int
    convert: Convert
    notes: tuple[str, ...] = ()


def understood(samples: Samples, profile: bytes | None) -> Understanding:
    """What the samples mean.

    Without a profile, or with one that describes sRGB, grey and RGB samples are sRGB, bit for bit. RGB in a
    space of matrix and curves (Adobe RGB, eciRGB, Display P3) stays in it, grey in its own scale. CMYK, and RGB
    with a table of colours, are converted to sRGB. CMYK without a usable profile is converted by Pillow's plain
    formula. A profile that lcms refuses or that belongs to another kind of picture is left out and noted.
    """
    notes: tuple[str, ...] = ()
    if profile is not None:
        problem = "is for another kind of picture"
        if icc.is_for(profile, samples.space):
            try:
                return _by_profile(samples, profile)
            except (RuntimeError, ValueError, MemoryError):
                problem = "is damaged"
        notes = (f"the embedded colour profile {problem} and was left out of account",)
    if samples.space == "cmyk":
        return Understanding(SRGB, SRGB, 8, _plain_cmyk, notes)
    return Understanding(SRGB, SRGB, _bits(samples), _unchanged, notes)


def without_alpha(samples: Samples) -> tuple[Pixels, bool]:
    """The colour laid on white paper where it is transparent, and whether it is anywhere."""
    alpha, colour = samples.alpha, samples.colour
    top = np.iinfo(colour.dtype).max
    if alpha is None or (alpha == top).all():
        return colour, False
    flat = np.empty_like(colour)
    rows = max(1, BAND_PIXELS // colour.shape[1])
    for first in range(0, colour.shape[0], rows):
        block = slice(first, first + rows)
        weight = alpha[block].astype(np.float32) / top
        if colour.ndim == 3:
            weight = weight[..., np.newaxis]
        paper = (1 - weight) * (0 if samples.space == "cmyk" else top)
        ink = colour[block].astype(np.float32) * (1 if samples.premultiplied else weight)
        flat[block] = np.clip(np.rint(ink + paper), 0, top)
    return flat, True


def _by_profile(samples: Samples, profile: bytes) -> Understanding:
    space, bits = samples.space, _bits(samples)
    if icc.is_srgb(profile, space):
        return Understanding(SRGB, SRGB, bits, _unchanged)
    if space == "cmyk":
        return Understanding(SRGB, SRGB, bits, _through_lcms(space, profile, bits))
    own = _own_encoding(space, profile)
    notes: tuple[str, ...] = ()
    if bits == 8 and _greys_kept(space, profile, own) < _FEWEST_GREYS:
        bits, notes = 16, (_GAINS_BITS,)
    if own is not None:
        return Understanding(own, SRGB if space == "grey" else own, bits, _unchanged, notes)
    return Understanding(SRGB, SRGB, bits, _through_lcms(space, profile, bits), notes)


def _own_encoding(space: Space, profile: bytes) -> Encoding | None:
    if space == "grey":
        curve = icc.grey_curve(profile)
        if curve is None:
            raise ValueError("no scale of greys")
        return Encoding(profile, None, (curve,))
    found = icc.matrix_and_curves(profile)
    return Encoding(profile, *found) if found is not None else None


def _greys_kept(space: Space, profile: bytes, own: Encoding | None) -> int:
    ramp = np.arange(256, dtype=np.uint8)
    if own is not None:
        greys = ramp[np.newaxis] if space == "grey" else np.repeat(ramp[np.newaxis, :, np.newaxis], 3, axis=2)
        found = as_srgb(greys, own, np.uint8)
    else:
        deep = np.repeat(ramp.astype(np.uint16)[np.newaxis, :, np.newaxis] * 257, 3, axis=2)
        found = _eight_bits(icc.to_srgb(deep, space, profile))
    return len(np.unique(found if space == "grey" else found[..., 1]))


def _through_lcms(space: Space, profile: bytes, bits: int) -> Convert:
    icc.to_srgb(np.zeros((1, 1, 4 if space == "cmyk" else 3), np.uint16), space, profile)  # raises if it is damaged

    def convert(stored: Pixels) -> Pixels:
        result = np.empty((*stored.shape[:2], 3), np.uint16 if bits == 16 else np.uint8)
        rows = max(1, BAND_PIXELS // stored.shape[1])

        def convert_rows(top: int) -> None:
            deep = _sixteen_bits(stored[top : top + rows])
            block = icc.to_srgb(deep, space, profile, exactly=bits == 16 or space != "cmyk")
            result[top : top + rows] = block if bits == 16 else _eight_bits(block)

        with ThreadPoolExecutor(min(4, cpu_count() or 1)) as pool:
            for _ in pool.map(convert_rows, range(0, stored.shape[0], rows)):
                pass
        return result

    return convert


def _unchanged(stored: Pixels) -> Pixels:
    return stored


def _plain_cmyk(ink: Pixels) -> Pixels:
    eight = ink if ink.dtype == np.uint8 else _eight_bits(ink)
    return np.asarray(Image.fromarray(np.ascontiguousarray(eight), "CMYK").convert("RGB"))


def _bits(samples: Samples) -> int:
    return 16 if samples.colour.dtype == np.uint16 else 8


def _sixteen_bits(values: Pixels) -> Pixels:
    return values if values.dtype == np.uint16 else values.astype(np.uint16) * 257


def _eight_bits(values: Pixels) -> Pixels:
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
