"""Guided filter: chroma that follows the edges of the luminance.

He, Sun & Tang, "Guided Image Filtering" (TPAMI 2013), and its fast form (He & Sun, arXiv 1505.00996): the local
linear model ab = slope * L + offset is fitted where chroma is known, and evaluated on the full-size luminance.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean over (2 radius + 1) squared windows, borders replicated: (N, C, H, W) -> same shape."""
    if x.is_cuda:  # running sums are faster on the CPU, and not deterministic on CUDA
        padded = F.pad(x, (radius, radius, radius, radius), mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(padded, (2 * radius + 1, 1), stride=1), (1, 2 * radius + 1), stride=1)
    for dim, pad in ((-2, (0, 0, radius + 1, radius)), (-1, (radius + 1, radius, 0, 0))):
        sums = F.pad(x, pad, mode="replicate").cumsum(dim)
        length = x.shape[dim]
        x = (sums.narrow(dim, 2 * radius + 1, length) - sums.narrow(dim, 0, length)) / (2 * radius + 1)
    return x


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


def apply_model(model: Tensor, guide: Tensor) -> Tensor:
    """Evaluate ``guided_model`` on ``guide`` (N, 1, H, W) of the model's own size -> (N, C, H, W)."""
    slope, offset = model.chunk(2, dim=1)
    return slope * guide + offset
