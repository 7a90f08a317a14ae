"""Full-size colour: chroma from the network's size along the edges of a target, joined with the target's luminance.

Some rows at a time, in pieces that stay in a core's cache. All arithmetic on full-size samples is numpy's plain one,
which is rounded in one way only, and tables: a pixel comes out with the same bits whatever it is computed
together with. (numpy's powers and torch's fused operations would not promise that.)
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sscn.guided_filter import guided_model
from sscn.pictures import Rows
from sscn.rgb_space import Float, FloatTable, RgbSpace, lab_table

_Part = TypeVar("_Part")
Light = Callable[[NDArray[Any]], tuple[Float, Float]]
"""Samples of some pixels, (n, m) or (n, m, 3) -> their Y and CIE f(Y), float32 (n, m)."""

_PIECE_PIXELS = 1 << 15
"""So much is worked on at a time where there is one thread: it stays in a core's cache."""
_SHARED_PIECE_PIXELS = 1 << 17
"""With several threads: numpy lets go of the interpreter's lock in each of its steps and has to get hold of it again
after it, so that with small pieces threads mostly wait for each other."""
_MOST_THREADS = 8
_BAND_PIXELS = 1 << 20
"""Of the target as much is held at a time, besides what is asked for."""
_ROOT, _TANGENT = 6 / 29, 3 * (6 / 29) ** 2


def samples_y(space: RgbSpace, dtype: np.dtype[Any], is_grey: bool) -> Callable[[NDArray[Any]], Float]:
    """Reads Y off samples of ``dtype`` in ``space``: (n, m) or (n, m, 3) -> float32 (n, m)."""
    if is_grey:
        return partial(np.take, space.grey_table(dtype), mode="clip")
    tables = space.luminance_tables(dtype)

    def y(samples: NDArray[Any]) -> Float:
        total = np.take(tables[0], samples[:, :, 0], mode="clip")
        for channel in (1, 2):
            total += np.take(tables[channel], samples[:, :, channel], mode="clip")
        return total

    return y


def samples_light(space: RgbSpace, dtype: np.dtype[Any], is_grey: bool) -> Light:
    """Reads light off samples of ``dtype`` in ``space``."""
    f = lab_table()
    if not is_grey:
        y_of = samples_y(space, dtype, is_grey)

        def light(samples: NDArray[Any]) -> tuple[Float, Float]:
            y = y_of(samples)
            return y, f(y)

        return light
    grey = space.grey_table(dtype)
    grey_f = f(grey)

    def grey_light(samples: NDArray[Any]) -> tuple[Float, Float]:
        numbers = samples.astype(np.intp)
        return np.take(grey, numbers, mode="clip"), np.take(grey_f, numbers, mode="clip")

    return grey_light


def reduced_y(rows: Rows, space: RgbSpace, factor: int) -> Tensor:
    """Y 0..1 of a picture whose pixels are averaged in blocks of ``factor`` squared, band by band.

    Returns:
        float32 (1, H / factor, W / factor), sizes rounded up.
    """
    height, width = rows.shape[:2]
    y_of = samples_y(space, rows.dtype, len(rows.shape) == 2)
    band = max(1, _BAND_PIXELS // (width * factor)) * factor
    reduced: Float = np.empty((-(-height // factor), -(-width // factor)), np.float32)

    def reduce(top: int, samples: NDArray[Any], piece: tuple[slice, slice]) -> None:
        y = torch.from_numpy(y_of(samples[piece]))[None]
        part = F.avg_pool2d(y, factor, ceil_mode=True)[0] if factor > 1 else y[0]
        into = reduced[(top + piece[0].start) // factor :, piece[1].start // factor :]
        into[: part.shape[0], : part.shape[1]] = part.numpy()

    with _Threads(height * width) as threads:
        for top in range(0, height, band):
            samples = rows[top : min(top + band, height)]
            pieces = _pieces(samples.shape[0], width, threads.piece_pixels, factor)
            threads.run(partial(reduce, top, samples), pieces)
    return torch.from_numpy(reduced)[None]


def chroma_model(luminance: Tensor, ab: Tensor, radius: int, epsilon: float, *, follow_edges: bool) -> Tensor:
    """How chroma goes with the luminance around each place of the network's picture.

    Args:
        luminance: L*, (1, 1, h, w).
        ab: a* and b*, (1, 2, h, w).
        radius: of the guided filter.
        epsilon: likewise.
        follow_edges: False for a picture of this very size, whose edges the network has already followed.

    Returns:
        (4, h, w): two slopes and two offsets, so that f(X) and f(Z) are f(Y) + slope * f(Y) + offset.
    """
    model = guided_model(luminance / 100, ab, radius, epsilon) if follow_edges else torch.cat([0 * ab, ab], 1)
    slope, offset = model[0].chunk(2)
    share = torch.tensor([1 / 500, -1 / 200]).view(2, 1, 1)
    return torch.cat([1.16 * slope * share, (offset - 0.16 * slope) * share])  # L* / 100 is 1.16 f(Y) - 0.16


class Finishing:
    """Makes rows of the copy from rows of the target."""

    def __init__(self, model: Float, size: tuple[int, int], space: RgbSpace, dtype: np.dtype[Any]) -> None:
        """Args:
        model: as of ``chroma_model``, turned as the target's rows lie.
        size: height and width of the target.
        space: of the copy.
        dtype: of the copy's samples.
        """
        self._model = np.ascontiguousarray(model)
        self._size = size
        self._space = space
        self._encoders = space.encoding_tables(dtype)
        mixing = space.from_white_xyz.astype(np.float32)
        self._of_x, self._of_z = mixing[:, :1, None], mixing[:, 2:, None]
        self._down = places(model.shape[1], size[0])
        self._across = places(model.shape[2], size[1])

    def fill(self, top: int, target: Rows, light: Light, into: NDArray[Any]) -> None:
        """Make the rows from ``top`` on, in as many threads as torch uses.

        Args:
            top: the first row.
            target: its rows are those of the whole target.
            light: how its samples are to be read.
            into: (n, W, 3), where the result goes.
        """
        width = self._size[1]
        band = max(1, _BAND_PIXELS // width)
        with _Threads(into.shape[0] * width) as threads:
            for first in range(0, into.shape[0], band):
                part = into[first : first + band]
                samples = target[top + first : top + first + part.shape[0]]
                lowest = int(self._down[0][top + first])
                count = int(self._down[1][top + first + part.shape[0] - 1]) - lowest + 1
                wide: Float = np.empty((4, count, width), np.float32)
                some = max(1, threads.piece_pixels // (4 * width))
                threads.run(partial(self._widen, wide, lowest, some), range(0, count, some))
                make = partial(self._piece, wide, lowest, top + first, samples, light, part)
                threads.run(make, _pieces(part.shape[0], width, threads.piece_pixels))

    def _widen(self, wide: Float, lowest: int, count: int, first: int) -> None:
        """Some rows of the model brought to the target's width."""
        before, after, fraction = self._across
        into = wide[:, first : first + count]
        maps = self._model[:, lowest + first : lowest + first + into.shape[1]]
        into[:] = _between(np.take(maps, before, 2, mode="clip"), np.take(maps, after, 2, mode="clip"), fraction)

    def _piece(
        self,
        wide: Float,
        lowest: int,
        top: int,
        samples: NDArray[Any],
        light: Light,
        into: NDArray[Any],
        piece: tuple[slice, slice],
    ) -> None:
        rows, columns = piece
        above, below, fraction = self._down
        lines = slice(top + rows.start, top + rows.stop)
        near, far = wide[:, above[lines] - lowest, columns], wide[:, below[lines] - lowest, columns]
        y, fy = light(samples[rows, columns])
        self._colour(y, fy, _between(near, far, fraction[lines, None]), into[rows, columns])

    def _colour(self, y: Float, fy: Float, model: Float, into: NDArray[Any]) -> None:
        """Join light with chroma.

        A colour outside the gamut is moved towards the grey of equal Y in linear light, which keeps Y, until it just
        fits: chroma is reduced, luminance never.
        """
        f: Float = np.empty((3, *fy.shape), np.float32)  # of X, Z and Y
        np.multiply(model[:2], fy, out=f[:2])
        f[:2] += model[2:]
        f[:2] += fy
        f[2] = fy
        xyz = _cubed(f)
        xyz[:2] -= xyz[2]
        channels = self._of_x * xyz[0]
        channels += self._of_z * xyz[1]
        channels *= self._room(y, channels)
        channels += y
        red, green, blue = self._encoders
        if red is green is blue:
            samples: Iterable[Float] = red(channels)
        else:
            samples = map(FloatTable.__call__, self._encoders, channels)
        for index, channel in enumerate(samples):
            np.copyto(into[:, :, index], channel, casting="unsafe")

    def _room(self, y: Float, channels: Float) -> Float:
        """What part of these distances from grey, (3, n, m), stays inside the gamut.

        Below 0 for a grey that is itself outside: it leaves all channels there, at the outermost value.
        """
        up: Float = np.maximum(channels[0], channels[1])
        np.maximum(up, channels[2], out=up)
        np.maximum(up, 1e-9, out=up)
        down = np.minimum(channels[0], channels[1])
        np.minimum(down, channels[2], out=down)
        np.minimum(down, -1e-9, out=down)
        np.divide(self._space.white - y, up, out=up)
        np.divide(self._space.black - y, down, out=down)
        np.minimum(up, down, out=up)
        np.minimum(up, 1, out=up)
        return up


def _cubed(f: Float) -> Float:
    """CIE f(t) -> t: beyond the knee the linear part is constant, before it the cube; ``f`` is overwritten."""
    high = np.maximum(f, _ROOT)
    f -= high
    f *= _TANGENT
    cube = high * high
    cube *= high
    cube += f
    return cube


def _between(near: Float, far: Float, fraction: Float) -> Float:
    """Between two arrays, of which ``far`` is overwritten."""
    far -= near
    far *= fraction
    far += near
    return far


def places(count: int, length: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Float]:
    """Where ``length`` samples lie among ``count`` entries of a map: the one before, the one behind, the way there."""
    found = np.clip((np.arange(length) + 0.5) * (count / length) - 0.5, 0, count - 1)
    before = found.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), (found - before).astype(np.float32)


def _pieces(height: int, width: int, pixels: int, unit: int = 1) -> Iterator[tuple[slice, slice]]:
    """Rows and columns that cut a band into pieces of about so many pixels, at multiples of ``unit``."""
    across = max(1, pixels // unit**2) * unit
    down = max(1, pixels // (min(across, width) * unit)) * unit
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield slice(top, min(top + down, height)), slice(left, min(left + across, width))


class _Threads:
    """As many threads as torch uses, eight at most; none beside the caller's for less than a band."""

    def __init__(self, pixels: int) -> None:
        count = min(torch.get_num_threads(), _MOST_THREADS)
        self._pool = ThreadPoolExecutor(count) if count > 1 and pixels > _BAND_PIXELS else None
        self.piece_pixels = _SHARED_PIECE_PIXELS if self._pool else _PIECE_PIXELS

    def __enter__(self) -> "_Threads":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def run(self, work: Callable[[_Part], None], parts: Iterable[_Part]) -> None:
        """Do all parts; raises what one of them raises."""
        for _ in (self._pool.map if self._pool else map)(work, parts):
            pass
