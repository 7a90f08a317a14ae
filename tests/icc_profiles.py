"""ICC profiles made by hand, and a colour-managed reader to hold copies against: lcms, not ours."""

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

Floats = npt.NDArray[np.float64]
Curve = Callable[[Floats], Floats]

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB_TO_XYZ = np.array([[0.412391, 0.357584, 0.180481], [0.212639, 0.715169, 0.072192], [0.019331, 0.119195, 0.950532]])
"""IEC 61966-2-1, for D65."""
D65 = SRGB_TO_XYZ.sum(axis=1)
RELATIVE_COLORIMETRIC, EXACT, BLACK_POINT_COMPENSATION = 1, 0x0100, 0x2000
"""lcms' numbers; "exact" is against its replacing of curves by coarse tables."""


def adapted(source: Floats, target: Floats) -> Floats:
    """Bradford's matrix between two whites (ICC.1:2022, annex E)."""
    gains = (BRADFORD @ target) / (BRADFORD @ source)
    return np.asarray(np.linalg.inv(BRADFORD) @ np.diag(gains) @ BRADFORD)


def gamma(exponent: float) -> Curve:
    return lambda signal: np.asarray(signal**exponent)


def srgb_curve(signal: Floats) -> Floats:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def lightness_curve(signal: Floats) -> Floats:
    """The signal is L* / 100 (eciRGB v2)."""
    return np.where(signal <= 0.08, signal * 100 / (24389 / 27), ((signal + 0.16) / 1.16) ** 3)


def dot_gain_curve(signal: Floats) -> Floats:
    """Ink where there is no signal; half of it covers 70 % of the paper."""
    ink = 1 - signal
    return np.asarray(1 - ink - 0.8 * ink * (1 - ink))


@dataclass(frozen=True)
class Space:
    """An RGB space, or a grey scale where there are no primaries: chromaticities of R, G, B and white."""

    curve: Curve
    primaries: tuple[tuple[float, float], ...] = ()
    white: tuple[float, float] = (0.3127, 0.3290)

    @property
    def is_grey(self) -> bool:
        return not self.primaries

    @property
    def to_xyz(self) -> Floats:
        """Linear RGB -> XYZ for D50 (3, 3)."""
        parts = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (*self.primaries, self.white)]).T
        own = parts[:, :3] * np.linalg.solve(parts[:, :3], parts[:, 3])
        return np.asarray(adapted(parts[:, 3], D50) @ own)

    @property
    def profile(self) -> bytes:
        return _profile(self)


SPACES = {
    "sRGB": Space(srgb_curve, ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))),
    "Adobe RGB (1998)": Space(gamma(563 / 256), ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))),
    "eciRGB v2": Space(lightness_curve, ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), (0.34567, 0.3585)),
    "Display P3": Space(srgb_curve, ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))),
    "ProPhoto RGB": Space(gamma(1.8), ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.34567, 0.3585)),
    "grey gamma 1.8": Space(gamma(1.8)),
    "grey gamma 2.2": Space(gamma(2.2)),
    "dot gain 20 %": Space(dot_gain_curve),
}


@cache
def _profile(space: Space) -> bytes:
    levels = np.rint(space.curve(np.linspace(0, 1, 4096)) * 65535).astype(">u2")
    curve = b"curv" + bytes(4) + struct.pack(">I", len(levels)) + levels.tobytes()
    if space.is_grey:
        return icc_profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})
    columns = {name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), space.to_xyz.T, strict=True)}
    return icc_profile(b"mntr", b"RGB ", b"XYZ ", columns | {name + b"TRC": curve for name in (b"r", b"g", b"b")})


def icc_profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 (ICC.1:2001-04): class, colour space, connection space and further tags."""
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": name, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(D50)} | tags
    table, body = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"", 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp")
    return head.ljust(68, b"\0") + _xyz(D50)[8:] + bytes(48) + table + body


def _xyz(value: Floats) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(part * 65536) for part in value))


def table_profile(kind: bytes, space: bytes, inputs: int, colours: Callable[[Floats], Floats]) -> bytes:
    """A profile with a table of 9 steps a channel: ``colours`` gives linear sRGB (N, 3) of signals (N, inputs)."""
    nodes = np.array(list(itertools.product(np.linspace(0, 1, 9), repeat=inputs)))
    xyz = colours(nodes) @ (adapted(D65, D50) @ SRGB_TO_XYZ).T / D50
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * 841 / 108 + 4 / 29)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    table = np.rint(np.clip(lab * [652.8, 256, 256] + [0, 32768, 32768], 0, 65535)).astype(">u2")  # ICC.1:2001-04, A.3
    matrix = struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    ends = np.array([0, 65535], ">u2").tobytes()
    lut = b"mft2" + bytes(4) + bytes((inputs, 3, 9, 0)) + matrix + struct.pack(">HH", 2, 2)
    return icc_profile(kind, space, b"Lab ", {b"A2B0": lut + ends * inputs + table.tobytes() + ends * 3})


@cache
def cmyk_profile() -> bytes:
    """Inks that let the rest of the light through, each of its part of the spectrum; black lets 3 % through."""

    def colours(ink: Floats) -> Floats:
        return np.asarray((1 - np.array([0.9, 0.85, 0.9]) * ink[:, :3]) * (1 - 0.97 * ink[:, 3:]))

    return table_profile(b"prtr", b"CMYK", 4, colours)


@cache
def table_rgb_profile() -> bytes:
    """A scanner's colours, as such profiles have them: no matrix and curves would say it."""

    def colours(signal: Floats) -> Floats:
        light = signal**2.2
        mixed = light @ np.array([[0.8, 0.1, 0.1], [0.15, 0.75, 0.1], [0.05, 0.15, 0.8]])
        return np.asarray(mixed * (1 - 0.2 * (light.max(axis=1) - light.min(axis=1))[:, np.newaxis]))

    return table_profile(b"scnr", b"RGB ", 3, colours)


def xyz_of(samples: npt.NDArray[Any], profile: bytes, space: str = "rgb") -> Floats:
    """CIE XYZ for D65 of samples (H, W) or (H, W, channels), white having Y = 1."""
    full = 100 if space == "cmyk" else 1  # lcms counts ink in per cent
    signals = np.ascontiguousarray(samples / (np.iinfo(samples.dtype).max / full))
    flags = BLACK_POINT_COMPENSATION if space == "cmyk" else EXACT
    found = imagecodecs.cms_transform(
        signals,
        profile,
        imagecodecs.cms_profile("xyz"),
        colorspace=space,
        outcolorspace="xyz",
        intent=RELATIVE_COLORIMETRIC,
        flags=flags,
        outdtype=np.float64,
    )
    return np.asarray(found @ adapted(D50, D65).T)


def lightness(xyz: Floats) -> Floats:
    """CIE L*."""
    y = xyz[..., 1]
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(np.maximum(y, 0)) - 16, y * 24389 / 27)


def read_copy(path: Path) -> tuple[npt.NDArray[Any], bytes]:
    """Samples and profile of a copy, by tifffile, Pillow and imagecodecs."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            return page.asarray(), page.tags["InterColorProfile"].value
    content = path.read_bytes()
    if path.suffix == ".jp2":
        start = content.index(b"colr\2\0\0") + 7  # a restricted ICC profile (ISO/IEC 15444-1, I.5.3.3)
        size = int.from_bytes(content[start : start + 4], "big")
        codestream = content[content.index(b"\xff\x4f\xff\x51") :]  # of a whole file the decoder applies the profile
        return np.asarray(imagecodecs.jpeg2k_decode(codestream)), content[start : start + size]
    with Image.open(path) as image:
        return np.asarray(imagecodecs.png_decode(content)), image.info["icc_profile"]
