"""Derivatives lie over their masters, keep what these carry, and say how their colour came about."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.errors import StorageError
from storage.fixity import sha256_file
from storage.images import DerivativeProvenance, Master, read_master, write_derivative
from storage.images.exif import parse_exif
from storage.images.orientation import as_stored
from storage.images.records import Pixels
from storage.images.srgb import srgb_profile
from storage.images.tiff_writer import write_tiff

FORMATS = ("tiff", "png")
ExifTool = Callable[..., str]

# ExifTool measures TIFF against the six baseline compressions and strips of TIFF 6.0; deflate and tiles are
# from its supplements. A GPS block without GPSProcessingMethod is the master's own.
_NOT_OURS = ("tag 0x0103 Compression", "GPSProcessingMethod")


def colours_for(master: Master) -> Pixels:
    """Some colours of the master's size and depth, different in every channel and place."""
    stored = as_stored(master.pixels, master.metadata.orientation)
    pixels = stored if stored.ndim == 3 else np.repeat(stored[..., np.newaxis], 3, axis=2)
    return pixels ^ np.arange(3, dtype=pixels.dtype)


def warnings(exiftool: ExifTool, path: Path) -> list[str]:
    lines = exiftool("-validate", "-warning", "-error", "-a", path).splitlines()
    found = [line for line in lines if line.startswith(("Warning", "Error"))]
    return [line for line in found if not any(known in line for known in _NOT_OURS)]


@pytest.mark.parametrize("format", FORMATS)
def test_every_kind_of_master_comes_back(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance, format: str, exiftool: ExifTool
) -> None:
    for path in sorted(masters.iterdir()):
        master = read_master(path)
        rgb = colours_for(master)
        written = write_derivative(tmp_path / f"{path.name}.out", rgb, master, provenance, format)
        back = read_master(written.path)
        assert np.array_equal(back.pixels, rgb), path.name
        assert back.metadata.ppi == master.metadata.ppi
        assert back.metadata.notes == ()
        assert written.bit_depth == back.facts.bit_depth == master.bit_depth
        assert written.sha256 == back.sha256 == sha256_file(written.path)
        assert written.size_bytes == written.path.stat().st_size
        assert (written.height, written.width) == rgb.shape[:2]
    assert len(list(tmp_path.iterdir())) == len(list(masters.iterdir()))
    assert warnings(exiftool, tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_work_gives_the_same_bytes(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance, format: str
) -> None:
    master = read_master(masters / "rgb48.tif")
    digests = {
        write_derivative(tmp_path / name, colours_for(master), master, provenance, format).sha256
        for name in ("a", "b", "c")
    }
    assert len(digests) == 1
    later = replace(provenance, when=datetime(2027, 1, 1, tzinfo=UTC))
    changed = write_derivative(tmp_path / "d", colours_for(master), master, later, format)
    one, other = (tmp_path / "a").read_bytes(), changed.path.read_bytes()
    assert len(one) == len(other)
    assert 1 <= sum(a != b for a, b in zip(one, other, strict=True)) < 30  # the time, and a check sum


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_stored_rows_lie_over_the_master(
    tmp_path: Path, sepia: Pixels, provenance: DerivativeProvenance, orientation: int, format: str
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(sepia).save(tmp_path / "a.png", exif=exif)
    master = read_master(tmp_path / "a.png")
    written = write_derivative(tmp_path / "out", master.samples, master, provenance, format)
    reader = tifffile.imread if format == "tiff" else lambda path: np.asarray(Image.open(path))
    stored = reader(written.path)
    assert np.array_equal(stored, sepia)
    assert Image.open(written.path).getexif()[274] == orientation
    assert np.array_equal(as_stored(master.pixels, orientation), sepia)
    assert np.array_equal(read_master(written.path).pixels, master.pixels)


@pytest.mark.parametrize("format", FORMATS)
def test_exiftool_reads_the_provenance(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance, format: str, exiftool: ExifTool
) -> None:
    master = read_master(masters / "sepia.jpg")
    written = write_derivative(tmp_path / "out", colours_for(master), master, provenance, format)
    (found,) = json.loads(exiftool("-json", "-struct", "-XMP:all", written.path))
    base = "http://cv.iptc.org/newscodes/digitalsourcetype/"
    assert found["DigitalSourceType"] == base + "compositeWithTrainedAlgorithmicMedia"
    assert found["AISystemUsed"] == "SSCN"
    assert found["AISystemVersionUsed"] == "default 0123abcd"
    assert found["DerivedFrom"]["DocumentID"] == f"sha256:{master.sha256}"
    assert found["DerivedFrom"]["FilePath"] == "sepia.jpg"
    assert found["Ingredients"] == [{"DocumentID": "sha256:" + "ab" * 32, "FilePath": "house & garden.jpg"}]
    assert found["History"] == [
        {
            "Action": "colorized",
            "Parameters": "attention=sparse; size=512",
            "SoftwareAgent": "Archive Colorizer 0.1.0",
            "When": "2026:01:02 03:04:05+00:00",
        }
    ]
    chosen = replace(provenance, digital_source_type="algorithmicallyEnhanced")
    write_derivative(tmp_path / "out", colours_for(master), master, chosen, format)
    assert base + "algorithmicallyEnhanced" in exiftool("-XMP:DigitalSourceType", written.path)


@pytest.mark.parametrize("format", FORMATS)
def test_what_the_master_carries_is_kept(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance, format: str, exiftool: ExifTool
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes((masters / "sepia.jpg").read_bytes())
    kept = {
        "EXIF:Orientation#": "8",
        "EXIF:ImageDescription": "Abandoned house",
        "EXIF:Artist": "Dorothea Lange",
        "EXIF:DateTimeOriginal": "1936:04:01 10:00:00",
        "EXIF:UserComment": "shelf 4",
        "EXIF:GPSLatitude#": "36.5",
        "XMP-dc:Title": "Dust & wind",
        "XMP-dc:Subject": "drought",
    }
    thumbnail = tmp_path / "thumbnail"
    Image.open(path).resize((64, 48)).save(thumbnail, "JPEG")
    exiftool(
        "-q", "-overwrite_original", *(f"-{tag}={value}" for tag, value in kept.items()),
        "-EXIF:GPSLatitudeRef=N", "-EXIF:ColorSpace=65535", f"-ThumbnailImage<={thumbnail}",
        "-IPTC:Caption-Abstract=A farm house", "-XMP-xmpMM:DocumentID=xmp.did:0f0f",
        "-XMP-xmpMM:History={Action=digitized,SoftwareAgent=ScanTool}",
        "-XMP-iptcExt:DigitalSourceType=http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm", path,
    )  # fmt: skip
    master = read_master(path)
    written = write_derivative(tmp_path / "out", colours_for(master), master, provenance, format)
    for tag, value in kept.items():
        assert exiftool("-s3", f"-{tag}", written.path).strip() == value
    assert exiftool("-s3", "-EXIF:ColorSpace#", written.path).strip() == "1"
    assert exiftool("-s3", "-ThumbnailImage", "-PreviewImage", written.path) == ""
    assert exiftool("-s3", "-XMP:HistoryAction", written.path).strip() == "digitized, colorized"
    assert exiftool("-s3", "-XMP:OriginalDocumentID", written.path).strip() == "xmp.did:0f0f"
    assert "negativeFilm" not in exiftool("-XMP:DigitalSourceType", written.path)
    caption = exiftool("-s3", "-IPTC:Caption-Abstract", written.path).strip()
    assert caption == ("A farm house" if format == "tiff" else "")
    assert any("IPTC" in note for note in written.notes) == (format == "png")
    assert warnings(exiftool, written.path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_metadata_does_not_break_the_derivative(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance, format: str, exiftool: ExifTool
) -> None:
    master = read_master(masters / "sepia.jpg")
    for damage in (
        b"",
        b"<x:xmpmeta",
        bytes(100),
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"\xff" * 999,
    ):
        broken = replace(master.metadata, exif=b"II*\0\x08\0\0\0\xff\xff" + damage, xmp=damage)
        written = write_derivative(
            tmp_path / "out", colours_for(master), replace(master, metadata=broken), provenance, format
        )
        assert len(written.notes) == 2
        assert np.array_equal(read_master(written.path).pixels, colours_for(master))
        assert warnings(exiftool, written.path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_an_srgb_profile_is_embedded(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance, format: str
) -> None:
    master = read_master(masters / "grey16.tif")
    written = write_derivative(tmp_path / "out", colours_for(master), master, provenance, format)
    assert read_master(written.path).metadata.icc == srgb_profile()


def test_hostile_names_and_parameters_stay_inside_the_xml(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance, exiftool: ExifTool
) -> None:
    master = replace(read_master(masters / "sepia.jpg"), path=Path("/x/<&\udce4\n'\"]]>.jpg"))
    odd = replace(provenance, parameters={"note": "</rdf:li>\0\x1f\udc80"}, ai_system="a<b")
    written = write_derivative(tmp_path / "out", colours_for(master), master, odd)
    assert exiftool("-s3", "-XMP:DerivedFromFilePath", written.path).rstrip("\n") == r"""<&\xe4\x0a'"]]>.jpg"""
    assert exiftool("-s3", "-XMP:AISystemUsed", written.path).strip() == "a<b"


def test_large_pictures_are_tiled_and_big_ones_are_bigtiff(tmp_path: Path, rgb48: Pixels) -> None:
    large = np.tile(rgb48, (13, 9, 1))
    exif = parse_exif(b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 34665, 4, 1, 26, 0)
                      + struct.pack("<HHHI4sI", 1, 36864, 7, 4, b"0232", 0))  # fmt: skip
    for big in (False, True):
        path = tmp_path / f"{big}.tif"
        write_tiff(
            path,
            large,
            icc=srgb_profile(),
            xmp=b"<x/>",
            iptc=b"\x1c\x02\x78\0\0",
            exif=exif,
            ppi=None,
            big=big,
        )
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            assert file.is_bigtiff == big
            assert page.is_tiled
            assert page.tags["ExifTag"].value == {"ExifVersion": "0232"}
            assert np.array_equal(page.asarray(), large)
        assert np.array_equal(read_master(path).pixels, large)


def test_the_master_is_never_written_to(masters: Path, tmp_path: Path, provenance: DerivativeProvenance) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes((masters / "grey16.tif").read_bytes())
    (tmp_path / "link.tif").symlink_to(path)
    master = read_master(path)
    for target in (path, tmp_path / "link.tif"):
        with pytest.raises(StorageError) as refused:
            write_derivative(target, colours_for(master), master, provenance)
        assert refused.value.error_type == "is_master"
    assert sha256_file(path) == master.sha256


def test_what_cannot_be_written_is_said_plainly(masters: Path, provenance: DerivativeProvenance) -> None:
    master = read_master(masters / "grey16.tif")
    with pytest.raises(StorageError, match="could not be written") as refused:
        write_derivative(Path("/dev/null/a.tif"), colours_for(master), master, provenance)
    assert refused.value.error_type == "not_written"


def test_pixels_of_another_size_or_depth_are_a_programming_error(
    masters: Path, tmp_path: Path, provenance: DerivativeProvenance
) -> None:
    master = read_master(masters / "grey16.tif")
    rgb = colours_for(master)
    for wrong in (rgb[1:], rgb.astype(np.uint8), rgb[..., 0]):
        with pytest.raises(ValueError, match="do not fit"):
            write_derivative(tmp_path / "out", wrong, master, provenance)
    assert list(tmp_path.iterdir()) == []
