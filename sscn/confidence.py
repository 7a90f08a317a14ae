"""Match confidence: how likely is it that the colour a place was matched with is right?

A logistic model of five statistics of the match. Its coefficients were fitted by maximum likelihood on 84 pairs made
of 28 freely licensed photographs whose true colours are known (the other half of the same picture, the semantically
nearest other picture, an unrelated one, the same one moved a little), matched with the encoder's own features; "right"
means within 12 units of the true a*, b*. The fusion decoder, which is trained with them as they are, corrects them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sscn.matching import lengths


@dataclass(frozen=True)
class MatchStatistics:
    """What is known of a match, each (1, C, h, w) on the fine grid."""

    fine: Tensor
    """Chroma by the fine match, a* and b*."""
    coarse: Tensor
    """Chroma by the semantic match, a* and b*."""
    spread: Tensor
    """Standard deviation of the chroma among the keys attended to, in units of a*, b*."""
    best: Tensor
    """Greatest cosine similarity of the fine match."""
    coarse_best: Tensor
    """Greatest cosine similarity of the semantic match."""


def match_confidence(match: MatchStatistics) -> Tensor:
    """Probability 0..1 that the fine match's chroma is right, (1, 1, h, w), agreed with its neighbours."""
    disagreement = lengths(match.fine - match.coarse)
    chroma = lengths(match.fine)
    logit = (
        1.03
        + 3.75 * (match.best - 0.6)
        + 6.07 * (match.coarse_best - 0.45)
        - 0.84 * (match.spread / 10 - 0.6)
        - 0.25 * (disagreement / 10 - 0.6)
        - 0.36 * (chroma / 20 - 0.6)
    )
    return F.avg_pool2d(torch.sigmoid(logit), 3, stride=1, padding=1, count_include_pad=False)
