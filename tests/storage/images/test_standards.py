"""What is written is well-formed in the eyes of the programs that archives check their files with."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.images import DerivativeProvenance, Master, read_master, write_derivative
from storage.images.records import Pixels

ExifTool = Callable[..., str]
FORMATS = ("tiff", "png", "jp2")
DESCRIBING = {
    "EXIF:ImageDescription": "Abandoned house",
    "EXIF:Artist": "Dorothea Lange",
    "EXIF:Copyright": "public domain",
    "EXIF:DateTimeOriginal": "1936:04:01 10:00:00",
    "EXIF:ExposureTime": "0.01",
    "EXIF:GPSLatitude#": "36.5",
    "EXIF:GPSLatitudeRef#": "N",
    "XMP-dc:Title": "Dust & wind",
    "XMP-dc:Creator": "Lange, Dorothea",
}
IPTC = {"IPTC:Caption-Abstract": "A farm house", "IPTC:Keywords": "drought"}
# ExifTool knows six compressions, strips only, and no Exif of a compressed picture in a TIFF; GPS is the master's.
_NOT_OURS = ("tag 0x0103 Compression", "GPSProcessingMethod", "StripOffsets", "RowsPerStrip", "StripByteCounts")


def program(name: str, package: str) -> str:
    """Where a program is; without it the test is skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} (Debian package {package}) is not installed")
    return found


def complaints(path: Path, exiftool: ExifTool) -> list[str]:
    """All that ExifTool and libtiff or pngcheck find wrong with a file, which Pillow must be able to verify."""
    lines = exiftool("-validate", "-warning", "-error", "-a", path).splitlines()
    found = [line for line in lines if line.startswith(("Warning", "Error"))]
    found = [line for line in found if not any(known in line for known in _NOT_OURS)]
    if path.suffix == ".tif":
        check = [program("tiffinfo", "libtiff-tools"), "-D", str(path)]
        found += subprocess.run(check, check=True, capture_output=True, text=True).stderr.splitlines()
        # libtiff knows no pointer to an interoperability directory, which Exif puts into its own
        found = [line for line in found if "40965" not in line]
    elif path.suffix == ".png":
        check = [program("pngcheck", "pngcheck"), "-q", str(path)]
        found += subprocess.run(check, capture_output=True, text=True).stdout.splitlines()
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        image.load()
    return found


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory, sepia: Pixels, rgb48: Pixels, adobe_rgb: bytes,
              exiftool: ExifTool) -> dict[str, Path]:  # fmt: skip
    """Masters that carry all kinds of metadata, little-endian and big-endian, and one that carries none."""
    folder = tmp_path_factory.mktemp("described")
    bare: dict[str, Any] = {"metadata": None, "photometric": "rgb", "software": False}
    tifffile.imwrite(folder / "bare.tif", sepia, **bare)
    tifffile.imwrite(folder / "little.tif", rgb48, resolution=(300, 300), iccprofile=adobe_rgb, **bare)
    tifffile.imwrite(folder / "large.tif", np.tile(sepia, (13, 9, 1)), resolution=(600, 600), **bare)
    tifffile.imwrite(folder / "big_endian.tif", rgb48, byteorder=">", resolution=(300, 300), **bare)
    Image.fromarray(sepia).save(folder / "camera.jpg", quality=95, dpi=(300, 300), icc_profile=adobe_rgb)
    Image.fromarray(sepia).save(folder / "web.png", dpi=(72, 72))
    for path in folder.iterdir():
        if path.stem != "bare":
            tags = DESCRIBING if path.suffix == ".png" else DESCRIBING | IPTC
            exiftool("-q", "-overwrite_original", *(f"-{tag}={value}" for tag, value in tags.items()), path)
    return {path.stem: path for path in folder.iterdir()}


def derived(master: Master, path: Path, provenance: DerivativeProvenance, format: str) -> None:
    colours = np.asarray(master.samples[0 : master.samples.shape[0]])
    colours = colours if colours.ndim == 3 else np.repeat(colours[..., np.newaxis], 3, axis=2)
    write_derivative(path, colours ^ np.arange(3, dtype=colours.dtype), master, provenance, format)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["bare", "little", "big_endian", "camera", "web"])
def test_written_files_are_well_formed_and_say_what_the_master_said(
    tmp_path: Path,
    described: dict[str, Path],
    provenance: DerivativeProvenance,
    exiftool: ExifTool,
    name: str,
    format: str,
) -> None:
    path = tmp_path / ("out.tif" if format == "tiff" else f"out.{format}")
    derived(read_master(described[name]), path, provenance, format)
    assert complaints(path, exiftool) == []
    wanted = [f"-{tag}" for tag in (*DESCRIBING, *IPTC)]
    said, repeated = (
        json.loads(exiftool("-json", "-G0", *wanted, file))[0] | {"SourceFile": ""} for file in (described[name], path)
    )
    if format == "png":  # which has no place for IPTC
        said = {tag: value for tag, value in said.items() if not tag.startswith("IPTC:")}
    assert repeated == said
    assert len(said) == 1 or name != "bare"
    assert len(said) >= len(DESCRIBING) or name == "bare"


@pytest.mark.parametrize("format", ["tiff", "png"])
def test_large_files_are_well_formed(
    tmp_path: Path, described: dict[str, Path], provenance: DerivativeProvenance, exiftool: ExifTool, format: str
) -> None:
    path = tmp_path / ("out.tif" if format == "tiff" else "out.png")
    derived(read_master(described["large"]), path, provenance, format)
    assert complaints(path, exiftool) == []
    if format == "tiff":
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].is_tiled


@pytest.mark.parametrize("name", ["little", "large"])
def test_jpeg_2000_is_valid_to_jpylyzer(
    tmp_path: Path, described: dict[str, Path], provenance: DerivativeProvenance, name: str
) -> None:
    pytest.importorskip("jpylyzer", reason="jpylyzer is not installed")
    derived(read_master(described[name]), tmp_path / "out.jp2", provenance, "jp2")
    check = [sys.executable, "-m", "jpylyzer", str(tmp_path / "out.jp2")]
    report = subprocess.run(check, check=True, capture_output=True, text=True).stdout
    assert ">True</isValid>" in report
