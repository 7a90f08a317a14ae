"""Measures of single pictures. Pictures are sRGB uint8 (H, W, 3); Lab is CIE, D65, float64 (H, W, 3).

PSNR, SSIM and CIEDE2000 are scikit-image's.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from sscn.evaluation.pictures8 import Picture8
from sscn.pictures import Picture

Lab = NDArray[np.float64]

BIN_WIDTH = 10.0
BINS = 23
"""a* and b* from -115 to 115 in bins of 10 units: the grid of 23 x 23 of the network's paper."""

EDGE_SMOOTHING = 1.0
"""Pixels: standard deviation of the Gaussian that takes noise and block edges off the true chroma."""
EDGE_GRADIENT = 4.0
"""Lab units in a pixel: a step of some 12 units, once smoothed, is as steep as that."""
EDGE_REACH = 3.0
"""Pixels around a true chroma edge that count as beside it."""


def to_lab(picture: Picture8) -> Lab:
    """L*, a*, b*, (H, W, 3)."""
    lab: Lab = rgb2lab(picture)
    return lab


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit pictures, over all three channels; infinite for equal ones."""
    if mean_squared_error(truth, picture) == 0:
        return math.inf
    return float(peak_signal_noise_ratio(truth, picture, data_range=255))


def ssim(picture: Picture8, truth: Picture8) -> float:
    """Structural similarity (Wang et al. 2004), mean of the three channels, at most 1."""
    return float(structural_similarity(truth, picture, channel_axis=-1, data_range=255))


def colour_difference(lab: Lab, truth: Lab) -> NDArray[np.float64]:
    """CIEDE2000 of every pixel, (H, W)."""
    difference: NDArray[np.float64] = deltaE_ciede2000(truth, lab)
    return difference


def chroma_histogram(lab: Lab) -> NDArray[np.float64]:
    """(23, 23) parts of the picture in each bin of a* and b*; they add up to 1."""
    edge = BINS * BIN_WIDTH / 2
    inside = np.clip(lab[..., 1:].reshape(-1, 2), -edge, edge)
    counts, _ = np.histogramdd(inside, bins=(BINS, BINS), range=((-edge, edge), (-edge, edge)))
    histogram: NDArray[np.float64] = counts / len(inside)
    return histogram


def histogram_intersection(lab: Lab, reference: Lab) -> float:
    """How much of the one picture's a*, b* histogram lies in the other's, 0..1 (Swain & Ballard 1991)."""
    return float(np.minimum(chroma_histogram(lab), chroma_histogram(reference)).sum())


def colourfulness(picture: Picture8) -> float:
    """Hasler & Suesstrunk, "Measuring colourfulness in natural images" (2003): 0 grey, 33 moderate, 82 high."""
    red, green, blue = np.moveaxis(picture.astype(np.float64), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = math.hypot(red_green.std(), yellow_blue.std())
    return spread + 0.3 * math.hypot(red_green.mean(), yellow_blue.mean())


def beside_chroma_edges(truth: Lab) -> NDArray[np.bool_]:
    """(H, W): within ``EDGE_REACH`` pixels of an edge of the true chroma.

    An edge is where a* and b*, slightly smoothed, together change by more than ``EDGE_GRADIENT`` units in a pixel.
    """
    smooth = ndimage.gaussian_filter(truth[..., 1:], (EDGE_SMOOTHING, EDGE_SMOOTHING, 0))
    slopes = np.stack(np.gradient(smooth, axis=(0, 1)))
    edges: NDArray[np.bool_] = np.sqrt(np.square(slopes).sum(axis=(0, -1))) > EDGE_GRADIENT
    if not edges.any():
        return edges
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~edges) <= EDGE_REACH
    return near


def bleed(difference: NDArray[np.float64], beside_edges: NDArray[np.bool_]) -> float | None:
    """Mean CIEDE2000 beside true chroma edges; None where there are none.

    Args:
        difference: from ``colour_difference``, (H, W).
        beside_edges: from ``beside_chroma_edges``, (H, W).
    """
    return float(difference[beside_edges].mean()) if beside_edges.any() else None
