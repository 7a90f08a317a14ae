"""The two encoders: what is where (luminance alone), and which colour what has (Lab).

Ours: sizes are rounded up where they do not halve evenly, and the colour encoder's last map is brought to 4x4 before
the 4x4 convolution, so that any picture of 64 pixels or more fits. At 256x256 neither changes anything.
"""

from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from sscn.layers import SLOPE, ResidualBlock, halve

VGG_STAGES: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256, 256, 256, 256), (512,))
"""VGG-19 as far as conv4_1: output channels stage by stage, with a pooling between stages."""
PYRAMID_CHANNELS: tuple[int, ...] = (64, 128, 256, 512)
"""Of the colour encoder's maps at 1, 1/2, 1/4 and 1/8."""
STYLE_CHANNELS = 64
CLASSES = 1000
SMALLEST_SIDE = 64
"""Below, the colour encoder would have nothing left to halve."""


class ContentEncoder(nn.Module):
    """VGG-19's shape to conv4_1, on luminance, with average pooling and reflection padding."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(1, 3, 1)
        channels = 3
        self.stages = nn.ModuleList()
        for widths in VGG_STAGES:
            stage = nn.ModuleList()
            for width in widths:
                stage.append(nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect"))
                channels = width
            self.stages.append(stage)

    def forward(self, luminance: Tensor) -> Tensor:
        """Luminance (N, 1, H, W), -1..1 -> (N, 512, H / 8, W / 8), sizes rounded up."""
        x = self.expand(luminance)
        for number, stage in enumerate(self.stages):
            x = x if number == 0 else halve(x)
            for conv in stage:  # type: ignore[attr-defined]
                x = F.relu(conv(x))
        return x  # type: ignore[no-any-return]


class ReferenceCode(NamedTuple):
    """What the colour encoder says about a whole reference."""

    style: Tensor
    """(N, 64)."""
    class_maps: Tensor
    """(N, 1000, H / 16, W / 16): logits of each class at each position; their mean is the picture's logit."""


class ColourEncoder(nn.Module):
    """E: residual blocks down to 1/64. Its first maps serve matching and fusion, its last the style code.

    Ours: 512 channels in the 4x4 convolution; a class is the mean of its map, so that the class activation map is that
    map and nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, PYRAMID_CHANNELS[0], 3, padding=1)
        self.fine = nn.ModuleList(
            [ResidualBlock(before, after, pool=True) for before, after in pairwise(PYRAMID_CHANNELS)]
        )
        width = PYRAMID_CHANNELS[-1]
        self.to_sixteenth = ResidualBlock(width, pool=True)
        self.deep = nn.Sequential(ResidualBlock(width, pool=True), ResidualBlock(width, pool=True))
        self.whole = nn.Conv2d(width, width, 4)
        self.style = nn.Linear(width, STYLE_CHANNELS)
        self.classifier = nn.Conv2d(width, CLASSES, 1)

    def pyramid(self, lab: Tensor) -> list[Tensor]:
        """Lab (N, 3, H, W), -1..1 -> maps of 64, 128, 256 and 512 channels at 1, 1/2, 1/4 and 1/8."""
        maps = [self.stem(lab)]
        for block in self.fine:
            maps.append(block(maps[-1]))
        return maps

    def describe(self, eighth: Tensor) -> ReferenceCode:
        """The pyramid's last map (N, 512, H / 8, W / 8) -> style code and class maps."""
        sixteenth = self.to_sixteenth(eighth)
        deep = F.adaptive_avg_pool2d(F.leaky_relu(self.deep(sixteenth), SLOPE), 4)
        whole = F.leaky_relu(self.whole(deep), SLOPE).flatten(1)
        return ReferenceCode(self.style(whole), self.classifier(F.leaky_relu(sixteenth, SLOPE)))
