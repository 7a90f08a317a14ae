"""References made from the target itself: bent out of shape, or photographed in another light."""

import numpy as np
import torch
from skimage.transform import SimilarityTransform, ThinPlateSplineTransform, warp

from sscn import colour
from sscn.evaluation.pictures8 import Picture8, encode8

GRID = 5
"""Control points of the spline along each side."""
BEND = 0.04
"""Standard deviation of their displacement, as a part of the long side."""
TURN = 10.0
"""Degrees of the greatest rotation, either way."""


def bend(picture: Picture8, random: np.random.Generator) -> Picture8:
    """A copy of ``picture`` (H, W, 3) bent by a thin-plate spline and turned; mirrored where it runs out."""
    height, width = picture.shape[:2]
    columns, rows = np.meshgrid(np.linspace(0, width - 1, GRID), np.linspace(0, height - 1, GRID))
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    centre = np.array([width - 1, height - 1]) / 2
    turn = SimilarityTransform(rotation=np.deg2rad(random.uniform(-TURN, TURN)))
    moved = turn(points - centre) + centre + random.normal(0, BEND * max(height, width), points.shape)
    spline = ThinPlateSplineTransform.from_estimate(points, moved)
    bent = warp(picture, spline, order=1, mode="reflect", preserve_range=True)
    result: Picture8 = np.clip(np.rint(bent), 0, 255).astype(np.uint8)
    return result


def with_gamma(picture: Picture8, gamma: float) -> Picture8:
    """L* raised to ``gamma`` (over 1: darker), a* and b* kept as far as the gamut allows."""
    lab = colour.lab(picture)
    return _joined(100 * (lab[:1] / 100).clamp(0, 1) ** gamma, lab[1:])


def with_contrast(picture: Picture8, contrast: float) -> Picture8:
    """Distances of L* from its mean times ``contrast``, a* and b* kept as far as the gamut allows."""
    lab = colour.lab(picture)
    mean = lab[:1].mean()
    return _joined((mean + contrast * (lab[:1] - mean)).clamp(0, 100), lab[1:])


def _joined(luminance: torch.Tensor, ab: torch.Tensor) -> Picture8:
    y = colour.inverse_lab_function((luminance + 16) / 116)
    return encode8(colour.colour_with_luminance(y, ab))
