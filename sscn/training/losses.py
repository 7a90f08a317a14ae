"""What training minimises.

From the paper: smooth L1 of both stages and total variation. Ours: the match itself is trained, by where a place is
known to lie and by the colour it brings; chroma gradients count extra, against bleeding; the confidence is a
probability and trained as one.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sscn.fusion import FusedChroma
from sscn.local_detail import LocalMatch
from sscn.matching import lengths, resize
from sscn.training.pairs import TrainingPair

RIGHT_WITHIN = 12.0
"""A match is right when its chroma lies within so many units of the true a*, b*."""
PALE = 0.6
"""How much of the true chroma is wanted where the reference says nothing."""
_BETA = 4.0
"""Units of a*, b* below which an error counts squared."""


class Losses(NamedTuple):
    """Parts of one batch's loss, each a scalar, weighted."""

    place: Tensor
    """Cross-entropy of the attention against the known place."""
    match: Tensor
    """Colour that the attention brings."""
    style: Tensor
    """Coarse stage."""
    fine: Tensor
    """The answer, on the fine grid and at half size."""
    strength: Tensor
    """Its length alone: in doubt about the hue the other losses are least for grey."""
    gradient: Tensor
    """Its chroma gradients."""
    variation: Tensor
    """Total variation where the reference says nothing."""
    confidence: Tensor
    """Binary cross-entropy of the confidence."""

    def total(self) -> Tensor:
        """Their sum."""
        return torch.stack(list(self)).sum()


def matching_losses(
    queries: Tensor, keys: Tensor, chosen: Tensor, pair: TrainingPair, size: tuple[int, int], temperature: float
) -> tuple[Tensor, Tensor]:
    """Losses of the matching features.

    Args:
        queries: (N, Q, D) unit features of the chosen places of the targets.
        keys: (N, K, D) unit features of all places of the references.
        chosen: (Q,) which places of the fine grid the queries are.
        pair: the batch.
        size: height and width of the fine grid, of targets and references alike.
        temperature: of the attention.

    Returns:
        Cross-entropy against the known place, and smooth L1 of the colour brought.
    """
    log_weights = torch.log_softmax(queries @ keys.transpose(1, 2) / temperature, dim=2)
    at_grid = [resize(maps, size).flatten(2)[:, :, chosen] for maps in (pair.place, pair.visible, pair.truth)]
    place, visible, truth = at_grid
    known = (visible[:, 0] > 0.99).float()
    cross = -_bilinear_gather(log_weights, place, size)
    reference = resize(pair.reference[:, 1:], size).flatten(2).transpose(1, 2)
    brought = (log_weights.exp() @ reference).transpose(1, 2)
    related = pair.related[:, None].expand_as(known)
    colour = _smooth_l1(brought, truth).mean(dim=1)
    return _mean(cross, known), _mean(colour, related)


def answer_losses(fused: FusedChroma, style: Tensor, match: LocalMatch, pair: TrainingPair) -> tuple[Tensor, ...]:
    """Losses of everything behind the matching: style, fine, strength, gradient, variation, confidence."""
    related = pair.related[:, None, None, None]
    # what an unrelated reference cannot tell is asked for gently, and pale: no evidence, little colour
    weight, strength = 0.3 + 0.7 * related, PALE + (1 - PALE) * related
    half = resize(pair.truth, fused.ab.shape[-2:]) * strength
    quarter = resize(pair.truth, fused.coarse_ab.shape[-2:]) * strength
    fine = (_smooth_l1(fused.ab, half) * weight).mean() + 0.5 * (_smooth_l1(fused.coarse_ab, quarter) * weight).mean()
    chroma = (_smooth_l1(lengths(fused.ab), lengths(half)) * weight).mean()
    coarse_truth = resize(quarter, (quarter.shape[-2] // 2, quarter.shape[-1] // 2))
    coarse = (_smooth_l1(resize(style, coarse_truth.shape[-2:]), coarse_truth) * weight).mean()
    gradient = sum(
        (_smooth_l1(ours, true) * related).mean() for ours, true in zip(_slopes(fused.ab), _slopes(half), strict=True)
    )
    variation = sum((slope.abs() * (1 - related)).mean() for slope in _slopes(fused.coarse_ab))
    right = (lengths(match.ab - resize(pair.truth, quarter.shape[-2:])) < RIGHT_WITHIN).float()
    confidence = F.binary_cross_entropy(fused.confidence.clamp(1e-4, 1 - 1e-4), right)
    assert isinstance(gradient, Tensor)
    assert isinstance(variation, Tensor)
    return coarse, fine, chroma, gradient, variation, confidence


def _smooth_l1(ours: Tensor, true: Tensor) -> Tensor:
    return F.smooth_l1_loss(ours, true, reduction="none", beta=_BETA)


def _slopes(ab: Tensor) -> tuple[Tensor, Tensor]:
    return ab[..., 1:] - ab[..., :-1], ab[..., 1:, :] - ab[..., :-1, :]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1)


def _bilinear_gather(rows: Tensor, place: Tensor, size: tuple[int, int]) -> Tensor:
    """Read each row (N, Q, h * w), taken as a grid of ``size``, bilinearly at ``place`` (N, 2, Q): (N, Q)."""
    height, width = size
    x = ((place[:, 0] + 1) * width / 2 - 0.5).clamp(0, width - 1)
    y = ((place[:, 1] + 1) * height / 2 - 0.5).clamp(0, height - 1)
    left, top = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    corners = [(left + dx, top + dy) for dy in (0, 1) for dx in (0, 1)]
    shares = torch.stack([(1 - (x - u).abs()) * (1 - (y - v).abs()) for u, v in corners], dim=2)
    index = torch.stack([v * width + u for u, v in corners], dim=2).long()
    # one gather: its gradient fills a tensor of the size of ``rows``
    return (shares * rows.gather(2, index)).sum(dim=2)
