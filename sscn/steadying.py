"""Steady colour: a causal filter of chroma along the motion of the luminance.

Each frame's own chroma is averaged with what was there before, carried along by the motion. How much the past counts is
its accumulated confidence; it is forgotten where the luminance, carried along likewise, does not fit.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sscn.guided_filter import box_mean
from sscn.network import PredictedChroma

_MOST_WEIGHT = 12.0
"""Frames that the past counts for at most."""
_LEAST_CONFIDENCE = 0.05
"""A frame that is sure of nothing counts for so much."""
_LIGHT_RADIUS, _PATCH_RADIUS = 8, 1
_MISFIT = 3.0
"""L*: where the luminance fits that much worse than on the whole the past counts for 1 / e."""


class Held(NamedTuple):
    """What one frame leaves to the next one."""

    ab: Tensor
    """Chroma as it was shown, (1, 2, h, w)."""
    weight: Tensor
    """How many sure frames it stands for, (1, 1, h, w)."""
    luminance: Tensor
    """L*, (1, 1, h, w)."""


def carried(maps: Tensor, motion: Tensor) -> Tensor:
    """Maps (1, C, h, w) of the frame before, put where they have moved by ``motion`` (1, 2, h, w); bicubic."""
    height, width = maps.shape[-2:]
    x = (torch.arange(width, device=maps.device) + motion[:, 0] + 0.5) * (2 / width) - 1
    y = (torch.arange(height, device=maps.device)[:, None] + motion[:, 1] + 0.5) * (2 / height) - 1
    places = torch.stack([x, y], 3)
    return F.grid_sample(maps, places, mode="bicubic", padding_mode="border", align_corners=False)


def trust(luminance: Tensor, past: Tensor) -> Tensor:
    """How far the past is of the same things, 0..1, by the luminance of now and of before, carried along."""
    difference = luminance - past
    difference = difference - box_mean(difference, _LIGHT_RADIUS)
    misfit = box_mean(difference, _PATCH_RADIUS).abs()
    usual = misfit.mean()
    return torch.exp(-(((misfit - usual).clamp_min(0) / _MISFIT) ** 2))


def steadied(now: PredictedChroma, luminance: Tensor, before: Held, motion: Tensor) -> Held:
    """One frame's chroma, steadied.

    Args:
        now: the frame's own chroma, (1, ., h, w).
        luminance: its L*, (1, 1, h, w).
        before: the frame before.
        motion: from it to this one, (1, 2, h, w).
    """
    past = carried(torch.cat([before.ab, before.weight, before.luminance], 1), motion)
    ab, weight, then = past[:, :2], past[:, 2:3], past[:, 3:]
    weight = weight.clamp(0, _MOST_WEIGHT) * trust(luminance, then)
    own = now.confidence.clamp_min(_LEAST_CONFIDENCE)
    total = weight + own
    return Held(torch.lerp(ab, now.ab, own / total), total.clamp_max(_MOST_WEIGHT), luminance)


def begun(now: PredictedChroma, luminance: Tensor) -> Held:
    """The first frame as it is."""
    return Held(now.ab, now.confidence.clamp_min(_LEAST_CONFIDENCE), luminance)
