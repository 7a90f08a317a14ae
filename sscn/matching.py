"""Matching features: what makes a place in one picture comparable with a place in another."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.efficientnet import STAGES, EfficientNetLite0
from sscn.presets import Preset

BLOCK_CHANNELS: tuple[int, ...] = tuple(stage.channels for stage in STAGES for _ in range(stage.repeats))
"""Output channels of each encoder block."""

EVIDENCE_BLOCK = 4
NOTHING_TO_SEE, SOMETHING_TO_SEE = 16.0, 20.0
"""Mean deviation of ``EVIDENCE_BLOCK`` from the picture's mean. Blank cards of 64 pixels and more have at most 15.9 (it
comes from the borders); four photographs had 34 and more, and still 21 with a twentieth of their contrast."""


class MatchingFeatures(NamedTuple):
    """What one picture is matched by, and the encoder's maps for the learned parts."""

    fine: Tensor
    """(N, D, H / 4, W / 4), sizes rounded up, unit length: texture to semantics."""
    coarse: Tensor
    """(N, D', H / 16, W / 16), sizes rounded up, unit length: semantics alone."""
    maps: Mapping[int, Tensor]
    """Encoder block -> its output, centred over the picture, unit length at every place."""
    evidence: Tensor
    """(N, 1, 1, 1), 0..1: is there anything to see? 1 for every photograph, 0 for a blank card."""


def tokens(maps: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w, C), rows of the grid one after the other."""
    return maps.flatten(2)[0].T.contiguous()


def grid(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """(h * w, C) -> (1, C, h, w), the inverse of ``tokens``."""
    return rows.T.reshape(1, rows.shape[1], *size)


def block_tokens(maps: Tensor, side: int) -> Tensor:
    """(1, C, h, w) -> rows of C, square block after square block of ``side`` places; the last ones of an odd grid are
    filled up with its border."""
    down, right = -maps.shape[-2] % side, -maps.shape[-1] % side
    if down or right:
        maps = F.pad(maps, (0, right, 0, down), mode="replicate")
    _, channels, height, width = maps.shape
    blocks = maps.view(channels, height // side, side, width // side, side).permute(1, 3, 2, 4, 0)
    return blocks.reshape(-1, channels)


def block_grid(rows: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """The inverse of ``block_tokens``: -> (1, C, *size)."""
    high, wide = -(-size[0] // side), -(-size[1] // side)
    maps = rows.view(high, wide, side, side, -1).permute(4, 0, 2, 1, 3).reshape(1, -1, high * side, wide * side)
    return maps[..., : size[0], : size[1]]


def resize(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """(N, C, h, w) -> (N, C, *size): averaged where it gets smaller, bilinear where it gets larger."""
    if maps.shape[-2:] == tuple(size):
        return maps
    if maps.shape[-2] > size[0] or maps.shape[-1] > size[1]:
        return F.adaptive_avg_pool2d(maps, (size[0], size[1]))
    return F.interpolate(maps, (size[0], size[1]), mode="bilinear", align_corners=False)


def lengths(maps: Tensor) -> Tensor:
    """Euclidean length of the channels at every place: (N, C, h, w) -> (N, 1, h, w), at least 1e-6.

    ``Tensor.norm`` over any but the last dimension takes a hundred times longer on the CPU.
    """
    return maps.square().sum(dim=1, keepdim=True).clamp_min(1e-12).sqrt()


def unit(maps: Tensor) -> Tensor:
    """(N, C, h, w), every place of length 1 over the channels, or 0."""
    return maps / lengths(maps)


def half_size(picture: Tensor) -> tuple[int, int]:
    """Half the height and width of (..., H, W), rounded up."""
    return -(-picture.shape[-2] // 2), -(-picture.shape[-1] // 2)


class FineFeatures(nn.Module):
    """Joins encoder blocks into one feature vector a place (in the place of the paper's 960-channel pyramid).

    Each block's map is projected at its own size and added on the way up from the coarsest, which is the projection
    of their concatenation at a fraction of its cost. A small residual, zero at first, lets neighbours have a say.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.weights = dict(sorted(preset.fine_blocks, reverse=True))
        self.project = nn.ModuleDict(
            {
                str(number): nn.Conv2d(BLOCK_CHANNELS[number], preset.match_channels, 1, bias=False)
                for number in self.weights
            }
        )
        width = preset.match_channels
        self.around = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.between = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.between.weight)
        nn.init.zeros_(self.between.bias)  # type: ignore[arg-type]

    def forward(self, maps: Mapping[int, Tensor], size: tuple[int, int]) -> Tensor:
        """Unit maps by block -> (N, D, *size), unit length."""
        joined: Tensor | None = None
        for number, weight in self.weights.items():
            map_ = maps[number]
            if map_.shape[-2] > size[0] or map_.shape[-1] > size[1]:
                map_ = F.adaptive_avg_pool2d(map_, size)
            projected = self.project[str(number)](map_ * weight)
            joined = projected if joined is None else projected + resize(joined, projected.shape[-2:])
        assert joined is not None
        joined = resize(joined, size)
        joined = unit(joined)
        return unit(joined + self.between(F.relu(self.around(joined))))


class FeatureExtractor(nn.Module):
    """Encoder and matching features. The encoder is frozen: pretrained, and small data would only unlearn it."""

    def __init__(self, encoder: EfficientNetLite0, preset: Preset) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.fine = FineFeatures(preset)
        self.coarse_blocks = preset.coarse_blocks
        self.blocks = sorted({number for number, _ in (*preset.fine_blocks, *preset.coarse_blocks)})

    def forward(self, luminance: Tensor) -> MatchingFeatures:
        """L* (N, 1, H, W) in 0..100 -> features at 1/4 and 1/16."""
        deviations = _deviations(self.encoder, luminance, self.blocks)
        maps = {number: unit(map_) for number, map_ in deviations.items()}
        seen = lengths(deviations[EVIDENCE_BLOCK]).mean(dim=(2, 3), keepdim=True)
        height, width = luminance.shape[-2:]
        return MatchingFeatures(
            fine=self.fine(maps, (-(-height // 4), -(-width // 4))),
            coarse=_join(maps, self.coarse_blocks, (height, width)),
            maps=maps,
            evidence=((seen - NOTHING_TO_SEE) / (SOMETHING_TO_SEE - NOTHING_TO_SEE)).clamp(0, 1),
        )

    def encode(self, luminance: Tensor) -> dict[int, Tensor]:
        """L* (N, 1, H, W) in 0..100 -> block number -> unit maps; no gradient flows into the encoder."""
        return _unit_maps(self.encoder, luminance, self.blocks)


def _unit_maps(encoder: EfficientNetLite0, luminance: Tensor, blocks: list[int]) -> dict[int, Tensor]:
    return {number: unit(map_) for number, map_ in _deviations(encoder, luminance, blocks).items()}


@torch.no_grad()
def _deviations(encoder: EfficientNetLite0, luminance: Tensor, blocks: list[int]) -> dict[int, Tensor]:
    """The blocks' outputs less their mean over the picture."""
    maps = encoder.features(luminance, blocks)
    return {number: map_ - map_.mean(dim=(2, 3), keepdim=True) for number, map_ in maps.items()}


def _join(maps: Mapping[int, Tensor], blocks: tuple[tuple[int, float], ...], picture: tuple[int, int]) -> Tensor:
    """Weighted concatenation at 1/16 of a picture's size, unit length."""
    size = (-(-picture[0] // 16), -(-picture[1] // 16))
    return unit(torch.cat([weight * resize(maps[number], size) for number, weight in blocks], dim=1))
