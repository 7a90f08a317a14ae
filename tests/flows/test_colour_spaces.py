"""Copies keep the luminance of their master in every encoding, as a colour-managed reader that is not ours sees it.

Master and copy are read by lcms through the profile that lies in each file, to CIE XYZ in floating point.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from flows.copies import write_copies
from flows.encodings import predict
from flows.pair import PairSettings, colorize_pair
from flows.run_record import file_provenance
from sscn import Colorizer, EncodedReference
from storage.images import Master, read_master
from tests.flows.conftest import picture
from tests.icc_profiles import (
    D50,
    D65,
    SPACES,
    SRGB_TO_XYZ,
    Curve,
    Floats,
    adapted,
    cmyk_profile,
    lightness,
    read_copy,
    srgb_curve,
    table_rgb_profile,
    xyz_of,
)

PHOTOGRAPH = Path(__file__).parents[1] / "data" / "dust_bowl_home.jpg"
LIMITS = {8: 0.5, 16: 0.05}
"""Of the difference in L*, by the bits of a sample: what rounding to the nearest sample costs, and little more."""


def scene(bits: int, channels: int) -> npt.NDArray[Any]:
    """A photograph between all levels of grey (every fourth of 16 bits) and colours at random, (264, 256, channels)."""
    top = (1 << bits) - 1
    random = np.random.default_rng(3)
    with Image.open(PHOTOGRAPH) as image:
        photograph = np.asarray(image.convert("RGB").resize((256, 192)), np.float64) / 255 * top
    photograph += random.uniform(-top / 512, top / 512, photograph.shape)
    ramp = np.arange(64 * 256).reshape(64, 256) % 256 if bits == 8 else np.arange(64 * 256).reshape(64, 256) * 4
    ramp[-1, -1] = top
    colours = random.integers(0, top + 1, (8, 256, 3))
    made = np.concatenate([np.repeat(ramp[..., np.newaxis], 3, axis=2), photograph, colours])
    made = np.clip(np.rint(made), 0, top).astype(np.uint16 if bits == 16 else np.uint8)
    return np.ascontiguousarray(made if channels == 3 else made[..., 1])


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.from_pretrained("default", device="cpu", size=128)


@pytest.fixture(scope="module")
def coffee(colorizer: Colorizer) -> EncodedReference:
    return colorizer.encode_reference(picture("coffee.png"))


@pytest.fixture(scope="module")
def vivid() -> Image.Image:
    """The same with twice the saturation."""
    hue, saturation, value = picture("coffee.png").convert("HSV").split()
    return Image.merge("HSV", (hue, saturation.point([min(2 * level, 255) for level in range(256)]), value)).convert(
        "RGB"
    )


def copies(master: Master, colorizer: Colorizer, reference: EncodedReference, paths: list[Path]) -> None:
    """What ``colorize_pair`` does, with several copies at once and the network loaded once."""
    result = predict(colorizer, master, reference)
    provenance = file_provenance(Path("coffee.png"), "ab" * 32, colorizer, datetime.now(UTC))
    write_copies(result.rows, master, provenance, ["tiff", "png", "jp2"], paths)


def write_master(path: Path, samples: npt.NDArray[Any], profile: bytes) -> None:
    photometric = "minisblack" if samples.ndim == 2 else "rgb" if samples.shape[2] == 3 else "separated"
    tifffile.imwrite(path, samples, photometric=photometric, iccprofile=profile, metadata=None)


def encoded(light: Floats, curve: Curve, bits: int = 16) -> npt.NDArray[Any]:
    """The samples nearest to linear light 0..1."""
    signals = np.linspace(0, 1, 65536)
    top = (1 << bits) - 1
    return np.rint(np.interp(light, curve(signals), signals) * top).astype(np.uint16 if bits == 16 else np.uint8)


def inks(rgb: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Grey by black ink alone, colours by the other three on top of it."""
    top = np.iinfo(rgb.dtype).max
    light = rgb / top
    most = light.max(axis=2, keepdims=True)
    colours = (most - light) / np.maximum(most, 1e-3)
    return np.asarray(np.rint(np.concatenate([colours, 1 - most], axis=2) * top).astype(rgb.dtype))


def lab(xyz: Floats) -> Floats:
    """CIE 1976 L*a*b* for D65."""
    part = xyz / D65
    f = np.where(part > (6 / 29) ** 3, np.cbrt(np.maximum(part, 0)), part * 841 / 108 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


@pytest.mark.parametrize("name", SPACES)
def test_profiles_and_reader_follow_the_standards_formulas(name: str) -> None:
    space = SPACES[name]
    for bits in (8, 16):
        samples = scene(bits, 1 if space.is_grey else 3)
        light = space.curve(samples / ((1 << bits) - 1))
        y = light if space.is_grey else light @ (adapted(D50, D65) @ space.to_xyz)[1]
        expected = lightness(np.repeat(y[..., np.newaxis], 3, axis=2))
        found = lightness(xyz_of(samples, space.profile, "gray" if space.is_grey else "rgb"))
        assert np.abs(found - expected).max() < 0.02


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", SPACES)
def test_luminance_is_the_masters_at_every_pixel(
    tmp_path: Path, colorizer: Colorizer, coffee: EncodedReference, name: str, bits: int
) -> None:
    space = SPACES[name]
    samples = scene(bits, 1 if space.is_grey else 3)
    write_master(tmp_path / "master.tif", samples, space.profile)
    master = read_master(tmp_path / "master.tif")
    assert master.metadata.notes == ()
    assert master.bit_depth == bits
    keeps_space = name != "sRGB" and not space.is_grey
    wanted = lightness(xyz_of(samples, space.profile, "gray" if space.is_grey else "rgb"))
    paths = [tmp_path / f"copy.{suffix}" for suffix in ("tif", "png", "jp2")]
    copies(master, colorizer, coffee, paths)
    for path in paths:
        found, profile = read_copy(path)
        assert found.dtype == samples.dtype
        assert (profile == space.profile) == keeps_space
        xyz = xyz_of(found, profile)
        assert np.abs(lightness(xyz) - wanted).max() <= LIMITS[bits]
        assert np.ptp(found[64:256].astype(int), axis=2).mean() > (1 << bits) / 50  # it is in colour
        white, black = found[63, 255], found[0, 0]
        assert (white == (1 << bits) - 1).all()
        assert (black == 0).all()


@pytest.mark.parametrize(("bits", "limit"), LIMITS.items())
def test_luminance_of_inks(
    tmp_path: Path, colorizer: Colorizer, coffee: EncodedReference, bits: int, limit: float
) -> None:
    """Inks whose colours sRGB has."""
    samples = inks(scene(bits, 3))
    write_master(tmp_path / "master.tif", samples, cmyk_profile())
    wanted = lightness(xyz_of(samples, cmyk_profile(), "cmyk"))
    paths = [tmp_path / f"copy.{suffix}" for suffix in ("tif", "png", "jp2")]
    copies(read_master(tmp_path / "master.tif"), colorizer, coffee, paths)
    for path in paths:
        found, profile = read_copy(path)
        assert found.dtype == samples.dtype
        assert np.abs(lightness(xyz_of(found, profile)) - wanted).max() <= limit


@pytest.mark.parametrize("bits", [8, 16])
def test_luminance_of_rgb_with_a_table_of_colours(
    tmp_path: Path, colorizer: Colorizer, coffee: EncodedReference, bits: int
) -> None:
    samples = scene(bits, 3)
    write_master(tmp_path / "master.tif", samples, table_rgb_profile())
    wanted = lightness(xyz_of(samples, table_rgb_profile()))
    paths = [tmp_path / f"copy.{suffix}" for suffix in ("tif", "png", "jp2")]
    copies(read_master(tmp_path / "master.tif"), colorizer, coffee, paths)
    for path in paths:
        found, profile = read_copy(path)
        assert found.dtype == samples.dtype
        assert profile != table_rgb_profile()
        assert np.abs(lightness(xyz_of(found, profile)) - wanted).max() <= LIMITS[bits]


@pytest.mark.parametrize("suffix", ["tif", "png", "jp2"])
def test_one_pair_keeps_space_and_luminance(tmp_path: Path, suffix: str) -> None:
    space, samples = SPACES["eciRGB v2"], scene(16, 3)
    write_master(tmp_path / "master.tif", samples, space.profile)
    picture("coffee.png").save(tmp_path / "reference.png")
    output = tmp_path / f"copy.{suffix}"
    settings = PairSettings(
        target=tmp_path / "master.tif", reference=tmp_path / "reference.png", output=output, size=256, device="cpu"
    )
    colorize_pair(settings)
    found, profile = read_copy(output)
    assert profile == space.profile
    difference = lightness(xyz_of(found, profile)) - lightness(xyz_of(samples, space.profile))
    assert np.abs(difference).max() <= LIMITS[16]


def test_colours_are_the_same_in_every_space(tmp_path: Path, colorizer: Colorizer, coffee: EncodedReference) -> None:
    """One picture in several encodings; only colours that sRGB does not have are others."""
    light = srgb_curve(scene(16, 1)[64:256] / 65535)
    found = {}
    for name, space in SPACES.items():
        grey = encoded(light, space.curve)
        samples = grey if space.is_grey else np.repeat(grey[..., np.newaxis], 3, axis=2)
        write_master(tmp_path / "master.tif", samples, space.profile)
        paths = [tmp_path / f"copy.{suffix}" for suffix in ("tif", "png", "jp2")]
        copies(read_master(tmp_path / "master.tif"), colorizer, coffee, paths)
        found[name] = xyz_of(*read_copy(paths[0]))
    for name, xyz in found.items():
        linear = xyz @ np.linalg.inv(SRGB_TO_XYZ).T
        inside = ((linear > 0.002) & (linear < 0.998)).all(axis=2)
        assert inside.mean() > 0.95
        difference = np.linalg.norm(lab(xyz) - lab(found["sRGB"]), axis=2)[inside]
        assert np.quantile(difference, 0.99) < 0.3, name
        assert difference.max() < 1.5, name  # where one is limited in the shadows


@pytest.mark.parametrize(
    ("name", "darker"),
    [("Adobe RGB (1998)", 1.0), ("eciRGB v2", 0.5), ("Display P3", 0.5), ("ProPhoto RGB", 0.5)],
)
def test_a_wide_space_holds_colours_outside_srgb(
    tmp_path: Path, colorizer: Colorizer, vivid: Image.Image, name: str, darker: float
) -> None:
    """A print of the vivid reference's own scene, as light or darker: where sRGB has no room for its chroma."""
    light = srgb_curve(np.asarray(vivid) / 255) @ SRGB_TO_XYZ[1] * darker
    reference = colorizer.encode_reference(vivid)
    found = {}
    for wide in ("sRGB", name):
        space = SPACES[wide]
        samples = np.repeat(encoded(light, space.curve)[..., np.newaxis], 3, axis=2)
        write_master(tmp_path / "master.tif", samples, space.profile)
        paths = [tmp_path / f"copy.{suffix}" for suffix in ("tif", "png", "jp2")]
        copies(read_master(tmp_path / "master.tif"), colorizer, reference, paths)
        found[wide] = xyz_of(*read_copy(paths[0]))
    linear = found[name] @ np.linalg.inv(SRGB_TO_XYZ).T
    outside = ((linear < -0.005) | (linear > 1.005)).any(axis=2)
    assert outside.mean() > 0.01
    chroma, limited = (np.linalg.norm(lab(found[one])[..., 1:], axis=2)[outside].mean() for one in (name, "sRGB"))
    assert chroma > 1.1 * limited


@pytest.mark.parametrize("name", SPACES)
def test_neutral_stays_neutral(tmp_path: Path, colorizer: Colorizer, name: str) -> None:
    """After a reference without colours the copy has none: less chroma than anybody sees."""
    space = SPACES[name]
    write_master(tmp_path / "master.tif", scene(16, 1 if space.is_grey else 3), space.profile)
    reference = colorizer.encode_reference(picture("coffee.png").convert("L"))
    paths = [tmp_path / f"copy.{suffix}" for suffix in ("tif", "png", "jp2")]
    copies(read_master(tmp_path / "master.tif"), colorizer, reference, paths)
    assert np.linalg.norm(lab(xyz_of(*read_copy(paths[0])))[..., 1:], axis=2).max() < 0.6
