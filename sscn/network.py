"""The Semantic-Sparse Colorization Network, its explicit core.

Bai et al., "Semantic-Sparse Colorization Network for Deep Exemplar-based Colorization" (ECCV 2022): coarse to fine.
The paper first transfers the reference's global style, then local detail by sparse attention to the reference, and
fuses both. Here both stages carry the reference's chroma over explicitly, and the match's confidence fuses them:
where a place has a good match, its colour; where not, the calm global style. Learned parts join at the same three
places (``GlobalStyle``, ``LocalDetailTransfer``, ``Fusion``) as corrections that start at zero.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.attention import Attended, KeyClusters, attend, attend_routed, cluster_keys
from sscn.confidence import MatchStatistics, match_confidence
from sscn.efficientnet import EfficientNetLite0
from sscn.guided_filter import apply_model, guided_model
from sscn.matching import FeatureExtractor, grid, tokens
from sscn.presets import Preset

Attention = Literal["sparse", "dense"]


@dataclass(frozen=True)
class EncodedReference:
    """Everything of a reference that does not depend on the target; computed once, used for every image or frame."""

    fine_keys: Tensor
    """(K, D) matching features at 1/4, unit length, in the order of ``clusters``."""
    fine_values: Tensor
    """(K, 4): L*, a*, b*, and a*^2 + b*^2 (for the spread); same order."""
    clusters: KeyClusters
    """Of ``fine_keys``, for sparse attention."""
    coarse_keys: Tensor
    """(K', D') semantic features at 1/16, unit length."""
    coarse_values: Tensor
    """(K', 3): L*, a*, b*."""


class PredictedChroma(NamedTuple):
    """What the network says about one target, at the size it worked at."""

    ab: Tensor
    """a*, b*, (1, 2, H, W)."""
    confidence: Tensor
    """0..1, (1, 1, H, W)."""


class GlobalStyle(nn.Module):
    """Coarse stage: each place takes the average colour of what is semantically like it, broadly."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.temperature = preset.coarse_temperature
        self.highlight_softness = preset.highlight_softness

    def forward(self, features: Tensor, luminance: Tensor, reference: EncodedReference) -> tuple[Tensor, Tensor]:
        """Coarse features (1, D', h', w'), L* (1, 1, h, w) -> chroma (1, 2, h, w) and best similarity (1, 1, h, w)."""
        found = attend(tokens(features), reference.coarse_keys, reference.coarse_values, self.temperature)
        maps = grid(torch.cat([found.values, found.best[:, None]], dim=1), (features.shape[-2], features.shape[-1]))
        maps = F.interpolate(maps, luminance.shape[-2:], mode="bilinear", align_corners=False)
        return _pale_highlights(maps[:, 1:3], luminance, maps[:, :1], self.highlight_softness), maps[:, 3:]


class LocalDetailTransfer(nn.Module):
    """Fine stage: each place takes the colour of the places in the reference that match it."""

    def __init__(self, preset: Preset, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.temperature = preset.temperature
        self.routes = preset.routes
        self.highlight_softness = preset.highlight_softness

    def forward(
        self, features: Tensor, luminance: Tensor, reference: EncodedReference
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fine features (1, D, h, w), L* (1, 1, h, w) -> chroma (1, 2, h, w), its spread and the best similarity
        (1, 1, h, w)."""
        found = self._attend(tokens(features), reference)
        maps = grid(torch.cat([found.values, found.best[:, None]], 1), (features.shape[-2], features.shape[-1]))
        found_luminance, ab, square, best = maps[:, :1], maps[:, 1:3], maps[:, 3:4], maps[:, 4:]
        spread = (square - ab.square().sum(dim=1, keepdim=True)).clamp_min(0).sqrt()
        ab = _pale_highlights(ab, luminance, found_luminance, self.highlight_softness)
        return ab, spread, best

    def _attend(self, queries: Tensor, reference: EncodedReference) -> Attended:
        keys, values = reference.fine_keys, reference.fine_values
        if self.attention == "dense":
            return attend(queries, keys, values, self.temperature)
        return attend_routed(queries, keys, values, reference.clusters, self.routes, self.temperature)


class Fusion(nn.Module):
    """Joins both stages: the match's colour where it is trusted, calm colour of the surroundings where it is not.

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
        """Chroma of both stages (1, 2, h, w), confidence and guide (1, 1, h, w) -> chroma (1, 2, h, w)."""
        strength = self.style_strength * (confidence / self.plausible).clamp(max=1)
        # what neither stage is sure of: the match as far as it is trusted, the style for the rest
        mixed = confidence * fine + (1 - confidence) * strength * style
        radius = max(2, round(max(guide.shape[-2:]) * self.calm_extent))
        # 0.05: where nothing around is trusted, all of it counts alike
        model = guided_model(guide, mixed, radius, self.calm_epsilon, weight=confidence + 0.05)
        # the power keeps middling confidence, where matches are wrong more often than right, on the calm side
        trust = (confidence / self.trusted).clamp(max=1) ** 1.5
        return trust * fine + (1 - trust) * apply_model(model, guide)


class SSCN(nn.Module):
    """Grey target + colour reference -> chroma. Tensors in, tensors out; pictures are the Colorizer's business."""

    def __init__(self, preset: Preset, attention: Attention, encoder: EfficientNetLite0) -> None:
        super().__init__()
        self.preset = preset
        self.extract = FeatureExtractor(encoder, preset)
        self.global_style = GlobalStyle(preset)
        self.local_detail = LocalDetailTransfer(preset, attention)
        self.fusion = Fusion(preset)

    def encode_reference(self, lab: Tensor) -> EncodedReference:
        """Lab (1, 3, H, W) of the reference -> all that targets need of it."""
        features = self.extract(lab[:, :1])
        fine = F.adaptive_avg_pool2d(lab, features.fine.shape[-2:])
        fine_values = torch.cat([fine, fine[:, 1:].square().sum(dim=1, keepdim=True)], dim=1)
        fine_keys = tokens(features.fine)
        clusters = cluster_keys(fine_keys, self.preset.clusters)
        return EncodedReference(
            fine_keys=fine_keys[clusters.order],
            fine_values=tokens(fine_values)[clusters.order],
            clusters=clusters,
            coarse_keys=tokens(features.coarse),
            coarse_values=tokens(F.adaptive_avg_pool2d(lab, features.coarse.shape[-2:])),
        )

    def forward(self, luminance: Tensor, reference: EncodedReference) -> PredictedChroma:
        """Chroma for a target.

        Args:
            luminance: L* (1, 1, H, W), 0..100, at the working size.
            reference: from ``encode_reference``, on the same device.
        """
        features = self.extract(luminance)
        small = _shrink(luminance, (features.fine.shape[-2], features.fine.shape[-1]))
        fine, spread, best = self.local_detail(features.fine, small, reference)
        style, style_best = self.global_style(features.coarse, small, reference)
        confidence = match_confidence(MatchStatistics(fine, style, spread, best, style_best))
        ab = self.fusion(fine, style, confidence, small / 100)
        full = F.interpolate(
            torch.cat([ab, confidence], dim=1), luminance.shape[-2:], mode="bilinear", align_corners=False
        )
        guide = luminance / 100
        model = guided_model(guide, full[:, :2], self.preset.edge_radius, self.preset.edge_epsilon)
        return PredictedChroma(ab=apply_model(model, guide), confidence=full[:, 2:].clamp(0, 1))


def _shrink(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size, mode="bilinear", align_corners=False, antialias=True)


def _pale_highlights(ab: Tensor, luminance: Tensor, found_luminance: Tensor, softness: float) -> Tensor:
    """Weaken chroma that is brought to a brighter place than it comes from, as there is less room for it there.

    Without this the green of a meadow in half light turns neon on a field in full sun.

    Args:
        ab: chroma from the reference, (1, 2, h, w).
        luminance: the target's L*, (1, 1, h, w).
        found_luminance: L* where the chroma comes from, (1, 1, h, w).
        softness: 0 leaves chroma as it is; 1 scales it with the distance from white.
    """
    room = (100 - luminance).clamp_min(1) / (100 - found_luminance).clamp_min(1)
    return ab * room.clamp(max=1) ** softness
