"""A colorized picture whose rows are made when they are asked for."""

import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sscn.errors import SscnError
from sscn.finishing import Finishing, places, reduced_y, samples_light
from sscn.inference import resized
from sscn.pictures import Rows
from sscn.rgb_space import SRGB, Float, RgbSpace, lab_table

_TURNED = (5, 6, 7, 8)
_BACK = {6: 8, 8: 6}


def upright(maps: Tensor, orientation: int) -> Tensor:
    """Maps (..., H, W), as a picture's rows lie, the way it is looked at.

    Args:
        maps: what to turn.
        orientation: Exif's (tag 274), 1..8: where the first row and column are to be seen.
    """
    if orientation in _TURNED:
        maps = maps.transpose(-2, -1)
    mirrored = [dim for dim, cases in ((-1, (2, 3, 6, 7)), (-2, (3, 4, 7, 8))) if orientation in cases]
    return (maps.flip(mirrored) if mirrored else maps).contiguous()


def stored(maps: Tensor, orientation: int) -> Tensor:
    """The inverse of ``upright``."""
    return upright(maps, _BACK.get(orientation, orientation))


def shown_size(size: tuple[int, ...], orientation: int) -> tuple[int, int]:
    """Height and width of a picture as it is looked at.

    Raises:
        SscnError: no such orientation.
    """
    if orientation not in range(1, 9):
        raise SscnError(f"there is no orientation {orientation}; Exif has 1 to 8")
    return (size[1], size[0]) if orientation in _TURNED else (size[0], size[1])


class ColorizedRows:
    """The rows of a copy, made when they are asked for; the same bits whichever are asked for together.

    May be asked by several threads. Holds some tens of MB besides the rows asked for.
    """

    def __init__(self, target: Rows, space: RgbSpace, model: Float, copy_space: RgbSpace, dtype: np.dtype[Any]) -> None:
        """Args:
        target: (H, W) or (H, W, 3).
        space: what its samples mean.
        model: of ``sscn.finishing.chroma_model``, turned as the target's rows lie.
        copy_space: of the copy.
        dtype: of the copy.
        """
        self.shape = (target.shape[0], target.shape[1], 3)
        self.dtype = dtype
        self.seconds = 0.0
        """Seconds spent so far."""
        self._target = target
        self._light = samples_light(space, target.dtype, len(target.shape) == 2)
        self._finishing = Finishing(model, (target.shape[0], target.shape[1]), copy_space, dtype)
        self._lock = threading.Lock()

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Rows (n, W, 3).

        Raises:
            SscnError: a slice with a step.
        """
        top, bottom, step = rows.indices(self.shape[0])
        if step != 1:
            raise SscnError("rows are made without a step")
        started = time.perf_counter()
        made: NDArray[Any] = np.empty((max(0, bottom - top), *self.shape[1:]), self.dtype)
        self._finishing.fill(top, self._target, self._light, made)
        with self._lock:
            self.seconds += time.perf_counter() - started
        return made


class ColorizedPicture:
    """What the network has found for a target; the copy itself is made by rows. Made by ``Colorizer.predict``."""

    def __init__(
        self,
        rows: ColorizedRows,
        confidence: NDArray[np.float32],
        size: tuple[int, int],
        model: Tensor,
        target: tuple[Rows, RgbSpace, int],
        small_y: Tensor,
        network_seconds: float,
    ) -> None:
        """Args:
        rows: the copy.
        confidence: at the network's size, upright.
        size: height and width of the picture, upright.
        model: of ``sscn.finishing.chroma_model``, upright.
        target: with its space and orientation.
        small_y: (1, h, w), Y 0..1 of the target made smaller, upright.
        network_seconds: what the network took.
        """
        self.rows = rows
        """The copy, (H, W, 3), as the target's rows lie: ``rows[top:bottom]``."""
        self.confidence = confidence
        """0..1 at the network's size, upright, float32 (h, w): how far the reference had a match for each place."""
        self._size = size
        self._model = model
        self._target = target
        self._small_y = small_y
        self._network_seconds = network_seconds

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3) as the target's rows lie."""
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the copy: uint8 or uint16."""
        return self.rows.dtype

    @property
    def mean_confidence(self) -> float:
        """Mean of the confidence, brought to the picture's size, 0..1."""
        maps = torch.from_numpy(self.confidence)[None, None]
        if self._size[0] < maps.shape[-2] or self._size[1] < maps.shape[-1]:
            return float(resized(maps, self._size).mean())
        down, across = (_shares(*pair) for pair in zip(maps.shape[-2:], self._size, strict=True))
        return float(down @ self.confidence.astype(np.float64) @ across)

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds spent so far in ``network`` (features, matching, fusion) and ``chroma`` (making rows)."""
        return MappingProxyType({"network": self._network_seconds, "chroma": self.rows.seconds})

    def preview(self, long_side: int) -> NDArray[np.uint8]:
        """A small copy, sRGB (h, w, 3), upright, from the target made smaller; no larger than the picture.

        Raises:
            SscnError: no size.
        """
        if long_side < 1:
            raise SscnError("a preview needs a long side of at least one pixel")
        scale = min(1.0, long_side / max(self._size))
        height, width = (max(1, round(side * scale)) for side in self._size)
        y = self._small_y
        if y.shape[1] < height or y.shape[2] < width:
            target, space, orientation = self._target
            y = upright(reduced_y(target, space, max(1, int(0.5 / scale))), orientation)
        small = resized(y[None], (height, width))[0, 0].numpy()
        model = resized(self._model[None], (height, width))[0].numpy()
        made = np.empty((height, width, 3), np.uint8)
        Finishing(model, (height, width), SRGB, made.dtype).fill(0, small, _light_of_y, made)
        return made


def _light_of_y(y: NDArray[Any]) -> tuple[Float, Float]:
    return y, lab_table()(y)


def _shares(count: int, length: int) -> NDArray[np.float64]:
    """What part of a map's mean each of its ``count`` entries has when it is enlarged to ``length`` samples."""
    before, after, fraction = places(count, length)
    weights = np.bincount(before, 1.0 - fraction, count) + np.bincount(after, fraction, count)
    return np.asarray(weights / length, np.float64)
