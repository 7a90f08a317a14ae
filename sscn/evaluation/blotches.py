"""Blotches: patches of chroma that nothing in the target's luminance accounts for."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import resize

from sscn.evaluation.metrics import Lab

GRID = 64
"""Samples along the long side at which blotches are looked for."""
LOCAL = 1 / 32
"""Standard deviation of the local average, as a part of the long side: the size of a blotch."""
WIDE = 1 / 6
"""Standard deviation of the wide average, as a part of the long side."""
LEVELS = 51
"""The wide average is taken among places of like luminance: in bands around L* = 0, 2, ... 100."""
PLAIN = 8.0
"""Standard deviation of L* around a place, up to which it is plain."""
LEAST_SHARE = 0.05
"""Of the picture: with fewer plain places there is nothing to judge by."""


def blotches(lab: Lab) -> float | None:
    """How far the colours stray from the picture's own calm style, in Lab units; None if next to no place is plain.

    At each place of plain luminance the local average chroma is compared with the average chroma of places of like
    luminance in a wide neighbourhood; the result is the mean distance. It is 0 for grey and next to 0 for a picture
    toned after its luminance, however strongly; a sky that turns yellow in places has as much as the yellow differs
    from the blue, times its share. True photographs are not at 0 either, as differently coloured things can be of one
    luminance; their value is the one to compare with.

    Args:
        lab: L*, a*, b* of the colorized picture, (H, W, 3).
    """
    scale = min(1.0, GRID / max(lab.shape[:2]))
    shape = tuple(max(1, round(side * scale)) for side in lab.shape[:2])
    small: Lab = resize(lab, (*shape, 3), order=1, anti_aliasing=scale < 1, preserve_range=True)
    luminance, ab = small[..., 0], small[..., 1:]
    local, wide = LOCAL * max(shape), WIDE * max(shape)
    mean = ndimage.gaussian_filter(luminance, local)
    variance = ndimage.gaussian_filter(np.square(luminance), local) - np.square(mean)
    plain = variance < PLAIN**2
    if plain.mean() < LEAST_SHARE:
        return None
    bands = np.clip(1 - np.abs(luminance[..., None] / 100 * (LEVELS - 1) - np.arange(LEVELS)), 0, 1)
    calm = np.zeros_like(ab)
    for band in np.moveaxis(bands, -1, 0):
        calm += band[..., None] * _average(ab, band * plain, wide)
    # the local average of the deviation, rather than of the chroma: what luminance accounts for is out of it already
    deviation = _average(ab - calm, plain.astype(np.float64), local)
    return float(np.linalg.norm(deviation, axis=-1)[plain].mean())


def _average(values: NDArray[np.float64], weight: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian average of ``values`` (h, w, 2) where ``weight`` (h, w) is; 0 where none is near."""
    total = ndimage.gaussian_filter(values * weight[..., None], (sigma, sigma, 0))
    share = ndimage.gaussian_filter(weight, sigma)[..., None]
    average: NDArray[np.float64] = total / np.maximum(share, 1e-9)
    return average
