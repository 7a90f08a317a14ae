"""Colour space against scikit-image's, and luminance kept whatever the chroma."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from sscn import SscnError, colour


def test_lab_agrees_with_scikit_image(coffee):
    ours = colour.lab(coffee).permute(1, 2, 0).numpy()
    assert np.abs(ours - rgb2lab(coffee)).max() < 0.02


def test_sixteen_bit_lab_agrees(coffee):
    wide = coffee.astype(np.uint16) * 257
    assert np.abs(colour.lab(wide).numpy() - colour.lab(coffee).numpy()).max() < 1e-3


@pytest.mark.parametrize(("dtype", "limit"), [(np.uint8, 0.5), (np.uint16, 0.05)])
def test_luminance_survives_any_chroma(dtype, limit):
    """Every grey level, with chroma far outside the gamut in every direction."""
    levels = np.linspace(0, np.iinfo(dtype).max, 256).round().astype(dtype)
    grey = np.tile(levels, (360, 1))
    angle = torch.linspace(0, 2 * torch.pi, 360).view(360, 1)
    for strength in (20, 60, 120):
        ab = torch.stack([strength * torch.cos(angle), strength * torch.sin(angle)]).expand(2, 360, 256)
        rgb = colour.encode(colour.colour_with_luminance(colour.picture_y(grey), ab), np.dtype(dtype))
        ours = rgb2lab(rgb.astype(np.float64) / np.iinfo(dtype).max)[..., 0]
        wanted = rgb2lab(np.repeat(grey[..., None], 3, 2).astype(np.float64) / np.iinfo(dtype).max)[..., 0]
        assert np.abs(ours - wanted).max() <= limit


def test_colours_inside_the_gamut_come_back_unchanged(coffee):
    lab = colour.lab(coffee)
    rgb = colour.encode(colour.colour_with_luminance(colour.picture_y(coffee), lab[1:]), np.dtype(np.uint8))
    assert np.abs(rgb.astype(int) - coffee.astype(int)).max() <= 1


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.float32)]
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(SscnError):
        colour.luminance(image)


def test_bands_cover_every_row_once():
    for height, width in ((1, 1), (7, 3_000_000), (5000, 4000)):
        rows = [row for top, bottom in colour.band_rows(height, width) for row in range(top, bottom)]
        assert rows == list(range(height))
