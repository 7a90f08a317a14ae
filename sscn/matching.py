"""Matching features: what makes a place in one picture comparable with a place in another."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.efficientnet import EfficientNetLite0
from sscn.presets import Preset


class MatchingFeatures(NamedTuple):
    """Unit-length features of one picture at two levels."""

    fine: Tensor
    """(1, D, H / 4, W / 4), sizes rounded up: texture to semantics."""
    coarse: Tensor
    """(1, D', H / 16, W / 16), sizes rounded up: semantics alone."""


def tokens(maps: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w, C), rows of the grid one after the other."""
    return maps.flatten(2)[0].T.contiguous()


def grid(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """(h * w, C) -> (1, C, h, w), the inverse of ``tokens``."""
    return rows.T.reshape(1, rows.shape[1], *size)


class FeatureExtractor(nn.Module):
    """Joins encoder blocks into matching features (in the place of the paper's 960-channel pyramid).

    Each block's output is centred over the picture, made unit length at every position, weighted, brought to the
    common grid, and the whole made unit length again, so that a product of two features is a cosine.
    """

    def __init__(self, encoder: EfficientNetLite0, preset: Preset) -> None:
        super().__init__()
        self.encoder = encoder
        self.fine_blocks = preset.fine_blocks
        self.coarse_blocks = preset.coarse_blocks

    def forward(self, luminance: Tensor) -> MatchingFeatures:
        """L* (1, 1, H, W) in 0..100 -> features at 1/4 and 1/16."""
        numbers = sorted({number for number, _ in (*self.fine_blocks, *self.coarse_blocks)})
        maps = {number: _unit(map_) for number, map_ in self.encoder.features(luminance, numbers).items()}
        height, width = luminance.shape[-2:]
        return MatchingFeatures(
            fine=_join(maps, self.fine_blocks, (-(-height // 4), -(-width // 4))),
            coarse=_join(maps, self.coarse_blocks, (-(-height // 16), -(-width // 16))),
        )


def _unit(maps: Tensor) -> Tensor:
    return F.normalize(maps - maps.mean(dim=(2, 3), keepdim=True), dim=1)


def _join(maps: dict[int, Tensor], blocks: tuple[tuple[int, float], ...], size: tuple[int, int]) -> Tensor:
    """Weighted concatenation on a grid of ``size``; finer maps are averaged, coarser ones interpolated."""
    joined = []
    for number, weight in blocks:
        map_ = maps[number]
        if map_.shape[-2] > size[0] or map_.shape[-1] > size[1]:
            map_ = F.adaptive_avg_pool2d(map_, size)
        elif map_.shape[-2:] != size:
            map_ = F.interpolate(map_, size, mode="bilinear", align_corners=False)
        joined.append(weight * map_)
    return F.normalize(torch.cat(joined, dim=1), dim=1)
