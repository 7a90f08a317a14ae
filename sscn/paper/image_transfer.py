"""Image transfer, the coarse stage: the reference's global colour style on the target's content."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from sscn.layers import AdaIN
from sscn.paper.encoders import STYLE_CHANNELS

BLOCKS: tuple[tuple[int, ...], ...] = ((512, 256), (256, 256, 256, 256, 128), (128, 128, 64), (64, 64))
"""Channels through each block, from 1/8 to full size: VGG-19's to conv4_1, mirrored."""


class StyleDecoder(nn.Module):
    """Content features and a style code -> a first chroma, from which colour can be matched with colour.

    Ours: nearest-neighbour enlargement between blocks, reflection padding as in the content encoder, and tanh, which
    keeps the chroma within what the colour encoder is shown of references.
    """

    def __init__(self) -> None:
        super().__init__()
        self.styles = nn.ModuleList([AdaIN(widths[0], STYLE_CHANNELS) for widths in BLOCKS])
        self.blocks = nn.ModuleList([_block(widths) for widths in BLOCKS])
        self.to_ab = nn.Conv2d(BLOCKS[-1][-1], 2, 3, padding=1, padding_mode="reflect")

    def forward(self, content: Tensor, style: Tensor, size: tuple[int, int]) -> Tensor:
        """Content (N, 512, H / 8, W / 8), style (N, 64), size (H, W) -> chroma (N, 2, H, W), -1..1."""
        x = content
        for steps, adain, block in zip((4, 2, 1, 0), self.styles, self.blocks, strict=True):
            x = block(adain(x, style))
            if steps:
                x = F.interpolate(x, (-(-size[0] // steps), -(-size[1] // steps)), mode="nearest")
        return self.to_ab(x).tanh()  # type: ignore[no-any-return]


def _block(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
    return nn.Sequential(*layers)
