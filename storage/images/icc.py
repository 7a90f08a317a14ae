"""What an embedded ICC profile means, asked of lcms rather than read from its tags."""

from functools import lru_cache
from typing import Literal

import imagecodecs
import numpy as np
import numpy.typing as npt

from storage.images.rows import Pixels
from storage.images.srgb import srgb_profile

Space = Literal["grey", "rgb", "cmyk"]
Floats = npt.NDArray[np.float64]

LEVELS = 65536
"""Points of a curve: one for each 16-bit sample, so that those of 8 bits (times 257) are among them."""
_SIGNATURES: dict[Space, bytes] = {"grey": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK"}
_LCMS_SPACES: dict[Space, str] = {"grey": "gray", "rgb": "rgb", "cmyk": "cmyk"}
_RELATIVE_COLORIMETRIC = 1
_BLACK_POINT_COMPENSATION = 0x2000
_EXACT = 0x0100
"""lcms' flag against replacing the profiles' curves by a coarse table, which is 0.3 % off in the shadows."""
_SAME_WITHIN = 400
"""Sixteen-bit steps (0.6 %) by which an sRGB profile may differ from ours: in strong colours, where the curve
is steep, the sRGB profiles in use differ by 100 to 200; the nearest other spaces by thousands."""
_ADDS_UP_WITHIN = 0.002
"""Of XYZ: a profile with a table of colours is off by far more, one of matrix and curves by rounding only."""
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Bradford's cone responses (ICC.1:2022, annex E)."""
_D50 = np.array([0.9642, 1.0, 0.8249])
_D65 = np.array([0.9504559, 1.0, 1.0890578])


def is_for(profile: bytes, space: Space) -> bool:
    """Whether the profile says it is for pictures of this kind."""
    return profile[16:20] == _SIGNATURES[space]


def to_srgb(values: Pixels, space: Space, profile: bytes, *, exactly: bool = True) -> Pixels:
    """uint16 samples as sRGB uint16: grey to grey, others to RGB.

    Not ``exactly`` lcms goes by a coarse table, which is three times as fast and within a step of 8 bits.

    Raises:
        RuntimeError, ValueError: lcms refuses the profile.
    """
    rgb = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        srgb_profile(),
        colorspace=_LCMS_SPACES[space],
        outcolorspace="rgb",
        intent=_RELATIVE_COLORIMETRIC,
        flags=(_BLACK_POINT_COMPENSATION if space == "cmyk" else 0) | (_EXACT if exactly else 0),
    )
    # lcms gives grey as equal R, G and B
    found: Pixels = rgb[..., 1] if space == "grey" else rgb
    return found


@lru_cache(maxsize=64)
def is_srgb(profile: bytes, space: Space) -> bool:
    """Whether the profile maps a spread of colours to where sRGB has them, whatever it calls itself."""
    if space == "cmyk":
        return False
    steps = np.linspace(0, 65535, 11).round().astype(np.uint16)
    if space == "grey":
        probe = steps[np.newaxis]
    else:
        probe = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    found = to_srgb(probe, space, profile)
    return bool(np.abs(found.astype(np.int32) - probe).max() <= _SAME_WITHIN)


@lru_cache(maxsize=16)
def grey_curve(profile: bytes) -> Floats | None:
    """Light 0..1 of 65,536 equally spaced grey signals; None if it does not rise from black to white."""
    light = _xyz(np.linspace(0, 1, LEVELS), "grey", profile)[:, 1]
    return _rising(light / light[-1]) if light[-1] > 0 else None


@lru_cache(maxsize=16)
def matrix_and_curves(profile: bytes) -> tuple[Floats, tuple[Floats, ...]] | None:
    """An RGB profile as a matrix and its curves, None if it is more than that (a table of colours).

    Returns:
        linear RGB -> CIE XYZ for D65 (3, 3), white being D65 with Y = 1; and one curve, or one for each
        channel: light 0..1 of 65,536 equally spaced signals.
    """
    ramp = np.linspace(0, 1, LEVELS)
    columns, curves = [], []
    for channel in range(3):
        signals = np.zeros((LEVELS, 3))
        signals[:, channel] = ramp
        light = _xyz(signals, "rgb", profile)
        columns.append(light[-1])
        strongest = int(np.argmax(light[-1]))
        if light[-1][strongest] <= 0:
            return None
        curve = _rising(light[:, strongest] / light[-1][strongest])
        if curve is None:
            return None
        curves.append(curve)
    matrix = np.array(columns).T
    if abs(np.linalg.det(matrix)) < 1e-6 or not _adds_up(matrix, curves, profile):
        return None
    adapted = _bradford(_D50, _D65) @ matrix
    # A few old profiles have no D50 white; white of the picture is to be white.
    adapted *= (_D65 / adapted.sum(axis=1))[:, np.newaxis]
    alike = all(np.abs(curve - curves[0]).max() < 1e-7 for curve in curves)
    return adapted, (curves[0],) if alike else tuple(curves)


def _adds_up(matrix: Floats, curves: list[Floats], profile: bytes) -> bool:
    places = np.random.default_rng(0).integers(0, LEVELS, (500, 3))
    expected = np.stack([curve[places[:, channel]] for channel, curve in enumerate(curves)], axis=1) @ matrix.T
    found = _xyz(places / (LEVELS - 1), "rgb", profile)
    return bool(np.abs(found - expected).max() < _ADDS_UP_WITHIN)


def _xyz(signals: Floats, space: Space, profile: bytes) -> Floats:
    """Signals 0..1 (N,) or (N, 3) as CIE XYZ relative to D50, (N, 3), not clipped."""
    found: Floats = imagecodecs.cms_transform(
        np.ascontiguousarray(signals[np.newaxis]),
        profile,
        _xyz_profile(),
        colorspace=_LCMS_SPACES[space],
        outcolorspace="xyz",
        intent=_RELATIVE_COLORIMETRIC,
        flags=_EXACT,
        outdtype=np.float64,
    )
    flat: Floats = found[0]
    return flat


@lru_cache(maxsize=1)
def _xyz_profile() -> bytes:
    return bytes(imagecodecs.cms_profile("xyz"))


def _rising(curve: Floats) -> Floats | None:
    risen = np.maximum.accumulate(np.clip(curve, 0, 1))
    is_curve = np.isfinite(risen).all() and np.abs(risen - curve).max() < 0.001 and risen[-1] - risen[0] > 0.5
    return risen if is_curve else None


def _bradford(source: Floats, target: Floats) -> Floats:
    gains = np.diag((_CONES @ target) / (_CONES @ source))
    adapted: Floats = np.linalg.inv(_CONES) @ gains @ _CONES
    return adapted
