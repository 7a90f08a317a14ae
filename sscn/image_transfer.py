"""Image transfer, the coarse stage: the reference's global style on the target, calm and everywhere.

The paper decodes chroma from the target's features under a style code with learned AdaIN. Here each place first takes
the average colour of what is semantically like it; the style-conditioned decoder corrects that, starting at zero.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.attention import attend
from sscn.highlights import pale_highlights
from sscn.layers import AdaIN
from sscn.matching import BLOCK_CHANNELS, MatchingFeatures, grid, resize, tokens
from sscn.presets import Preset

_UNIT, _LEAST_UNIT = 1.5, 10.0
"""Of a reference's chroma, and in a*, b*: see ``chroma_unit``."""
_HISTOGRAM_BINS = 7
_STATISTICS = 5 + _HISTOGRAM_BINS**2


@dataclass(frozen=True)
class CoarseReference:
    """What the coarse stage keeps of a reference."""

    keys: Tensor
    """(K', D') semantic features at 1/16, unit length."""
    values: Tensor
    """(K', 3): L*, a*, b*."""
    style: "ReferenceStyle"


class ReferenceStyle(NamedTuple):
    """How references are coloured, whatever is where."""

    code: Tensor
    """(N, S): the style code."""
    unit: Tensor
    """(N, 1, 1, 1): what their a*, b* are measured in, see ``chroma_unit``."""


def chroma_unit(lab: Tensor) -> Tensor:
    """What a*, b* are divided by on their way into learned layers, and multiplied by on the way out.

    It grows with the reference's own chroma, so that the network's answer does too: a strong palette is not drawn
    towards that of the average training picture, nor a pale one. The fourth power lets a small bright thing on grey
    ground count.

    Args:
        lab: L*, a*, b* of references, (N, 3, H, W).

    Returns:
        (N, 1, 1, 1), some 40 for the average photograph.
    """
    fourth = lab[:, 1:].square().sum(dim=1, keepdim=True).square().mean(dim=(2, 3), keepdim=True)
    return (_UNIT * fourth**0.25).clamp_min(_LEAST_UNIT)


class GlobalMatch(NamedTuple):
    """What the semantic match found, (N, C, h', w') on the coarse grid."""

    lab: Tensor
    """L*, a*, b* of what is semantically alike."""
    best: Tensor
    """Greatest cosine similarity."""


class StyleCode(nn.Module):
    """The reference's palette and what wears it, as one vector (paper: 64 numbers, too)."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        semantic = preset.coarse_blocks[0][0]
        self.semantic = semantic
        self.look = nn.Conv2d(BLOCK_CHANNELS[semantic] + 3, 128, 1)
        self.code = nn.Sequential(nn.Linear(128 + _STATISTICS, 128), nn.ReLU(), nn.Linear(128, preset.style_channels))

    def forward(self, features: MatchingFeatures, lab: Tensor) -> ReferenceStyle:
        """Features of the references and their Lab (N, 3, H, W) -> their style."""
        unit = chroma_unit(lab)
        map_ = features.maps[self.semantic]
        small = resize(lab, map_.shape[-2:])
        scaled = torch.cat([small[:, :1] / 50 - 1, small[:, 1:] / unit], dim=1)
        looked = F.relu(self.look(torch.cat([map_ * map_.shape[1] ** 0.5, scaled], dim=1))).mean(dim=(2, 3))
        return ReferenceStyle(self.code(torch.cat([looked, _palette(scaled)], dim=1)), unit)


def _palette(lab: Tensor) -> Tensor:
    """Means, deviations and a soft histogram of scaled a*, b*: (N, 3, h, w) -> (N, _STATISTICS)."""
    ab = lab[:, 1:].flatten(2)
    centres = torch.linspace(-1.5, 1.5, _HISTOGRAM_BINS, device=lab.device)
    near = (1 - (ab[..., None] - centres).abs() / 0.5).clamp_min(0)  # (N, 2, P, bins): hat functions
    histogram = torch.einsum("npa,npb->nab", near[:, 0], near[:, 1]).flatten(1) / ab.shape[-1]
    chroma = ab.norm(dim=1).mean(dim=1, keepdim=True)
    return torch.cat([ab.mean(dim=2), ab.std(dim=2, unbiased=False), chroma, histogram], dim=1)


class StyleBlock(nn.Module):
    """Two convolutions under the style: x + conv(relu(AdaIN(conv(x))))."""

    def __init__(self, channels: int, style_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.style = AdaIN(channels, style_channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """(N, C, h, w) and (N, S) -> (N, C, h, w)."""
        out: Tensor = x + self.second(F.relu(self.style(self.first(x), code)))
        return out


class GlobalStyle(nn.Module):
    """Coarse stage of one target."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.temperature = preset.coarse_temperature
        self.highlight_softness = preset.highlight_softness / 2
        self.encode = StyleCode(preset)
        self.blocks = (15, 10, 4)
        widths = dict(zip(self.blocks, (96, 96, 48), strict=True))
        self.take = nn.ModuleDict({str(b): nn.Conv2d(BLOCK_CHANNELS[b], widths[b], 1) for b in self.blocks})
        self.semantic = nn.Conv2d(5, 96, 1)
        self.coarse = nn.ModuleList([StyleBlock(96, preset.style_channels) for _ in range(2)])
        self.narrow = nn.Conv2d(96, 48, 1)
        self.fine = StyleBlock(48, preset.style_channels)
        self.correction = nn.Conv2d(48, 2, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]

    def match(self, features: Tensor, reference: CoarseReference) -> GlobalMatch:
        """Coarse features (1, D', h', w') -> colour of what is semantically alike."""
        found = attend(tokens(features), reference.keys, reference.values, self.temperature)
        maps = grid(torch.cat([found.values, found.best[:, None]], dim=1), (features.shape[-2], features.shape[-1]))
        return GlobalMatch(maps[:, :3], maps[:, 3:])

    def forward(
        self, match: GlobalMatch, features: MatchingFeatures, luminance: Tensor, style: ReferenceStyle
    ) -> Tensor:
        """What the coarse stage says on the fine grid.

        Args:
            match: from ``match``, of N targets.
            features: of the targets.
            luminance: L* (N, 1, h, w) on the fine grid.
            style: of the N references.

        Returns:
            a*, b* (N, 2, h, w).
        """
        found = F.interpolate(match.lab, luminance.shape[-2:], mode="bilinear", align_corners=False)
        plain = pale_highlights(found[:, 1:], luminance, found[:, :1], self.highlight_softness)
        return plain + self._correct(match, features, luminance, style)

    def _correct(
        self, match: GlobalMatch, features: MatchingFeatures, luminance: Tensor, style: ReferenceStyle
    ) -> Tensor:
        taken = {b: self.take[str(b)](features.maps[b] * features.maps[b].shape[1] ** 0.5) for b in self.blocks}
        middle, fine = taken[10], taken[4]
        light = resize(luminance, match.best.shape[-2:]) / 50 - 1
        semantic = torch.cat([match.lab[:, :1] / 50 - 1, match.lab[:, 1:] / style.unit, match.best, light], dim=1)
        x = middle + resize(taken[15], middle.shape[-2:]) + resize(self.semantic(semantic), middle.shape[-2:])
        for block in self.coarse:
            x = block(x, style.code)
        x = self.fine(fine + resize(self.narrow(x), fine.shape[-2:]), style.code)
        correction = self.correction(F.relu(x)) * style.unit
        return F.interpolate(correction, luminance.shape[-2:], mode="bilinear", align_corners=False)
