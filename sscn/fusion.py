"""Fusion: local detail and global style become one answer.

In two steps. ``CalmFusion`` needs no training: the match's colour where it is trusted, calm colour of the surroundings
where not. ``FusionDecoder`` (the paper's fusion decoder, with skips from the encoder) weighs the candidates anew and
adds what is missing; it starts as no correction at all.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.alignment import AlignedReference
from sscn.guided_filter import apply_model, guided_model
from sscn.layers import ResidualBlock
from sscn.local_detail import LocalMatch
from sscn.matching import BLOCK_CHANNELS, MatchingFeatures, lengths, resize
from sscn.presets import Preset

_LIGHT_UNIT = 25.0
"""Differences of L* are divided by this on their way into learned layers."""
_MISFIT_UNIT = 5.0
"""Also of L*, where the alignment tells how well a place fits."""


class CalmFusion(nn.Module):
    """Joins both stages by confidence.

    The calm colour is a smooth function of luminance over a large neighbourhood, fitted to what is trusted there, so
    that plain ground without a match does not turn blotchy.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.style_strength = preset.style_strength
        self.calm_extent = preset.calm_extent
        self.calm_epsilon = preset.calm_epsilon
        self.trusted = preset.trusted
        self.plausible = preset.plausible

    def forward(self, fine: Tensor, style: Tensor, confidence: Tensor, guide: Tensor) -> Tensor:
        """Chroma of both stages (N, 2, h, w), confidence and guide (N, 1, h, w) -> chroma (N, 2, h, w)."""
        strength = self.style_strength * (confidence / self.plausible).clamp(max=1)
        # what neither stage is sure of: the match as far as it is trusted, the style for the rest
        mixed = confidence * fine + (1 - confidence) * strength * style
        radius = max(2, round(max(guide.shape[-2:]) * self.calm_extent))
        # 0.05: where nothing around is trusted, all of it counts alike
        model = guided_model(guide, mixed, radius, self.calm_epsilon, weight=confidence + 0.05)
        # the power keeps middling confidence, where matches are wrong more often than right, on the calm side
        trust = (confidence / self.trusted).clamp(max=1) ** 1.5
        return trust * fine + (1 - trust) * apply_model(model, guide)


class Candidates(NamedTuple):
    """Everything the decoder weighs; N targets."""

    calm: Tensor
    """(N, 2, h, w) chroma by ``CalmFusion`` on the fine grid."""
    style: Tensor
    """(N, 2, h, w) chroma of the coarse stage."""
    style_best: Tensor
    """(N, 1, h, w) greatest similarity of the semantic match."""
    match: LocalMatch
    """The fine stage's findings."""
    aligned: AlignedReference
    """The reference, put where the match says."""
    confidence: Tensor
    """(N, 1, h, w) by ``match_confidence``."""
    unit: Tensor
    """(N, 1, 1, 1), ``chroma_unit`` of the references."""


class FusedChroma(NamedTuple):
    """The answer."""

    ab: Tensor
    """(N, 2, H / 2, W / 2)."""
    coarse_ab: Tensor
    """(N, 2, h, w), the answer before the half-size step; training looks at it."""
    confidence: Tensor
    """(N, 1, h, w), 0..1."""


class FusionDecoder(nn.Module):
    """A small U-Net on the fine grid with skips from the encoder, and a step at half size that sharpens edges."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        quarter, eighth, sixteenth, half = preset.fusion_channels
        self.edge_radius, self.edge_epsilon = preset.edge_radius, preset.edge_epsilon
        self.take = nn.ModuleDict(
            {str(b): nn.Conv2d(BLOCK_CHANNELS[b], width, 1) for b, width in ((2, 16), (4, eighth), (10, sixteenth))}
        )
        self.begin = nn.Conv2d(20 + 16, quarter, 3, padding=1)
        self.quarter_in = ResidualBlock(quarter)
        self.to_eighth = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.eighth_in = ResidualBlock(eighth)
        self.to_sixteenth = nn.Conv2d(eighth, sixteenth, 3, stride=2, padding=1)
        self.sixteenth = nn.ModuleList([ResidualBlock(sixteenth) for _ in range(2)])
        self.from_sixteenth = nn.Conv2d(sixteenth, eighth, 1)
        self.eighth_out = ResidualBlock(eighth)
        self.from_eighth = nn.Conv2d(eighth, quarter, 1)
        self.quarter_out = ResidualBlock(quarter)
        self.answer = _zero(nn.Conv2d(quarter, 6, 1))
        self.from_quarter = nn.Conv2d(quarter, half, 1)
        self.half_in = nn.Conv2d(BLOCK_CHANNELS[0] + 9, half, 3, padding=1)
        self.half_out = nn.Conv2d(half, half, 3, padding=1)
        self.half_answer = _zero(nn.Conv2d(half, 3, 3, padding=1))

    def forward(self, given: Candidates, features: MatchingFeatures, luminance: Tensor) -> FusedChroma:
        """Candidates, encoder maps and L* (N, 1, H, W) of the targets -> chroma at half size."""
        size, half_size = given.calm.shape[-2:], given.aligned.lab.shape[-2:]
        light = resize(luminance, size)
        light_half = resize(luminance, half_size)
        aligned = resize(given.aligned.lab, size)
        x = self._body(given, aligned, light, features)
        answer = self.answer(x)
        ab = given.calm + answer[:, :2] * given.unit
        others = (given.match.ab, given.style, aligned[:, 1:])
        weights = torch.tanh(answer[:, 2:5])
        for number, other in enumerate(others):
            ab = ab + weights[:, number : number + 1] * (other - given.calm)
        confidence = torch.sigmoid(torch.logit(given.confidence, eps=1e-4) + answer[:, 5:])
        return FusedChroma(self._sharpen(x, ab, given, features, light_half), ab, confidence)

    def _body(self, given: Candidates, aligned: Tensor, light: Tensor, features: MatchingFeatures) -> Tensor:
        match = given.match
        difference = (aligned[:, :1] - light) / _LIGHT_UNIT
        seen = torch.cat(
            [
                light / 50 - 1,
                (match.luminance - light) / _LIGHT_UNIT,
                difference,
                difference.abs(),
                match.ab / given.unit,
                given.style / given.unit,
                given.calm / given.unit,
                aligned[:, 1:] / given.unit,
                resize(given.aligned.misfit, light.shape[-2:]) / _MISFIT_UNIT,
                4 * match.spread / given.unit,
                match.best,
                given.style_best,
                torch.log1p(match.scatter),
                given.confidence,
                lengths(match.ab - given.style) / given.unit,
                lengths(match.ab - aligned[:, 1:]) / given.unit,
            ],
            dim=1,
        )
        taken = {b: self.take[str(b)](features.maps[b] * features.maps[b].shape[1] ** 0.5) for b in (2, 4, 10)}
        quarter = self.quarter_in(self.begin(torch.cat([seen, resize(taken[2], light.shape[-2:])], dim=1)))
        eighth = self.to_eighth(F.leaky_relu(quarter, 0.2))
        eighth = self.eighth_in(eighth + resize(taken[4], eighth.shape[-2:]))
        sixteenth = self.to_sixteenth(F.leaky_relu(eighth, 0.2))
        sixteenth = sixteenth + resize(taken[10], sixteenth.shape[-2:])
        for block in self.sixteenth:
            sixteenth = block(sixteenth)
        eighth = self.eighth_out(eighth + resize(self.from_sixteenth(sixteenth), eighth.shape[-2:]))
        out: Tensor = self.quarter_out(quarter + resize(self.from_eighth(eighth), quarter.shape[-2:]))
        return F.leaky_relu(out, 0.2)

    def _sharpen(self, x: Tensor, ab: Tensor, given: Candidates, features: MatchingFeatures, light: Tensor) -> Tensor:
        """Half size: colour along the luminance's edges, corrected by what the aligned reference shows."""
        size = light.shape[-2:]
        guide = light / 100
        model = guided_model(guide, resize(ab, size), self.edge_radius, self.edge_epsilon)
        followed = apply_model(model, guide)
        aligned = given.aligned.lab[:, 1:]
        difference = (given.aligned.lab[:, :1] - light) / _LIGHT_UNIT
        map_ = resize(features.maps[0], size)
        seen = [map_ * map_.shape[1] ** 0.5, light / 50 - 1, followed / given.unit, aligned / given.unit]
        seen += [given.aligned.misfit / _MISFIT_UNIT, difference, difference.abs()]
        seen += [lengths(aligned - followed) / given.unit]
        y = self.half_in(torch.cat(seen, dim=1)) + resize(self.from_quarter(x), size)
        y = F.relu(self.half_out(F.relu(y))) + y
        answer = self.half_answer(F.relu(y))
        weight = torch.tanh(answer[:, 2:])
        sharp: Tensor = followed + weight * (aligned - followed) + answer[:, :2] * given.unit
        return sharp


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights that say nothing yet."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
