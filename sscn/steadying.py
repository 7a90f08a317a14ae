"""Steady colour: a causal filter of chroma along the motion of the luminance.

Each frame's own chroma is averaged with what was there before, carried along by the motion. How much the past counts is
its accumulated confidence; it is forgotten where the luminance, carried along likewise, is another one. What held still
is not moved at all, so that it does not blur.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sscn.guided_filter import box_mean
from sscn.network import PredictedChroma

_MOST_WEIGHT = 12.0
"""Sure frames that the past counts for at most."""
_LEAST_CONFIDENCE = 0.05
"""A frame that is sure of nothing counts for so much."""
_MOTION_PRICE = 0.1
"""L* by which a place must fit better moved than still to be taken for moved."""
_MISFIT = 1.0
"""L*: where it differs by so much more than grain does, the past counts for 1 / e."""
_GRAIN_SHARE, _MOST_GRAIN = 2.0, 1.5
"""The median difference of L* is taken for grain, up to the one; ``_MISFIT`` grows by the other times that."""
_LIGHT_RADIUS, _LIGHT_CHANGE = 8, 2.0
"""Pixels, L*: what differs alike around a place is a change of light, up to that."""
_LEAST_KNOWN, _WELL_KNOWN = 0.5, 0.65
"""Parts of the picture: if less than the one fits, it is another picture, and nothing is carried over. Measured: 0.73
and more inside shots, 0.4 and less across cuts."""
_OTHER_COLOUR = 40.0
"""Units of a*, b* between past and present at which the past counts for 1 / e, whatever the luminance says."""
_EXPOSURE_ROUNDS, _EXPOSURE_OUTLIER = 3, 4.0
_EXPOSURE_PRIOR = 10.0
"""Variance of L* that pulls the gain of an exposure to 1: a plain picture has none."""


class Held(NamedTuple):
    """What one frame leaves to the next one."""

    ab: Tensor
    """Chroma as it was shown, (1, 2, h, w)."""
    weight: Tensor
    """How many sure frames it stands for, (1, 1, h, w)."""
    luminance: Tensor
    """L*, (1, 1, h, w)."""


def begun(now: PredictedChroma, luminance: Tensor) -> Held:
    """A frame for itself."""
    return Held(now.ab, now.confidence.clamp_min(_LEAST_CONFIDENCE), luminance)


def steadied(now: PredictedChroma, luminance: Tensor, before: Held, motion: Tensor) -> Held:
    """A frame's chroma, steadied.

    Args:
        now: the frame's own chroma, (1, ., h, w).
        luminance: its L*, (1, 1, h, w).
        before: the frame before, of the same size.
        motion: where each place was in it, (1, 2, h, w): x, y in pixels from here.
    """
    there = torch.cat([before.ab, before.weight, before.luminance], 1)
    brought = carried(there, motion)
    still, moved = (exposed_like(luminance, past[:, 3:]) for past in (there, brought))
    misfits = [box_mean((luminance - past).abs(), 1) for past in (moved, still)]
    moves = (misfits[0] + _MOTION_PRICE < misfits[1]).to(motion.dtype)
    past = torch.lerp(there, brought, moves)
    ab, weight = past[:, :2], past[:, 2:3].clamp(0, _MOST_WEIGHT)
    known = same_things(luminance, torch.lerp(still, moved, moves)) * _inside(motion * moves)
    known = known * ((known.mean() - _LEAST_KNOWN) / (_WELL_KNOWN - _LEAST_KNOWN)).clamp(0, 1)
    apart = box_mean(now.ab - ab, 1).square().sum(1, keepdim=True)
    weight = weight * known * torch.exp(apart / -(_OTHER_COLOUR**2))
    own = now.confidence.clamp_min(_LEAST_CONFIDENCE)
    total = weight + own
    return Held(torch.lerp(ab, now.ab, own / total), total.clamp_max(_MOST_WEIGHT), luminance)


def carried(maps: Tensor, motion: Tensor) -> Tensor:
    """Maps (1, C, h, w) of the frame before where they have moved to by ``motion`` (1, 2, h, w); bicubic."""
    x, y = _sources(motion)
    height, width = maps.shape[-2:]
    places = torch.stack([(x + 0.5) * (2 / width) - 1, (y + 0.5) * (2 / height) - 1], 3)
    return F.grid_sample(maps, places, mode="bicubic", padding_mode="border", align_corners=False)


def exposed_like(luminance: Tensor, past: Tensor) -> Tensor:
    """``past`` with the gain and offset that bring it nearest to ``luminance``, both L* (1, 1, h, w).

    Fitted to what is alike, on a quarter of the places: those that are off by much are left out by and by.
    """
    here, there = luminance[..., ::2, ::2].contiguous(), past[..., ::2, ::2].contiguous()
    weight = torch.ones_like(there)
    gain, mean, mean_past = weight, weight, weight
    for _ in range(_EXPOSURE_ROUNDS):
        weight = weight / weight.sum()
        mean, mean_past = (weight * here).sum(), (weight * there).sum()
        centred = there - mean_past
        covariance = (weight * centred * (here - mean)).sum()
        gain = (covariance + _EXPOSURE_PRIOR) / ((weight * centred.square()).sum() + _EXPOSURE_PRIOR)
        gain = gain.clamp(0.8, 1.25)
        weight = torch.exp(((here - mean - centred * gain) / _EXPOSURE_OUTLIER).square().neg()) + 1e-3
    return (past - mean_past) * gain + mean


def same_things(luminance: Tensor, past: Tensor) -> Tensor:
    """How far luminance and its past, carried along, show the same, 0..1: L* (1, 1, h, w) -> (1, 1, h, w)."""
    difference = luminance - past
    difference = difference - box_mean(difference, _LIGHT_RADIUS).clamp(-_LIGHT_CHANGE, _LIGHT_CHANGE)
    misfit = difference.abs()
    grain = misfit[..., ::2, ::2].median().clamp_max(_MOST_GRAIN)
    return torch.exp(((misfit - grain).clamp_min(0) / (_MISFIT + _GRAIN_SHARE * grain)).square().neg())


def _sources(motion: Tensor) -> tuple[Tensor, Tensor]:
    """Where each place was before: x and y in pixels, each (1, h, w)."""
    height, width = motion.shape[-2:]
    x = torch.arange(width, device=motion.device)
    y = torch.arange(height, device=motion.device)[:, None]
    return x + motion[:, 0], y + motion[:, 1]


def _inside(motion: Tensor) -> Tensor:
    """1 where a place was in the picture before, else 0: (1, 1, h, w)."""
    x, y = _sources(motion)
    height, width = motion.shape[-2:]
    return ((x > -1) & (x < width) & (y > -1) & (y < height))[:, None].to(motion.dtype)
