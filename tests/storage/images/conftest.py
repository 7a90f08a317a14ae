"""Masters of many kinds, all made from one real photograph."""

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.images import DerivativeProvenance
from storage.images.records import Pixels

PHOTOGRAPH = Path(__file__).parents[2] / "data" / "dust_bowl_home.jpg"


@pytest.fixture(scope="session")
def sepia() -> Pixels:
    """The photograph as Pillow reads it, (246, 320, 3) uint8."""
    return np.asarray(Image.open(PHOTOGRAPH))


@pytest.fixture(scope="session")
def grey16(sepia: Pixels) -> Pixels:
    """Its green channel with 16 real bits, (246, 320) uint16."""
    noise = np.random.default_rng(7).integers(0, 256, sepia.shape[:2])
    return (sepia[..., 1].astype(np.uint16) * 256 + noise).astype(np.uint16)


@pytest.fixture(scope="session")
def rgb48(sepia: Pixels, grey16: Pixels) -> Pixels:
    """The photograph with 16 bits a channel, (246, 320, 3) uint16."""
    return sepia.astype(np.uint16) * 256 + (grey16 % 256)[..., np.newaxis]


@pytest.fixture(scope="session")
def adobe_rgb() -> bytes:
    """A profile of Adobe RGB (1998), built by lcms from its primaries."""
    primaries = [0.64, 0.33, 1, 0.21, 0.71, 1, 0.15, 0.06, 1]
    profile = imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.329, 1], primaries=primaries, gamma=2.19921875)
    return bytes(profile)


@pytest.fixture(scope="session")
def masters(tmp_path_factory: pytest.TempPathFactory, sepia: Pixels, grey16: Pixels, rgb48: Pixels) -> Path:
    """A folder with one good master of each kind."""
    folder = tmp_path_factory.mktemp("masters")
    picture = Image.fromarray(sepia)
    shutil.copy(PHOTOGRAPH, folder / "sepia.jpg")
    picture.save(folder / "progressive.jpg", progressive=True, quality=90)
    picture.convert("L").save(folder / "grey.jpg", quality=90)
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=90)
    picture.save(folder / "rgb.png", dpi=(300, 300))
    picture.convert("P").save(folder / "palette.png")
    picture.convert("1").save(folder / "bilevel.png")
    (folder / "grey16.png").write_bytes(imagecodecs.png_encode(grey16))
    (folder / "rgb48.png").write_bytes(imagecodecs.png_encode(rgb48))
    picture.save(folder / "lossless.webp", lossless=True)
    tifffile.imwrite(folder / "grey16.tif", grey16, photometric="minisblack", resolution=(400, 400))
    tifffile.imwrite(folder / "rgb48.tif", rgb48, photometric="rgb", compression="lzw", predictor=True)
    tifffile.imwrite(folder / "tiles.tif", sepia, photometric="rgb", compression="zlib", tile=(64, 128))
    picture.save(folder / "jpeg.tif", compression="jpeg")
    picture.convert("CMYK").save(folder / "cmyk.tif", compression="tiff_lzw")
    picture.convert("1").save(folder / "fax.tif", compression="group4")
    return folder


@pytest.fixture
def provenance() -> DerivativeProvenance:
    return DerivativeProvenance(
        software="Archive Colorizer",
        version="0.1.0",
        ai_system="SSCN",
        ai_system_version="default 0123abcd",
        when=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        parameters={"size": 512, "attention": "sparse"},
        reference_name="house & garden.jpg",
        reference_sha256="ab" * 32,
    )


@pytest.fixture(scope="session")
def exiftool() -> Callable[..., str]:
    """Runs ExifTool and gives what it prints."""
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool (Debian package libimage-exiftool-perl) is not installed")

    def run(*arguments: str | Path) -> str:
        command = [program, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run
