"""PaperSSCN: grey targets + colour references -> chroma, with the published layers."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.errors import SscnError
from sscn.keys import KEYS, cam_keys, strongest_class
from sscn.layers import SLOPE
from sscn.local_detail import Attention, Keys
from sscn.paper.chroma import AB_SCALE
from sscn.paper.encoders import SMALLEST_SIDE, ColourEncoder, ContentEncoder
from sscn.paper.fusion import FusionDecoder
from sscn.paper.image_transfer import StyleDecoder
from sscn.paper.transfer import Aligned, Alignment, ReferenceAttention, gather, matching_features
from sscn.presets import PAPER

DOUBT = 20.0
"""Units of a*, b* in spread and disagreement that divide the confidence by e (ours)."""


@dataclass(frozen=True)
class PaperReference:
    """All that depends on the references alone; computed once, used for every target or frame."""

    style: Tensor
    """(N, 64)."""
    keys: Tensor
    """(N, K, 960), unit length."""
    values: Tensor
    """(N, K, 512)."""
    colours: Tensor
    """a*, b* and a*^2 + b*^2 at the keys, (N, K, 3)."""
    class_logits: Tensor
    """(N, 1000), for training with labels."""

    def expand(self, count: int) -> "PaperReference":
        """The same for ``count`` targets; one reference serves them all.

        Raises:
            SscnError: there are several references, but not as many as targets.
        """
        if len(self.style) == count:
            return self
        if len(self.style) != 1:
            raise SscnError(f"{count} targets need 1 or {count} references, not {len(self.style)}")
        parts = (self.style, self.keys, self.values, self.colours, self.class_logits)
        return PaperReference(*(part.expand(count, *part.shape[1:]) for part in parts))


class PaperPrediction(NamedTuple):
    """What the network says about a batch of targets."""

    ab: Tensor
    """Final a*, b*, (N, 2, H, W)."""
    coarse_ab: Tensor
    """a*, b* of the coarse stage, (N, 2, H, W)."""
    bin_logits: Tensor
    """(N, 529, H / 4, W / 4), sizes rounded up."""
    confidence: Tensor
    """0..1, (N, 1, H, W); not part of the paper."""


class PaperSSCN(nn.Module):
    """Bai et al., "Semantic-Sparse Colorization Network for Deep Exemplar-based Colorization" (ECCV 2022).

    Image transfer gives the target the reference's style; local detail transfer then matches colour with colour, by
    attention to 512 keys (``sparse``) or to all positions (``dense``); the fusion decoder joins both.

    Ours: convolutions start with He's normal weights, the last one of each output with a tenth of that; the random half
    of the keys is drawn from a fixed seed, so that the same pictures give the same answer.
    """

    minimum_size = SMALLEST_SIDE
    """Pixels that a picture's sides have at least."""
    reference_type = PaperReference
    keys: Keys = "cam"

    def __init__(self, attention: Attention = "sparse") -> None:
        super().__init__()
        self.preset = PAPER
        self.attention: Attention = attention
        self.content = ContentEncoder()
        self.colour = ColourEncoder()
        self.image_transfer = StyleDecoder()
        self.match = ReferenceAttention()
        self.align = Alignment()
        self.fusion = FusionDecoder()
        self._initialise()

    def encode_reference(self, lab: Tensor, key_seed: int = 0) -> PaperReference:
        """Everything of the references that targets need.

        Args:
            lab: L*, a*, b* (N, 3, H, W), both sides at least 64.
            key_seed: of the random half of the sparse keys; training may vary it.

        Raises:
            SscnError: a side is shorter than 64 pixels.
        """
        _check_size(lab, "reference")
        pyramid = self.colour.pyramid(torch.cat([lab[:, :1] / 50 - 1, lab[:, 1:] / AB_SCALE], dim=1))
        code = self.colour.describe(pyramid[-1])
        features = matching_features(pyramid)
        grid = (features.shape[-2], features.shape[-1])
        positions = self._key_positions(code.class_maps, grid, key_seed)
        tokens = gather(features, positions)
        ab = gather(F.adaptive_avg_pool2d(lab[:, 1:], grid), positions)
        return PaperReference(
            style=code.style,
            keys=F.normalize(tokens, dim=2),
            values=self.match.values(tokens),
            colours=torch.cat([ab, ab.square().sum(dim=2, keepdim=True)], dim=2),
            class_logits=code.class_maps.mean(dim=(2, 3)),
        )

    def forward(self, luminance: Tensor, reference: PaperReference) -> PaperPrediction:
        """Chroma for targets.

        Args:
            luminance: L* (N, 1, H, W), 0..100, both sides at least 64.
            reference: from ``encode_reference``: N references, target by target, or one for all.

        Raises:
            SscnError: a side is shorter than 64 pixels, or the number of references does not fit.
        """
        _check_size(luminance, "target")
        reference = reference.expand(len(luminance))
        light = luminance / 50 - 1
        size = (luminance.shape[-2], luminance.shape[-1])
        coarse = self.image_transfer(self.content(light), reference.style, size)
        pyramid = self.colour.pyramid(torch.cat([light, coarse], dim=1))
        found = self.match(matching_features(pyramid), reference.keys, reference.values, reference.colours)
        half = (pyramid[1].shape[-2], pyramid[1].shape[-1])
        fused = self.fusion(self.align(found.features, half), pyramid)
        return PaperPrediction(
            ab=fused.ab * AB_SCALE,
            coarse_ab=coarse * AB_SCALE,
            bin_logits=fused.bin_logits,
            confidence=_confidence(found, coarse.detach() * AB_SCALE),
        )

    def at_half_size(self, luminance: Tensor, reference: PaperReference) -> PaperPrediction:
        """As ``forward``, chroma and confidence averaged to half the size, rounded up."""
        answer = self.forward(luminance, reference)
        size = (-(-luminance.shape[-2] // 2), -(-luminance.shape[-1] // 2))
        ab, confidence = (F.adaptive_avg_pool2d(maps, size) for maps in (answer.ab, answer.confidence))
        return answer._replace(ab=ab, confidence=confidence)

    def _key_positions(self, class_maps: Tensor, grid: tuple[int, int], seed: int) -> Tensor | None:
        """(N, K), or None for all positions of the grid."""
        if self.attention == "dense":
            return None
        return torch.stack([cam_keys(strongest_class(maps), grid, KEYS, seed) for maps in class_maps])

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for last in (self.image_transfer.to_ab, self.fusion.to_ab, self.fusion.to_bins, self.colour.classifier):
                last.weight.mul_(0.1)


def _confidence(found: Aligned, coarse_ab: Tensor) -> Tensor:
    """How sure the match's colour is (ours): the places attended to agree in colour, and the coarse stage with them."""
    with torch.no_grad():
        grid = (found.chroma.shape[-2], found.chroma.shape[-1])
        disagreement = F.adaptive_avg_pool2d(coarse_ab, grid) - found.chroma
        confidence = torch.exp(-(found.spread + disagreement.norm(dim=1, keepdim=True)) / DOUBT)
        return F.interpolate(confidence, coarse_ab.shape[-2:], mode="bilinear", align_corners=False).clamp(0, 1)


def _check_size(pictures: Tensor, what: str) -> None:
    height, width = pictures.shape[-2:]
    if min(height, width) < SMALLEST_SIDE:
        raise SscnError(
            f"the {what} is {width} x {height} pixels; the paper's network needs {SMALLEST_SIDE} or more each way"
        )
