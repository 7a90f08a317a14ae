"""Metadata of masters are found, and kept in their copies, as the README's tables say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from storage.images import DerivativeProvenance, WrittenDerivative, write_access_copy, write_derivative
from storage.masters import DocumentCopy, read_master, write_document
from tests.storage.formats.copies import COPIES, colours_for
from tests.storage.formats.described_masters import (
    IPTC,
    LATITUDE,
    METADATA,
    ORIENTATION,
    PPI,
    PROFILE,
    TAKEN,
    XMP,
    described_jpeg,
    described_pdf,
)
from tests.storage.formats.kept_metadata import KEPT, said_of_copy, said_of_pdf
from tests.storage.formats.making import Row
from tests.storage.formats.samples import WIDTH


@pytest.mark.parametrize(("row", "make"), [pytest.param(row, make, id=row[0]) for row, make in METADATA.items()])
def test_metadata_of_masters(tmp_path: Path, row: Row, make: Callable[[Path], None]) -> None:
    make(tmp_path / "master")
    found = read_master(tmp_path / "master").metadata
    caption = found.description == "Abandoned house"
    if caption:
        block = Image.Exif()
        block.load(b"Exif\0\0" + (found.exif or b""))
        caption = block.get_ifd(ExifTags.IFD.Exif)[36867] == TAKEN
        caption = caption and block.get_ifd(ExifTags.IFD.GPSInfo)[2] == LATITUDE
    is_there = (
        found.ppi is not None and np.allclose(found.ppi, PPI, atol=0.05),
        found.orientation == ORIENTATION,
        caption,
        found.iptc is not None and found.iptc.startswith(IPTC),
        found.xmp is not None and found.xmp.rstrip(b"\0") == XMP,
        found.icc == PROFILE,
    )
    assert row[1:] == tuple("yes" if one else "no" for one in is_there)


@pytest.fixture(scope="module", params=[row for row in METADATA if "PDF" not in row[0]], ids=lambda row: row[0])
def copies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, provenance: DerivativeProvenance
) -> tuple[Row, list[WrittenDerivative]]:
    """A master's row and its copies in all formats."""
    folder = tmp_path_factory.mktemp("copies")
    METADATA[request.param](folder / "master")
    master = read_master(folder / "master")
    rgb = colours_for(master)
    made = [
        write_derivative(folder / name, rgb, master, provenance, form)  # type: ignore[arg-type]
        for form, name in COPIES.items()
    ]
    return request.param, [*made, write_access_copy(folder / "access.jpg", rgb, master, provenance)]


@pytest.mark.parametrize(("row", "what"), [pytest.param(row, what, id=what) for row, what in KEPT.items()])
def test_metadata_of_copies(copies: tuple[Row, list[WrittenDerivative]], row: Row, what: str) -> None:
    """A copy has what the row says, as far as its master had it."""
    master, written = copies
    had = dict(zip(("ppi", "orientation", "exif", "iptc", "xmp", "profile"), master[1:], strict=True))
    had["maker"] = had["exif"] if master[0] != "DNG" else "no"
    found = [said_of_copy(copy, what) for copy in written]
    if what == "profile" and had[what] == "no":
        assert found == ["sRGB"] * 4
    elif had.get(what) == "no":
        assert found == ["not there"] * 4
    else:
        assert found == list(row[1:5])


@pytest.fixture(scope="module")
def copy_of_pdf(tmp_path_factory: pytest.TempPathFactory, provenance: DerivativeProvenance) -> Path:
    """Beside its master."""
    folder = tmp_path_factory.mktemp("pdf")
    described_pdf(folder / "master")
    master = read_master(folder / "master")
    page = write_derivative(folder / "page.tif", colours_for(master), master, provenance)
    (folder / "copy.pdf").touch()
    copy = DocumentCopy(folder / "master", master.sha256, {1: page.path}, "pdf", provenance)
    write_document(folder / "copy.pdf", copy)
    return folder / "copy.pdf"


@pytest.mark.parametrize(("row", "what"), [pytest.param(row, what, id=what) for row, what in KEPT.items()])
def test_metadata_of_pdf_copies(copy_of_pdf: Path, row: Row, what: str) -> None:
    assert row[5] == said_of_pdf(copy_of_pdf, what)


def test_an_access_copy_of_another_size_has_another_resolution(
    tmp_path: Path, provenance: DerivativeProvenance
) -> None:
    described_jpeg(tmp_path / "master")
    master = read_master(tmp_path / "master")
    write_access_copy(tmp_path / "small.jpg", colours_for(master), master, provenance, long_side=30)
    with Image.open(tmp_path / "small.jpg") as image:
        assert max(image.size) == 30
        assert image.getexif()[ExifTags.Base.XResolution] == pytest.approx(PPI * 30 / WIDTH, abs=0.1)
