"""Alignment: the reference's own pixels put where the match says, finer than the grid of the keys.

The match knows a place to a cell of four pixels and is unsure at borders of things that move apart. So each pixel
(at half size) tries the places of the cells around it, then small steps about the best of them, and keeps the one whose
surroundings look most like its own. After Barnes et al., "PatchMatch" (SIGGRAPH 2009), without its chance.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sscn.guided_filter import box_mean
from sscn.local_detail import LocalMatch, grid_places

_PATCH_RADIUS = 2
_LIGHT_RADIUS, _LIGHT_SHARE = 4, 0.7
"""So much of the mean difference of L* around a pixel is taken off: another exposure is no misfit, a wrong place is."""
_GREATEST_DIFFERENCE = 20.0
"""Of L*: beyond it a pixel is wrong, and no more wrong than others."""
_OWN_SHARE = 0.3
"""What the pixel itself counts beside the mean of its patch."""
_NEIGHBOUR_DISTANCE = 4
"""Pixels, at half size, of the cells whose places are tried: the next but one."""
_NEIGHBOUR_PRICE, _STEP_PRICE = 0.15, 0.02
"""L* by which another place must fit better to be preferred: calm ground stays calm."""
_STEPS = (1.0, 0.5)
"""Pixels, at half size."""
_CROSS = ((0, 1), (1, 0), (0, -1), (-1, 0))


class AlignedReference(NamedTuple):
    """The reference as the target's places see it."""

    lab: Tensor
    """L*, a*, b*, (N, 3, H / 2, W / 2)."""
    misfit: Tensor
    """(N, 1, H / 2, W / 2) how much its luminance around each place differs from the target's, in L*; with the price of
    the places preferred, at most 0.2."""


def align(match: LocalMatch, picture: Tensor, luminance: Tensor) -> AlignedReference:
    """Find each pixel's place in the reference.

    Args:
        match: from ``LocalDetailTransfer``, (N, C, h, w).
        picture: L*, a*, b* of the reference at half size, (N, 3, H', W').
        luminance: L* of the target at half size, (N, 1, H / 2, W / 2).

    Where the match is scattered the result means nothing; the fusion tells by the misfit.
    """
    size = (luminance.shape[-2], luminance.shape[-1])
    own = grid_places(*size, device=luminance.device)
    reference_light = picture[:, :1]

    def read(maps: Tensor, shift: Tensor) -> Tensor:
        places = (own + shift).permute(0, 2, 3, 1)
        return F.grid_sample(maps, places, mode="bilinear", padding_mode="border", align_corners=False)

    def misfit(shift: Tensor) -> Tensor:
        difference = read(reference_light, shift) - luminance
        difference = difference - _LIGHT_SHARE * box_mean(difference, _LIGHT_RADIUS)
        difference = difference.abs().clamp(max=_GREATEST_DIFFERENCE)
        return box_mean(difference, _PATCH_RADIUS) + _OWN_SHARE * difference

    cells = match.place - grid_places(match.place.shape[-2], match.place.shape[-1], match.place.device)
    best = F.interpolate(_calmed(cells, match.scatter), size, mode="bilinear", align_corners=False)
    least = misfit(best)

    def prefer(shift: Tensor, price: float) -> None:
        nonlocal best, least
        found = misfit(shift) + price
        # all of the one or all of the other: "where" with one choice for two numbers is several times slower
        best = torch.lerp(best, shift, (found < least).to(best.dtype))
        least = torch.minimum(found, least)

    near = F.interpolate(cells, size, mode="nearest")
    prefer(near, _NEIGHBOUR_PRICE)
    for y, x in _CROSS:
        prefer(_moved(near, y * _NEIGHBOUR_DISTANCE, x * _NEIGHBOUR_DISTANCE), _NEIGHBOUR_PRICE)
    pixel = (2 / picture.shape[-1], 2 / picture.shape[-2])
    for step in _STEPS:
        begin = best
        for y, x in _CROSS:
            by = torch.tensor([x * step * pixel[0], y * step * pixel[1]], device=picture.device)
            prefer(begin + by.view(1, 2, 1, 1), _STEP_PRICE)
    return AlignedReference(read(picture, best), least)


def _calmed(shift: Tensor, scatter: Tensor) -> Tensor:
    """Averaged among neighbours that are sure of their place, so that a lone wrong match does not tear the picture."""
    sure = 1 / (0.5 + scatter.square())
    return box_mean(sure * shift, 1) / box_mean(sure, 1).clamp_min(1e-6)


def _moved(maps: Tensor, down: int, right: int) -> Tensor:
    """Each place takes the value so many pixels above and to the left of it; borders repeated."""
    padded = F.pad(maps, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)), mode="replicate")
    return padded[..., max(-down, 0) : max(-down, 0) + maps.shape[-2], max(-right, 0) : max(-right, 0) + maps.shape[-1]]
