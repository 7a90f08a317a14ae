"""RGB spaces: what a picture's samples mean, and tables that lead from samples to light and back.

Decoding is a table with an entry for each sample value. Encoding is its exact inverse but for float32's rounding: a
function of linear light given by straight pieces, the bits of a float32 themselves saying which piece; ``FloatTable``
says how. Nothing here calls a power or a root for a sample, so that full-size pictures cost little, and as
numpy's plain arithmetic is rounded in one way only (IEEE 754), a value's result never depends on its neighbours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sscn import colour
from sscn.errors import SscnError

Float = NDArray[np.float32]
Double = NDArray[np.float64]
_Part = TypeVar("_Part")

_SHIFT = 14
"""Of a float32's 23 bits of fraction the upper 9 choose the piece: straight pieces 1/512 of a value long are within
0.01 of a 16-bit level of a power function."""
_LAST = int(np.float32(1).view(np.int32)) >> _SHIFT


@dataclass(frozen=True, eq=False)
class RgbSpace:
    """An RGB space with its white at D65. Compared by identity.

    Raises:
        SscnError: no such matrix or curves.
    """

    to_xyz: Double
    """(3, 3): linear RGB 0..1 -> CIE XYZ with Y = 1 for white."""
    curves: tuple[Double, ...] | None = None
    """Linear light 0..1 at equally spaced signals 0..1, straight between them, non-decreasing: one for all channels or
    three. None: sRGB's formula (IEC 61966-2-1)."""

    def __post_init__(self) -> None:
        matrix = np.array(self.to_xyz, np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
            raise SscnError("an RGB space needs an invertible matrix of 3 x 3 numbers")
        if not (matrix.sum(1) > 0).all():
            raise SscnError("an RGB space's white must have X, Y and Z above 0")
        matrix.setflags(write=False)
        object.__setattr__(self, "to_xyz", matrix)
        if self.curves is not None:
            if len(self.curves) not in (1, 3):
                raise SscnError(f"an RGB space has one curve or three, not {len(self.curves)}")
            object.__setattr__(self, "curves", tuple(_checked(curve) for curve in self.curves))

    @property
    def luminance_weights(self) -> Double:
        """What linear R, G and B weigh in Y, (3,), adding up to 1."""
        return np.asarray(self.to_xyz[1] / self.to_xyz[1].sum(), np.float64)

    @property
    def from_white_xyz(self) -> Double:
        """(3, 3): XYZ, each relative to the space's white -> linear RGB; its rows add up to 1."""
        return np.asarray(np.linalg.inv(self.to_xyz) * self.to_xyz.sum(1), np.float64)

    @property
    def black(self) -> float:
        """The least linear light that all channels can show: 0 but for curves that begin above it."""
        return max((float(curve[0]) for curve in self.curves or ()), default=0.0)

    @property
    def white(self) -> float:
        """The greatest linear light that all channels can show: 1 but for curves that end below it."""
        return min((float(curve[-1]) for curve in self.curves or ()), default=1.0)

    def light(self, dtype: np.dtype[Any]) -> tuple[Double, Double, Double]:
        """Linear light 0..1 of every sample value of R, G and B: (256,) or (65536,) each."""
        signals = np.arange(np.iinfo(dtype).max + 1) / np.iinfo(dtype).max
        return _three([self._decoded(signals, curve) for curve in self.curves or (None,)])

    def luminance_tables(self, dtype: np.dtype[Any]) -> tuple[Float, Float, Float]:
        """What every sample value of R, G and B adds to Y; float32 (256,) or (65536,) each."""
        return _luminance_tables(self, np.dtype(dtype))

    def grey_table(self, dtype: np.dtype[Any]) -> Float:
        """Y 0..1 of every sample value of a grey picture, R = G = B; float32 (256,) or (65536,)."""
        return _grey_table(self, np.dtype(dtype))

    def encoding_tables(self, dtype: np.dtype[Any]) -> tuple["FloatTable", "FloatTable", "FloatTable"]:
        """Linear light of R, G and B -> sample values plus 0.5, so that cutting off rounds to the nearest.

        Light beyond a curve's ends gets the outermost value. Where a curve is flat several values mean one light: black
        gets the least of them and white the greatest.
        """
        return _encoding_tables(self, np.dtype(dtype))

    def encode(self, linear: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Linear RGB 0..1 (..., 3) -> samples of ``dtype``, rounded to nearest. For small arrays."""
        samples = np.empty(linear.shape, dtype)
        for channel, table in enumerate(self.encoding_tables(dtype)):
            light = np.ascontiguousarray(linear[..., channel], np.float32)
            np.copyto(samples[..., channel], table(light), casting="unsafe")
        return samples

    @staticmethod
    def _decoded(signals: Double, curve: Double | None) -> Double:
        if curve is None:
            return np.asarray(colour.decoded(torch.from_numpy(signals)).numpy(), np.float64)
        return np.interp(signals, np.linspace(0, 1, len(curve)), curve)

    @staticmethod
    def _encoded(light: Double, curve: Double | None) -> Double:
        if curve is None:
            return np.asarray(colour.encoded(torch.from_numpy(light)).numpy(), np.float64)
        signals = np.interp(light, curve, np.linspace(0, 1, len(curve)))
        signals[light <= curve[0]] = 0  # where it is flat numpy takes the last signal
        return signals


class FloatTable:
    """A function of float32 values 0..1, by straight pieces that get shorter towards 0 as floats do.

    A float32's upper bits, taken as a whole number, grow with it and say which piece it belongs to. What is below 0
    or above 1 gets the value at 0 or 1.
    """

    def __init__(self, function: Callable[[Double], Double]) -> None:
        """Args:
        function: values (n,) of arguments (n,) from 0 to 1 that rise.
        """
        bounds = (np.arange(_LAST + 1, dtype=np.int32) << _SHIFT).view(np.float32).astype(np.float64)
        values = function(bounds)
        slopes = np.zeros_like(values)  # also of what is no different from 0, and of 1
        slopes[1:-1] = np.diff(values[1:]) / np.diff(bounds[1:])
        self._slopes: Float = slopes.astype(np.float32)
        self._offsets: Float = (values - slopes * bounds).astype(np.float32)

    def __call__(self, values: Float) -> Float:
        """The function's values, float32, of contiguous ``values`` of any shape."""
        piece = (values.view(np.int32) >> _SHIFT).astype(np.intp)
        result = np.take(self._slopes, piece, mode="clip")
        result *= values
        result += np.take(self._offsets, piece, mode="clip")
        return result


@lru_cache(maxsize=1)
def lab_table() -> FloatTable:
    """CIE f(Y), within float32's rounding."""
    return FloatTable(lambda y: np.asarray(colour.lab_function(torch.from_numpy(y)).numpy(), np.float64))


SRGB = RgbSpace(np.array(colour.RGB_TO_XYZ))
"""IEC 61966-2-1."""


@lru_cache(maxsize=8)
def _luminance_tables(space: RgbSpace, dtype: np.dtype[Any]) -> tuple[Float, Float, Float]:
    light = space.light(dtype)
    weights = space.luminance_weights.astype(np.float32)
    return _three([_kept(part.astype(np.float32) * weight) for part, weight in zip(light, weights, strict=True)])


@lru_cache(maxsize=8)
def _grey_table(space: RgbSpace, dtype: np.dtype[Any]) -> Float:
    red, green, blue = space.light(dtype)
    if red is green is blue:
        return _kept(red.astype(np.float32))
    weights = space.luminance_weights
    return _kept((red * weights[0] + green * weights[1] + blue * weights[2]).astype(np.float32))


@lru_cache(maxsize=8)
def _encoding_tables(space: RgbSpace, dtype: np.dtype[Any]) -> tuple[FloatTable, FloatTable, FloatTable]:
    levels = int(np.iinfo(dtype).max)

    def table(curve: Double | None) -> FloatTable:
        return FloatTable(lambda light: space._encoded(light, curve) * levels + 0.5)

    return _three([table(curve) for curve in space.curves or (None,)])


def _three(parts: Sequence[_Part]) -> tuple[_Part, _Part, _Part]:
    return (parts[0], parts[0], parts[0]) if len(parts) == 1 else (parts[0], parts[1], parts[2])


def _kept(table: Float) -> Float:
    table.setflags(write=False)  # handed out again
    return table


def _checked(curve: Double) -> Double:
    checked = np.array(curve, np.float64)
    if checked.ndim != 1 or len(checked) < 2 or not np.isfinite(checked).all():
        raise SscnError("a curve of an RGB space is a row of at least two numbers")
    if (np.diff(checked) < 0).any() or checked[0] < 0 or checked[-1] > 1 or checked[0] == checked[-1]:
        raise SscnError("a curve of an RGB space rises from black to white within 0..1")
    checked.setflags(write=False)
    return checked
