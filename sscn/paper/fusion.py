"""Fusion decoder: what the target is, what the reference has for it, and the colour that follows."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from sscn.layers import SLOPE, ResidualBlock
from sscn.paper.chroma import BINS

SCALES: tuple[int, ...] = (512, 256, 128)
"""Channels at 1/8, 1/4 and 1/2."""


class Fused(NamedTuple):
    """The decoder's answer."""

    ab: Tensor
    """(N, 2, H, W), -1..1."""
    bin_logits: Tensor
    """(N, 529, H / 4, W / 4)."""


class FusionDecoder(nn.Module):
    """Adds, at three scales, the aligned reference and the target's own features, and decodes the sum.

    Ours: the target's features come through a 3x3 convolution at each scale; transposed convolutions are 4x4 with
    stride 2, the last one to 64 channels at full size; their maps are cropped where sizes were rounded up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skips = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for width in SCALES])
        self.blocks = nn.ModuleList([nn.Sequential(ResidualBlock(width), ResidualBlock(width)) for width in SCALES])
        pairs = zip(SCALES, (*SCALES[1:], 64), strict=True)
        self.ups = nn.ModuleList([nn.ConvTranspose2d(before, after, 4, 2, 1) for before, after in pairs])
        self.to_bins = nn.Conv2d(SCALES[1], BINS * BINS, 1)
        self.to_ab = nn.Conv2d(64, 2, 1)

    def forward(self, aligned: tuple[Tensor, Tensor, Tensor], pyramid: list[Tensor]) -> Fused:
        """Decode.

        Args:
            aligned: of the reference at 1/8 (512 channels), 1/4 (256) and 1/2 (128).
            pyramid: the colour encoder's maps of the target at 1, 1/2, 1/4 and 1/8.
        """
        summed = [map_ + skip(own) for map_, skip, own in zip(aligned, self.skips, pyramid[:0:-1], strict=True)]
        eighth = self.blocks[0](summed[0])
        quarter = self.blocks[1](summed[1] + self._up(0, eighth, summed[1]))
        half = self.blocks[2](summed[2] + self._up(1, quarter, summed[2]))
        full = F.leaky_relu(self._up(2, half, pyramid[0]), SLOPE)
        return Fused(self.to_ab(full).tanh(), self.to_bins(F.leaky_relu(quarter, SLOPE)))

    def _up(self, number: int, x: Tensor, like: Tensor) -> Tensor:
        enlarged: Tensor = self.ups[number](F.leaky_relu(x, SLOPE))
        return enlarged[:, :, : like.shape[-2], : like.shape[-1]]
