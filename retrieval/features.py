"""Raw features of a picture's luminance, of two networks: channel means, and what each place of a grid looks like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from retrieval.luminance import Prepared
from sscn.efficientnet import EfficientNetLite0
from sscn.matching import unit
from sscn.vgg import VGG16

VGG_LAYERS = ("relu3_3", "relu4_3")
SEMANTIC_BLOCKS = (4, 10)
PLACE_BLOCKS = ((10, 1.0), (15, 0.7))
"""Blocks of the semantic network that tell what is at a place, with their weights; block 15 is the last."""
VGG_SIDE = 128
"""The VGG sees the picture at this size: at 224 it takes three times as long."""
GRID = 7
"""Places along each side of a picture."""
PLACES = GRID * GRID
_CUDA_BATCH = 32


@dataclass(frozen=True, slots=True)
class Features:
    """Raw features of N pictures, float32, before they are whitened and coded.

    Those of places have unit length in each layer; rows of the grid come one after the other.
    """

    looks: NDArray[np.float32]
    """(N, 768), the VGG's, rooted channel means."""
    meanings: NDArray[np.float32]
    """(N, 1432), the semantic network's, likewise."""
    place_looks: NDArray[np.float32]
    """(N, PLACES, 768), the VGG's."""
    place_meanings: NDArray[np.float32]
    """(N, PLACES, 432), the semantic network's."""


class Networks:
    """The VGG (what a picture looks like) and EfficientNet-Lite0 (what is in it), on one device."""

    def __init__(self, vgg: VGG16, semantic: EfficientNetLite0) -> None:
        self._vgg = vgg
        self._semantic = semantic
        self._device = next(vgg.parameters()).device

    def features(self, prepared: Sequence[Prepared]) -> Features:
        """What both networks see in pictures, one or more, as `retrieval.luminance.prepare` made them."""
        return Features(*self._in_batches(prepared, self._forward))

    def meanings(self, prepared: Sequence[Prepared]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the semantic network alone sees: ``meanings`` and ``place_meanings`` of ``features``."""
        meanings, place_meanings = self._in_batches(prepared, self._semantic_forward)
        return meanings, place_meanings

    def _in_batches(
        self, prepared: Sequence[Prepared], forward: Callable[[Tensor], tuple[Tensor, ...]]
    ) -> list[NDArray[np.float32]]:
        # One by one on the CPU: as fast as in batches there, and no sum depends on the neighbours. On a GPU a
        # last short batch is filled up, so that the same kernels run.
        step = _CUDA_BATCH if self._device.type == "cuda" else 1
        found: list[tuple[NDArray[np.float32], ...]] = []
        for start in range(0, len(prepared), step):
            some = np.stack(prepared[start : start + step])
            count = len(some)
            filled = np.concatenate([some, np.zeros((step - count, *some.shape[1:]), np.float32)])
            tensors = forward(torch.from_numpy(filled[:, None]).to(self._device))
            found.append(tuple(tensor[:count].cpu().numpy() for tensor in tensors))
        return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]

    @torch.inference_mode()
    def _forward(self, luminance: Tensor) -> tuple[Tensor, ...]:
        """L* (N, 1, H, W) -> the fields of ``Features``."""
        size = (VGG_SIDE, VGG_SIDE)
        small = F.interpolate(luminance, size, mode="bilinear", antialias=True, align_corners=False)
        maps = self._vgg.features(small, VGG_LAYERS)
        look = torch.cat([maps[layer].mean(dim=(2, 3)) for layer in VGG_LAYERS], dim=1)
        place_look = torch.cat([_places(maps[layer]) for layer in VGG_LAYERS], dim=2)
        meaning, place_meaning = self._semantic_forward(luminance)
        return look.sqrt(), meaning, place_look, place_meaning

    @torch.inference_mode()
    def _semantic_forward(self, luminance: Tensor) -> tuple[Tensor, ...]:
        last = PLACE_BLOCKS[-1][0]
        found = self._semantic.features(luminance, sorted({*SEMANTIC_BLOCKS, *(block for block, _ in PLACE_BLOCKS)}))
        head = F.relu6(self._semantic.head_conv(found[last])).mean(dim=(2, 3))
        middle = [found[block].mean(dim=(2, 3)) for block in SEMANTIC_BLOCKS]
        meaning = _signed_root(torch.cat([*middle, head], dim=1))
        place_meaning = torch.cat([weight * _places(found[block]) for block, weight in PLACE_BLOCKS], dim=2)
        return meaning, place_meaning


def _places(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, PLACES, C)."""
    return unit(F.adaptive_avg_pool2d(maps, GRID)).flatten(2).transpose(1, 2)


def _signed_root(x: Tensor) -> Tensor:
    return x.sign() * x.abs().sqrt()
