"""What samples mean: the RGB space or the grey curve that a picture is encoded in, and the way from there to sRGB."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from storage.images.icc import LEVELS, Floats
from storage.images.rows import Pixels
from storage.images.srgb import srgb_profile

_SRGB_TO_XYZ = np.array(
    [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]]
)
_CHUNK_SAMPLES = 1 << 16


@dataclass(frozen=True, eq=False)
class Encoding:
    """An RGB space of matrix and curves, or the curve of a grey scale. `SRGB` stands for both kinds of sRGB.

    Two are equal if they are the same object or come from the same profile.
    """

    profile: bytes | None = None
    """The ICC profile that says so; None for sRGB."""
    to_xyz: Floats | None = None
    """Linear RGB -> CIE XYZ for D65 (3, 3), white having Y = 1; None for a grey scale and for sRGB."""
    curves: tuple[Floats, ...] = ()
    """One, or one for each channel: light 0..1 of 65,536 equally spaced signals; none for sRGB."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoding) and self.profile == other.profile

    def __hash__(self) -> int:
        return hash(self.profile)

    @property
    def icc(self) -> bytes:
        """The profile that a file in this encoding carries."""
        return self.profile or srgb_profile()


SRGB = Encoding()


def as_srgb(samples: Pixels, encoding: Encoding, dtype: npt.DTypeLike) -> Pixels:
    """Samples (H, W) or (H, W, 3) as sRGB-encoded samples of ``dtype``; colours outside sRGB are clipped."""
    dtype = np.dtype(dtype)
    if encoding == SRGB and samples.dtype == dtype:
        return samples
    if samples.ndim == 2 or (encoding == SRGB):
        return _signal_table(encoding, samples.dtype, dtype)[samples]
    result = np.empty(samples.shape, dtype)
    flat, out = samples.reshape(-1, 3), result.reshape(-1, 3)
    matrix, table = _to_linear_srgb(encoding), _encoding_table(dtype)
    for start in range(0, len(flat), _CHUNK_SAMPLES):
        linear = light(flat[start : start + _CHUNK_SAMPLES], encoding) @ matrix
        out[start : start + _CHUNK_SAMPLES] = table[_place(linear)]
    return result


def light(samples: Pixels, encoding: Encoding) -> npt.NDArray[np.float32]:
    """Linear light 0..1 of samples (..., 3) or of grey ones of any shape."""
    tables = _light_tables(encoding, samples.dtype)
    if len(tables) == 1:
        return tables[0][samples]
    return np.stack([table[samples[..., channel]] for channel, table in enumerate(tables)], axis=-1)


def srgb_of_light(linear: npt.NDArray[np.float32], encoding: Encoding, dtype: npt.DTypeLike) -> Pixels:
    """Linear light of ``encoding`` (..., 3), or of grey, as sRGB-encoded samples of ``dtype``."""
    if linear.ndim == 3 and encoding.to_xyz is not None:
        linear = linear @ _to_linear_srgb(encoding)
    found: Pixels = _encoding_table(np.dtype(dtype))[_place(linear)]
    return found


def _place(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    # by the root, so that the shadows have as many places as they need
    place: npt.NDArray[np.uint16] = (np.sqrt(np.clip(linear, 0, 1)) * 65535 + 0.5).astype(np.uint16)
    return place


@lru_cache(maxsize=2)
def _encoding_table(dtype: np.dtype[np.uint8 | np.uint16]) -> Pixels:
    """sRGB samples of 65,536 levels of light, which are those of ``_place``."""
    return _codes(srgb_signal(np.linspace(0, 1, LEVELS) ** 2), dtype)


@lru_cache(maxsize=16)
def _light_tables(encoding: Encoding, dtype: np.dtype[np.uint8 | np.uint16]) -> tuple[npt.NDArray[np.float32], ...]:
    curves = encoding.curves or (srgb_light(np.linspace(0, 1, LEVELS)),)
    step = 257 if dtype == np.uint8 else 1
    return tuple(curve[::step].astype(np.float32) for curve in curves)


@lru_cache(maxsize=16)
def _signal_table(
    encoding: Encoding, stored: np.dtype[np.uint8 | np.uint16], dtype: np.dtype[np.uint8 | np.uint16]
) -> Pixels:
    """For each grey sample the sRGB sample of the same light."""
    curve = encoding.curves[0] if encoding.curves else srgb_light(np.linspace(0, 1, LEVELS))
    return _codes(srgb_signal(curve[:: 257 if stored == np.uint8 else 1]), dtype)


@lru_cache(maxsize=16)
def _to_linear_srgb(encoding: Encoding) -> npt.NDArray[np.float32]:
    """Rows of linear RGB times this are rows of linear sRGB."""
    assert encoding.to_xyz is not None
    transposed: npt.NDArray[np.float32] = (np.linalg.inv(_SRGB_TO_XYZ) @ encoding.to_xyz).T.astype(np.float32)
    return transposed


def _codes(signal: Floats, dtype: np.dtype[np.uint8 | np.uint16]) -> Pixels:
    codes: Pixels = np.rint(signal * np.iinfo(dtype).max).astype(dtype)
    return codes


def srgb_light(signal: Floats) -> Floats:
    """IEC 61966-2-1: signal 0..1 -> light 0..1."""
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def srgb_signal(linear: Floats) -> Floats:
    """IEC 61966-2-1: light 0..1 -> signal 0..1."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
