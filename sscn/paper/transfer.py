"""Local detail transfer, the fine stage: each place of the target attends to a few places of the reference.

Matching is colour to colour: the target comes with the chroma of the coarse stage. Queries are dense, keys sparse.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.layers import ResidualBlock, halve
from sscn.paper.encoders import PYRAMID_CHANNELS

MATCHING_CHANNELS = sum(PYRAMID_CHANNELS)
VALUE_CHANNELS = 512
TEMPERATURE = 0.01


def matching_features(pyramid: list[Tensor]) -> Tensor:
    """The colour encoder's maps at 1, 1/2, 1/4 and 1/8 -> (N, 960, H / 4, W / 4)."""
    size = pyramid[2].shape[-2:]
    resized = [
        map_ if map_.shape[-2:] == size else F.interpolate(map_, size, mode="bilinear", align_corners=False)
        for map_ in pyramid
    ]
    return torch.cat(resized, dim=1)


class Aligned(NamedTuple):
    """What the reference has for each place of the target."""

    features: Tensor
    """(N, 512, H / 4, W / 4)."""
    chroma: Tensor
    """a*, b* of the places attended to, (N, 2, H / 4, W / 4)."""
    spread: Tensor
    """Standard deviation of that chroma among them, in units of a*, b*, (N, 1, H / 4, W / 4)."""


class ReferenceAttention(nn.Module):
    """Cosine attention over the reference's keys."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Conv2d(MATCHING_CHANNELS, VALUE_CHANNELS, 1)

    def values(self, tokens: Tensor) -> Tensor:
        """Un-normalised tokens (N, K, 960) -> (N, K, 512)."""
        return F.linear(tokens, self.value.weight.flatten(1), self.value.bias)  # the 1x1 convolution, on keys alone

    def forward(self, features: Tensor, keys: Tensor, values: Tensor, colours: Tensor) -> Aligned:
        """Attend from every position.

        Args:
            features: of the target, (N, 960, h, w).
            keys: (N, K, 960), unit length.
            values: (N, K, 512).
            colours: a*, b* and a*^2 + b*^2 of the keys, (N, K, 3).
        """
        queries = F.normalize(gather(features, None), dim=2)
        carried = torch.cat([values, colours], dim=2)
        # Fused kernels, which never hold all similarities at once, want values as wide as keys.
        padded = F.pad(carried, (0, MATCHING_CHANNELS - carried.shape[2]))
        found = F.scaled_dot_product_attention(
            queries[:, None], keys[:, None], padded[:, None], scale=1 / TEMPERATURE
        ).squeeze(1)
        maps = found.transpose(1, 2).reshape(-1, MATCHING_CHANNELS, *features.shape[-2:])
        chroma, square = maps[:, VALUE_CHANNELS : VALUE_CHANNELS + 2], maps[:, VALUE_CHANNELS + 2 : carried.shape[2]]
        spread = (square - chroma.square().sum(dim=1, keepdim=True)).clamp_min(0).sqrt()
        return Aligned(maps[:, :VALUE_CHANNELS], chroma, spread)


class Alignment(nn.Module):
    """Attended values -> 512 channels at 1/8, 256 at 1/4, 128 at 1/2.

    Ours: each scale is the values resized, brought to its channels by a 1x1 convolution, and one residual block.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_eighth = ResidualBlock(VALUE_CHANNELS)
        self.to_quarter = nn.Conv2d(VALUE_CHANNELS, 256, 1)
        self.at_quarter = ResidualBlock(256)
        self.to_half = nn.Conv2d(VALUE_CHANNELS, 128, 1)
        self.at_half = ResidualBlock(128)

    def forward(self, values: Tensor, half_size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Values (N, 512, H / 4, W / 4) -> maps at 1/8, 1/4 and 1/2, the last of ``half_size``."""
        # Projected before it is enlarged: both are linear, and so it is a quarter of the work.
        half = F.interpolate(self.to_half(values), half_size, mode="bilinear", align_corners=False)
        return self.at_eighth(halve(values)), self.at_quarter(self.to_quarter(values)), self.at_half(half)


def gather(maps: Tensor, positions: Tensor | None) -> Tensor:
    """Tokens (N, K, C) of maps (N, C, h, w) at the positions (N, K), or (N, h * w, C) of all."""
    tokens = maps.flatten(2).transpose(1, 2)
    if positions is None:
        return tokens
    return tokens.gather(1, positions[:, :, None].expand(-1, -1, tokens.shape[2]))
