"""Small layers that the learned parts of the presets are built from."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2
"""Of every LeakyReLU (paper)."""


class AdaIN(nn.Module):
    """Adaptive instance normalisation, (1 + gamma) * IN(x) + beta, gamma and beta linear in a style code.

    After Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization" (ICCV 2017),
    with learned statistics. Both start at zero, so that it starts as plain instance normalisation.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.gamma = nn.Linear(style_dim, channels)
        self.beta = nn.Linear(style_dim, channels)
        for linear in (self.gamma, self.beta):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Features (N, C, H, W) of more than one position and style codes (N, style_dim) -> (N, C, H, W)."""
        gamma = self.gamma(style)[:, :, None, None]
        beta = self.beta(style)[:, :, None, None]
        adapted: Tensor = torch.addcmul(beta, 1 + gamma, F.instance_norm(x))
        return adapted


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after a LeakyReLU, beside a shortcut; their sum / sqrt 2 keeps the variance.

    Args:
        channels: of the input.
        out_channels: of the output, None for the same; where they differ, the shortcut is a 1x1 convolution.
        pool: halve the size, rounded up, by average pooling.
    """

    def __init__(self, channels: int, out_channels: int | None = None, *, pool: bool = False) -> None:
        super().__init__()
        out_channels = out_channels or channels
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out_channels, 1, bias=False) if out_channels != channels else None
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W), or (N, C', H / 2, W / 2) with ``pool``, sizes rounded up."""
        y = self.first(F.leaky_relu(x, SLOPE))
        if self.pool:  # before the second convolution and the shortcut: a quarter of their work
            x, y = halve(x), halve(y)
        y = self.second(F.leaky_relu(y, SLOPE))
        return ((x if self.shortcut is None else self.shortcut(x)) + y) / math.sqrt(2)  # type: ignore[no-any-return]


def halve(x: Tensor) -> Tensor:
    """2x2 average pooling, (N, C, H, W) -> (N, C, H / 2, W / 2), sizes rounded up."""
    return F.avg_pool2d(x, 2, ceil_mode=True)
