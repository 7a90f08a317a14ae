"""RGB spaces: samples to light and back without a loss, and what is no space."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sscn import SscnError
from sscn.rgb_space import SRGB, RgbSpace, lab_table

ADOBE = ((0.57667, 0.18556, 0.18823), (0.29734, 0.62736, 0.07529), (0.02703, 0.07069, 0.99134))
SIGNALS = np.linspace(0, 1, 4096)
L_STAR = np.where(SIGNALS > 0.08, ((SIGNALS * 100 + 16) / 116) ** 3, SIGNALS * 100 / (29 / 3) ** 3)
CURVES = {
    "sRGB": None,
    "linear": np.array([0.0, 1.0]),
    "gamma 1.8": SIGNALS**1.8,
    "gamma 2.2": SIGNALS**2.2,
    "gamma 2.2 of 65536": np.linspace(0, 1, 65536) ** 2.2,
    "Adobe RGB of 1024": np.linspace(0, 1, 1024) ** (563 / 256),
    "L*": L_STAR,
}


def space_of(curve: NDArray[np.float64] | None) -> RgbSpace:
    return RgbSpace(np.array(ADOBE), None if curve is None else (curve,))


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_sample_value_comes_back(name: str, dtype: type) -> None:
    space = space_of(CURVES[name])
    codes = np.arange(np.iinfo(dtype).max + 1)
    light = space.light(np.dtype(dtype))[0]
    found = space.encode(np.repeat(light[:, None], 3, 1), np.dtype(dtype))
    assert found.dtype == dtype
    assert np.array_equal(found, np.repeat(codes[:, None], 3, 1))


@pytest.mark.parametrize("name", CURVES)
def test_sixteen_bits_are_rounded_to_the_nearest(name: str) -> None:
    """Light between two values goes to the one whose signal is nearer, but for a 40th of a level around the middle."""
    curve = CURVES[name]
    signals = (np.arange(65535) + np.random.default_rng(3).uniform(0, 1, 65535)) / 65535
    if curve is None:
        light = np.where(signals <= 0.04045, signals / 12.92, ((signals + 0.055) / 1.055) ** 2.4)
    else:
        light = np.interp(signals, np.linspace(0, 1, len(curve)), curve)
    found = space_of(curve).encode(np.repeat(light[:, None], 3, 1), np.dtype(np.uint16))[:, 0]
    assert np.abs(found - signals * 65535).max() <= 0.525


def test_three_curves_are_kept_apart() -> None:
    curves = (SIGNALS**1.8, SIGNALS**2.2, SIGNALS)
    space = RgbSpace(np.array(ADOBE), curves)
    codes = np.random.default_rng(1).integers(0, 65536, (500, 3))
    light = np.stack([part[codes[:, channel]] for channel, part in enumerate(space.light(np.dtype(np.uint16)))], 1)
    assert np.abs(light[:, 0] - (codes[:, 0] / 65535) ** 1.8).max() < 1e-6
    assert np.array_equal(space.encode(light, np.dtype(np.uint16)), codes)
    grey = space.grey_table(np.dtype(np.uint8))
    weights = np.array(ADOBE)[1] / np.sum(ADOBE[1])
    assert (
        np.abs(grey - sum(w * np.linspace(0, 1, 256) ** g for w, g in zip(weights, (1.8, 2.2, 1), strict=True))).max()
        < 1e-6
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_flat_parts_lose_nothing_but_themselves(dtype: type) -> None:
    """Black and white that several values mean come back as the outermost; in between the light stays the same, but
    for the 512th part of it that a jump is smeared over."""
    curve = np.clip(np.linspace(-0.1, 1.1, 1024), 0, 1)
    curve[400:420] = curve[400]
    space = space_of(curve)
    light = space.light(np.dtype(dtype))[0]
    found = space.encode(np.repeat(light[:, None], 3, 1), np.dtype(dtype))[:, 0]
    step = np.diff(light).max()
    assert (np.abs(light[found] - light) <= step + light / 512).all()
    assert found[0] == 0
    assert found[-1] == np.iinfo(dtype).max
    assert (np.diff(found.astype(int)) >= 0).all()


def test_curves_that_do_not_reach_black_and_white_say_so() -> None:
    space = space_of(np.linspace(0.1, 0.9, 5))
    assert (space.black, space.white) == (0.1, 0.9)
    assert space.encode(np.array([[0.0, 0.5, 1.0]]), np.dtype(np.uint8)).tolist() == [[0, 128, 255]]
    assert (SRGB.black, SRGB.white) == (0.0, 1.0)


def test_light_outside_the_range_gets_the_outermost_values() -> None:
    light = np.array([[-1e-7, -0.0, 1 + 1e-6], [1e-40, 0.0, 1.0]])
    assert SRGB.encode(light, np.dtype(np.uint16)).tolist() == [[0, 0, 65535], [0, 0, 65535]]


def test_the_table_of_lab_is_as_exact_as_float32() -> None:
    y = np.concatenate([np.geomspace(1e-12, 1, 100_001), np.linspace(0, 1, 100_001)]).astype(np.float32)
    wide = y.astype(np.float64)
    wanted = np.where(wide > (6 / 29) ** 3, np.cbrt(wide), wide * (29 / 6) ** 2 / 3 + 4 / 29)
    assert np.abs(lab_table()(y) - wanted).max() < 3e-7


@pytest.mark.parametrize(
    ("matrix", "curves"),
    [
        (np.eye(2), None),
        (np.zeros((3, 3)), None),
        (np.full((3, 3), np.nan), None),
        (np.diag([1.0, 1.0, -1.0]), None),
        (ADOBE, (SIGNALS, SIGNALS)),
        (ADOBE, (SIGNALS[::-1],)),
        (ADOBE, (SIGNALS * 2,)),
        (ADOBE, (SIGNALS - 0.1,)),
        (ADOBE, (np.full(5, 0.5),)),
        (ADOBE, (np.array([1.0]),)),
        (ADOBE, (np.array([0.0, np.nan, 1.0]),)),
        (ADOBE, (np.zeros((2, 2)),)),
    ],
)
def test_what_is_no_space_is_refused(matrix: NDArray[np.float64], curves: tuple[NDArray[np.float64], ...]) -> None:
    with pytest.raises(SscnError, match="RGB space"):
        RgbSpace(np.array(matrix), curves)
