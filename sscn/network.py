"""The Semantic-Sparse Colorization Network, preset ``default``.

Bai et al., "Semantic-Sparse Colorization Network for Deep Exemplar-based Colorization" (ECCV 2022): coarse to fine.
Image transfer brings the reference's global style, sparse semantic attention its local detail, and a decoder fuses
both. Here both stages carry the reference's chroma over explicitly, and what is learned corrects them, starting at
zero: an untrained network already is a working colorizer.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.alignment import AlignedReference, align
from sscn.attention import cluster_keys
from sscn.confidence import MatchStatistics, match_confidence
from sscn.efficientnet import EfficientNetLite0
from sscn.fusion import CalmFusion, Candidates, FusedChroma, FusionDecoder
from sscn.highlights import pale_highlights
from sscn.image_transfer import CoarseReference, GlobalMatch, GlobalStyle
from sscn.keys import cam_keys, class_activation
from sscn.local_detail import Attention, FineReference, Keys, LocalDetailTransfer, LocalMatch, fine_values
from sscn.matching import FeatureExtractor, MatchingFeatures, half_size, resize, tokens
from sscn.presets import Preset

NETWORK_VERSION = 4
"""Raised with every change of the arithmetic that changes pixels, so that finished copies are known to be of another
network even where weights and knobs are the same."""


@dataclass(frozen=True)
class DefaultReference:
    """Everything of a reference that does not depend on the target; computed once, used for every image or frame."""

    fine: FineReference
    coarse: CoarseReference


class PredictedChroma(NamedTuple):
    """What the network says about N targets, at the size it worked at or half of it."""

    ab: Tensor
    """a*, b*, (N, 2, H, W)."""
    confidence: Tensor
    """0..1, (N, 1, H, W)."""


class SSCN(nn.Module):
    """Grey target + colour reference -> chroma. Tensors in, tensors out; pictures are the Colorizer's business."""

    minimum_size = 32
    """Pixels that a picture's sides have at least: the encoder's stride, below which nothing is left to match."""
    reference_type = DefaultReference

    def __init__(self, preset: Preset, attention: Attention, encoder: EfficientNetLite0, keys: Keys = "routed") -> None:
        super().__init__()
        self.preset = preset
        self.attention = attention
        self.keys = keys
        self.extract = FeatureExtractor(encoder, preset)
        self.global_style = GlobalStyle(preset)
        self.local_detail = LocalDetailTransfer(preset)
        self.calm = CalmFusion(preset)
        self.decode = FusionDecoder(preset)

    def encode_reference(self, lab: Tensor) -> DefaultReference:
        """Lab (1, 3, H, W) of the reference -> all that targets need of it."""
        features = self.extract(lab[:, :1])
        height, width = features.fine.shape[-2:]
        keys = tokens(features.fine)
        values = tokens(fine_values(resize(lab, (height, width))))
        clusters = None
        if self.attention == "sparse":
            if self.keys == "cam":
                chosen = cam_keys(class_activation(self.extract.encoder, lab[:, :1]), (height, width))
            else:
                clusters = cluster_keys(keys, self.preset.cluster_size)
                chosen = clusters.order
            keys, values = keys[chosen], values[chosen]
        return DefaultReference(
            fine=FineReference(keys, values, clusters, picture=resize(lab, half_size(lab)), places=(height, width)),
            coarse=CoarseReference(
                keys=tokens(features.coarse),
                values=tokens(resize(lab, features.coarse.shape[-2:])),
                style=self.global_style.encode(features, lab),
            ),
        )

    def forward(self, luminance: Tensor, reference: DefaultReference) -> PredictedChroma:
        """Chroma for targets.

        Args:
            luminance: L* (N, 1, H, W), 0..100, at the working size.
            reference: from ``encode_reference``, on the same device; one for all targets.
        """
        return self._predict(luminance, reference, (luminance.shape[-2], luminance.shape[-1]))

    def at_half_size(self, luminance: Tensor, reference: DefaultReference) -> PredictedChroma:
        """As ``forward``, chroma and confidence only as fine as they are known: (N, ., H / 2, W / 2), rounded up."""
        return self._predict(luminance, reference, half_size(luminance))

    def _predict(self, luminance: Tensor, reference: DefaultReference, size: tuple[int, int]) -> PredictedChroma:
        """The answer, at ``size``. Features and fusion take all targets at once; each is matched for itself."""
        features = self.extract(luminance)
        light = resize(luminance, features.fine.shape[-2:])
        match, aligned = self.transfer(features, luminance, reference)
        found = [self.global_style.match(one, reference.coarse) for one in torch.split(features.coarse, 1)]
        semantic = GlobalMatch(*map(torch.cat, zip(*found, strict=True)))
        style = self.global_style(semantic, features, light, reference.coarse.style)
        unit = reference.coarse.style.unit
        fused = self.fuse(features, luminance, match, aligned, semantic, style, unit)
        ab, confidence = [resize(maps, size) for maps in (fused.ab, fused.confidence)]
        return PredictedChroma(ab=ab, confidence=confidence.clamp(0, 1))

    def transfer(
        self, features: MatchingFeatures, luminance: Tensor, reference: DefaultReference
    ) -> tuple[LocalMatch, AlignedReference]:
        """Fine matching and warp of N targets: the match, and the reference put where it says."""
        found = [self.local_detail(one, reference.fine) for one in torch.split(features.fine, 1)]
        match = LocalMatch(*map(torch.cat, zip(*found, strict=True)))
        picture = reference.fine.picture.expand(len(luminance), -1, -1, -1)
        return match, align(match, picture, resize(luminance, half_size(luminance)))

    def fuse(
        self,
        features: MatchingFeatures,
        luminance: Tensor,
        match: LocalMatch,
        aligned: AlignedReference,
        semantic: GlobalMatch,
        style: Tensor,
        unit: Tensor,
    ) -> FusedChroma:
        """Everything behind both stages, for N targets at once.

        ``style`` is the coarse stage's chroma, ``unit`` that of the references, see ``chroma_unit``.
        """
        light = resize(luminance, match.ab.shape[-2:])
        style_best = F.interpolate(semantic.best, light.shape[-2:], mode="bilinear", align_corners=False)
        confidence = match_confidence(MatchStatistics(match.ab, style, match.spread, match.best, style_best))
        # the same thing in another light keeps its chroma; what is only something alike may not
        doubt = self.preset.highlight_softness * (1 - confidence)
        pale = pale_highlights(match.ab, light, match.luminance, doubt)
        calm = self.calm(pale, style, confidence, light / 100)
        given = Candidates(calm, style, style_best, match, aligned, confidence, unit)
        fused: FusedChroma = self.decode(given, features, luminance)
        # on a blank card every place matches something, and means nothing
        return FusedChroma(*[maps * features.evidence for maps in fused])
