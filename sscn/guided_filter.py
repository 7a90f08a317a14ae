"""Guided filter: chroma that follows the edges of the luminance.

He, Sun & Tang, "Guided Image Filtering" (TPAMI 2013), and its fast form (He & Sun, arXiv 1505.00996): the local
linear model ab = slope * L + offset is fitted where chroma is known, and evaluated on the full-size luminance.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean over (2 radius + 1) squared windows, borders replicated: (N, C, H, W) -> same shape."""
    length = 2 * radius + 1
    padded = F.pad(x, (radius, radius, radius, radius), mode="replicate")
    return _sliding_sums(_sliding_sums(padded, length, -2), length, -1) / length**2


def _sliding_sums(x: Tensor, length: int, dim: int) -> Tensor:
    """Sums of ``length`` neighbours, by doubling: as exact as a plain sum, unlike running sums, and faster."""
    count = x.shape[dim] - length + 1
    total: Tensor | None = None
    done, covered = 0, 1
    while True:
        if length & covered:
            part = x.narrow(dim, done, count)
            total = part if total is None else total + part
            done += covered
        if 2 * covered > length:
            assert total is not None
            return total
        pairs = x.shape[dim] - covered
        x = x.narrow(dim, 0, pairs) + x.narrow(dim, covered, pairs)
        covered *= 2


def guided_model(guide: Tensor, values: Tensor, radius: int, epsilon: float, weight: Tensor | None = None) -> Tensor:
    """Fit the local linear model of ``values`` in ``guide``.

    Args:
        guide: L* / 100, (N, 1, H, W).
        values: what to smooth, (N, C, H, W).
        radius: window radius in pixels of this grid.
        epsilon: variance of the guide below which a window counts as plain ground.
        weight: trust in each value, (N, 1, H, W), > 0; None for equal trust.

    Returns:
        slopes and offsets, (N, 2 C, H, W): ``values ~ slopes * guide + offsets``.
    """
    if weight is None:
        weight = torch.ones_like(guide)
    channels = values.shape[1]
    stacked = torch.cat([weight, weight * guide, weight * guide * guide, weight * values, weight * guide * values], 1)
    means = box_mean(stacked, radius)
    moments = means[:, 1:] / means[:, :1].clamp_min(1e-6)
    mean_guide, mean_square = moments[:, 0:1], moments[:, 1:2]
    mean_values, mean_product = moments[:, 2 : 2 + channels], moments[:, 2 + channels :]
    slope = (mean_product - mean_guide * mean_values) / (mean_square - mean_guide * mean_guide + epsilon)
    offset = mean_values - slope * mean_guide
    return box_mean(torch.cat([slope, offset], 1), radius)


def guided_slope(guide: Tensor, values: Tensor, radius: int, epsilon: float) -> Tensor:
    """The slopes of ``guided_model`` alone, with equal trust in all values: (N, C, H, W)."""
    channels = values.shape[1]
    means = box_mean(torch.cat([guide, guide * guide, values, guide * values], 1), radius)
    mean_guide, mean_square = means[:, :1], means[:, 1:2]
    covariance = means[:, 2 + channels :] - mean_guide * means[:, 2 : 2 + channels]
    return box_mean(covariance / (mean_square - mean_guide * mean_guide + epsilon), radius)


def apply_model(model: Tensor, guide: Tensor) -> Tensor:
    """Evaluate ``guided_model`` on ``guide`` (N, 1, H, W) of the model's own size -> (N, C, H, W)."""
    slope, offset = model.chunk(2, dim=1)
    return slope * guide + offset
