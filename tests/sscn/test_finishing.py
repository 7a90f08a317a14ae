"""Full-size colour against the same computed plainly in float64, and luminance kept from space to space."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sscn import colour
from sscn.finishing import Finishing, chroma_model, reduced_y, samples_light
from sscn.guided_filter import apply_model, guided_model
from sscn.rgb_space import SRGB, RgbSpace
from tests.sscn.test_rgb_space import ADOBE, L_STAR, SIGNALS

WIDE = ((0.6369580, 0.1446169, 0.1688810), (0.2627002, 0.6779981, 0.0593017), (0.0, 0.0280727, 1.0609851))
SPACES = {
    "sRGB": SRGB,
    "Adobe RGB": RgbSpace(np.array(ADOBE), (SIGNALS ** (563 / 256),)),
    "BT.2020 primaries, gamma 1.8": RgbSpace(np.array(WIDE), (SIGNALS**1.8,)),
    "eciRGB's L* curve": RgbSpace(np.array(ADOBE), (L_STAR,)),
    "three curves": RgbSpace(np.array(ADOBE), (SIGNALS**1.8, SIGNALS**2.0, SIGNALS**2.2)),
}
Samples = NDArray[np.uint8] | NDArray[np.uint16]


def lightness(samples: Samples, space: RgbSpace) -> NDArray[np.float64]:
    """L* in float64."""
    if samples.ndim == 2:
        samples = np.repeat(samples[..., None], 3, 2)
    tables = space.light(samples.dtype)
    y = sum(tables[channel][samples[..., channel]] * space.luminance_weights[channel] for channel in range(3))
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)


def finished(target: Samples, model: NDArray[np.float32], space: RgbSpace, copy: RgbSpace, dtype: type) -> Samples:
    made = np.empty((*target.shape[:2], 3), dtype)
    finishing = Finishing(model, (target.shape[0], target.shape[1]), copy, made.dtype)
    finishing.fill(0, target, samples_light(space, target.dtype, target.ndim == 2), made)
    return made


def strong_chroma(height: int, width: int) -> NDArray[np.float32]:
    """A model that gives every direction of chroma, weak to far beyond any gamut."""
    angle = np.linspace(0, 2 * np.pi, height)[:, None]
    strength = np.linspace(0, 140, width)[None]
    ab = np.stack([strength * np.cos(angle) / 500, -strength * np.sin(angle) / 200])
    return np.concatenate([0 * ab, ab]).astype(np.float32)


def ramps(height: int, width: int, dtype: type) -> Samples:
    """Every lightness many times, with some grain."""
    ramp = np.tile(np.linspace(0, 1, width) ** 1.3, (height, 1)) + np.random.default_rng(2).normal(
        0, 0.2, (height, width)
    )
    return (np.clip(ramp, 0, 1) * np.iinfo(dtype).max).round().astype(dtype)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("copy", SPACES)
@pytest.mark.parametrize(("dtype", "limit"), [(np.uint8, 0.5), (np.uint16, 0.05)])
def test_luminance_is_kept_from_space_to_space(space: str, copy: str, dtype: type, limit: float) -> None:
    grey = ramps(120, 333, dtype)
    toned = np.stack([grey, (grey * 0.9).astype(dtype), (grey * 0.7).astype(dtype)], 2)
    for target in (grey, toned):
        made = finished(target, strong_chroma(60, 70), SPACES[space], SPACES[copy], dtype)
        difference = np.abs(lightness(made, SPACES[copy]) - lightness(target, SPACES[space]))
        assert difference.max() <= limit
        assert (np.ptp(made.astype(int), axis=2) > 0.2 * np.iinfo(dtype).max).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("is_grey", [True, False])
def test_the_same_as_computed_plainly(dtype: type, is_grey: bool) -> None:
    """Against ``sscn.colour`` at the picture's own size."""
    grey = ramps(90, 140, dtype)
    target = grey if is_grey else np.stack([grey, grey // 2, grey // 3 * 2], 2)
    model = strong_chroma(90, 140)
    ab = torch.from_numpy(model[2:].astype(np.float64)) * torch.tensor([500.0, -200.0]).view(2, 1, 1)
    levels = np.iinfo(dtype).max
    linear = colour.decoded(torch.from_numpy(target / levels))
    linear = linear[None] if is_grey else linear.permute(2, 0, 1)
    y = colour.relative_luminance(linear).float()
    plain = colour.encoded(colour.colour_with_luminance(y, ab.float()).double())
    difference = finished(target, model, SRGB, SRGB, dtype) - plain.permute(1, 2, 0).numpy() * levels
    assert np.abs(difference).max() < (0.51 if dtype is np.uint8 else 0.75)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("is_grey", [True, False])
def test_without_chroma_grey_keeps_its_very_values(dtype: type, is_grey: bool) -> None:
    codes = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(16, -1)
    target = codes if is_grey else np.repeat(codes[..., None], 3, 2)
    made = finished(target, np.zeros((4, 5, 5), np.float32), SRGB, SRGB, dtype)
    assert np.array_equal(made, np.repeat(codes[..., None], 3, 2))


def test_a_wide_gamut_holds_chroma_that_srgb_cannot() -> None:
    target = ramps(120, 333, np.uint16)
    chroma = {}
    for name in ("sRGB", "BT.2020 primaries, gamma 1.8"):
        space = SPACES[name]
        made = finished(target, strong_chroma(60, 70), SRGB, space, np.uint16)
        linear = np.stack([table[made[..., channel]] for channel, table in enumerate(space.light(made.dtype))], 2)
        xyz = linear @ (space.to_xyz / space.to_xyz.sum(1)[:, None]).T
        f = np.cbrt(xyz)
        chroma[name] = np.hypot(500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])).mean()
    assert chroma["BT.2020 primaries, gamma 1.8"] > 1.25 * chroma["sRGB"]


def test_what_a_copy_cannot_show_is_its_white_and_black() -> None:
    """Curves that end before white: light beyond them is neutral, its chroma not turned into the opposite."""
    copy = RgbSpace(np.array(ADOBE), (np.linspace(0.1, 0.9, 9),))
    target = np.repeat(np.array([[0, 60, 255]], np.uint8), 40, 0)
    made = finished(target, strong_chroma(40, 3), SRGB, copy, np.uint8)
    assert (made[:, 0] == 0).all()
    assert (made[:, 2] == 255).all()
    levels = np.arange(100, 242, dtype=np.uint8)  # of light between 0.13 and 0.88
    made = finished(np.repeat(levels[None], 40, 0), strong_chroma(40, 50), SRGB, copy, np.uint16)
    assert np.abs(lightness(made, copy) - lightness(levels[None], SRGB)).max() < 0.05


def test_the_model_is_that_of_the_guided_filter() -> None:
    generator = torch.Generator().manual_seed(4)
    luminance = torch.rand(1, 1, 20, 30, generator=generator) * 100
    ab = torch.randn(1, 2, 20, 30, generator=generator) * 30
    for follow_edges in (True, False):
        slope_x, slope_z, offset_x, offset_z = chroma_model(luminance, ab, 2, 1e-3, follow_edges=follow_edges)
        fy = (luminance[0, 0] + 16) / 116
        found = torch.stack([500 * (slope_x * fy + offset_x), -200 * (slope_z * fy + offset_z)])
        guide = luminance / 100
        wanted = apply_model(guided_model(guide, ab, 2, 1e-3), guide) if follow_edges else ab
        assert (found - wanted[0]).abs().max() < 1e-3


def test_pieces_of_any_size_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    target = ramps(61, 457, np.uint16)
    whole = finished(target, strong_chroma(23, 70), SRGB, SPACES["Adobe RGB"], np.uint16)
    for piece, band, threads in ((1, 1, 1), (100, 1000, 2), (457, 457 * 7, 2), (1 << 20, 5000, 1)):
        monkeypatch.setattr("sscn.finishing._PIECE_PIXELS", piece)
        monkeypatch.setattr("sscn.finishing._SHARED_PIECE_PIXELS", piece)
        monkeypatch.setattr("sscn.finishing._BAND_PIXELS", band)
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        assert np.array_equal(finished(target, strong_chroma(23, 70), SRGB, SPACES["Adobe RGB"], np.uint16), whole)


@pytest.mark.parametrize("factor", [1, 3, 7])
@pytest.mark.parametrize("is_grey", [True, False])
def test_light_is_averaged_not_samples(factor: int, is_grey: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = ramps(40, 59, np.uint8)
    target = grey if is_grey else np.stack([grey, grey // 2, 255 - grey], 2)
    wanted = reduced_y(target, SRGB, factor)
    light = colour.relative_luminance(colour.to_linear(target))[0].double().numpy()
    blocks = [
        [light[r : r + factor, c : c + factor].mean() for c in range(0, 59, factor)] for r in range(0, 40, factor)
    ]
    assert np.abs(wanted[0].numpy() - np.array(blocks)).max() < 1e-6
    monkeypatch.setattr("sscn.finishing._BAND_PIXELS", 50)
    monkeypatch.setattr("sscn.finishing._PIECE_PIXELS", 20)
    assert torch.equal(reduced_y(target, SRGB, factor), wanted)
