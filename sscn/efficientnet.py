"""EfficientNet-Lite0, the semantic encoder: what is in the picture, cheaply.

Architecture after Tan & Le, "EfficientNet" (arXiv 1905.11946) in its Lite form (no squeeze-and-excitation, ReLU6).
Batch normalisation is folded into the convolutions when the weights are converted, so a layer here is a
convolution with bias.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.errors import SscnError
from sscn.weights import load_strictly, read_shipped


class Stage(NamedTuple):
    """One row of the architecture table: ``repeats`` blocks, the first one with ``stride``."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
CLASSES = 1000
STAGES: tuple[Stage, ...] = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""Blocks are counted from 0 through all stages: 2, 4, 10 and 15 are the last at 1/4, 1/8, 1/16 and 1/32."""


class SamePadConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME does, which the weights were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in (x.shape[-1], x.shape[-2])]
        if any(pad % 2 for pad in pads):
            x = F.pad(x, [pads[0] // 2, pads[0] - pads[0] // 2, pads[1] // 2, pads[1] - pads[1] // 2])
            padding = (0, 0)
        else:  # symmetric: the convolution pads by itself, without a copy
            padding = (pads[1] // 2, pads[0] // 2)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; added to the input where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.expand = nn.Conv2d(in_channels, width, 1) if expansion != 1 else None
        self.depthwise = SamePadConv2d(width, width, kernel, stride, groups=width)
        self.project = nn.Conv2d(width, out_channels, 1)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        out: Tensor = x + y if self.residual else y
        return out


class EfficientNetLite0(nn.Module):
    """ImageNet EfficientNet-Lite0 with its classifier; looks at luminance only."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SamePadConv2d(3, STEM_CHANNELS, 3, 2)
        blocks: list[InvertedResidual] = []
        channels = STEM_CHANNELS
        for stage in STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(channels, stage.channels, stage.kernel, stride, stage.expansion))
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)
        self.head_conv = nn.Conv2d(channels, HEAD_CHANNELS, 1)
        self.classifier = nn.Linear(HEAD_CHANNELS, CLASSES)

    @staticmethod
    def normalise(luminance: Tensor) -> Tensor:
        """L* (N, 1, H, W) in 0..100 -> network input (N, 3, H, W), about -1..1."""
        return ((luminance / 100 - 0.498) / 0.502).expand(-1, 3, -1, -1)

    def features(self, luminance: Tensor, blocks: Sequence[int]) -> dict[int, Tensor]:
        """Outputs of the numbered blocks.

        Args:
            luminance: L* (N, 1, H, W), 0..100.
            blocks: block numbers, 0..15.

        Returns:
            number -> (N, C, h, w); sizes are H and W divided by the block's stride, rounded up.

        Raises:
            SscnError: a block is unknown.
        """
        if not blocks or min(blocks) < 0 or max(blocks) >= len(self.blocks):
            raise SscnError(f"EfficientNet-Lite0 has blocks 0 to {len(self.blocks) - 1}, not {list(blocks)}")
        found: dict[int, Tensor] = {}
        x = F.relu6(self.stem(self.normalise(luminance)))
        for number, block in enumerate(self.blocks[: max(blocks) + 1]):
            x = block(x)
            if number in blocks:
                found[number] = x
        return found

    def head(self, luminance: Tensor) -> Tensor:
        """Pooled features before the classifier: L* (N, 1, H, W) in 0..100 -> (N, 1280), 0..6."""
        last = self.features(luminance, [len(self.blocks) - 1])[len(self.blocks) - 1]
        return F.relu6(self.head_conv(last)).mean(dim=(2, 3))

    def classify(self, luminance: Tensor) -> Tensor:
        """ImageNet logits: L* (N, 1, H, W) in 0..100 -> (N, 1000)."""
        logits: Tensor = self.classifier(self.head(luminance))
        return logits


def load_efficientnet(device: str = "cpu") -> EfficientNetLite0:
    """The shipped EfficientNet-Lite0 in evaluation mode, its parameters frozen.

    Raises:
        SscnError: the weights file is missing or damaged.
    """
    network = EfficientNetLite0()
    load_strictly(network, read_shipped("efficientnet_lite0"), "the shipped EfficientNet-Lite0")
    network.requires_grad_(False)
    return network.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]
