"""The paper's training loss: no adversarial and no perceptual term.

Ours, where the paper is silent: smooth-L1 turns linear at 1 of the normalised chroma; total variation is that of the
final chroma, mean absolute difference of neighbours; a bin is the nearest one of the mean chroma around a position.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from sscn.paper.chroma import AB_SCALE, ab_bins
from sscn.paper.network import PaperPrediction, PaperReference

COARSE_WEIGHT = 100.0
FINE_WEIGHT = 100.0
CLASS_WEIGHT = 0.1
VARIATION_WEIGHT = 10.0
BIN_WEIGHT = 1.0


@dataclass(frozen=True)
class PaperLosses:
    """The terms, unweighted, each a scalar."""

    coarse: Tensor
    """Smooth-L1 of the coarse stage's chroma."""
    fine: Tensor
    """Smooth-L1 of the final chroma."""
    variation: Tensor
    """Total variation of the final chroma."""
    bins: Tensor
    """Cross-entropy of the chroma's bin."""
    classes: Tensor | None
    """Cross-entropy of the reference's class; None without labels."""

    @property
    def total(self) -> Tensor:
        """The weighted sum, which training minimises."""
        total = COARSE_WEIGHT * self.coarse + FINE_WEIGHT * self.fine
        total = total + VARIATION_WEIGHT * self.variation + BIN_WEIGHT * self.bins
        return total if self.classes is None else total + CLASS_WEIGHT * self.classes


def paper_losses(
    prediction: PaperPrediction, reference: PaperReference, truth: Tensor, labels: Tensor | None = None
) -> PaperLosses:
    """All terms for a batch.

    Args:
        prediction: of the N targets.
        reference: theirs.
        truth: the targets' true a*, b*, (N, 2, H, W).
        labels: the references' ImageNet classes, int64 (N,); None where they are not known.
    """
    ab, bin_logits = prediction.ab, prediction.bin_logits
    rows = (ab[:, :, 1:] - ab[:, :, :-1]).abs().mean()
    columns = (ab[:, :, :, 1:] - ab[:, :, :, :-1]).abs().mean()
    wanted = ab_bins(F.adaptive_avg_pool2d(truth, (bin_logits.shape[-2], bin_logits.shape[-1])))
    return PaperLosses(
        coarse=F.smooth_l1_loss(prediction.coarse_ab / AB_SCALE, truth / AB_SCALE),
        fine=F.smooth_l1_loss(ab / AB_SCALE, truth / AB_SCALE),
        variation=(rows + columns) / AB_SCALE,
        bins=F.cross_entropy(bin_logits, wanted),
        classes=None if labels is None else F.cross_entropy(reference.class_logits, labels),
    )
