"""Masters of several pages have copies of as many."""

from pathlib import Path

import numpy as np
import pikepdf
import tifffile
from pikepdf import Name

from storage.images import DerivativeProvenance, write_derivative
from storage.masters import DocumentCopy, read_master, write_document
from tests.storage.documents import documents
from tests.storage.formats.copies import colours_for
from tests.storage.formats.samples import HEIGHT, RGB, WIDTH
from tests.storage.formats.tiff_masters import page_of_tiff


def _copy_of_pages(tmp_path: Path, provenance: DerivativeProvenance, form: str, wanted: tuple[int, ...]) -> Path:
    path = tmp_path / "master"
    pages, sha256 = {}, ""
    for number in wanted:
        master = read_master(path, page=number)
        rgb, sha256 = colours_for(master), master.sha256
        pages[number] = write_derivative(tmp_path / f"page{number}.tif", rgb, master, provenance).path
    (tmp_path / "copy").touch()
    copy = DocumentCopy(path, sha256, pages, form, provenance)  # type: ignore[arg-type]
    write_document(tmp_path / "copy", copy)
    return tmp_path / "copy"


def test_a_tiff_of_several_pages_has_a_copy_of_as_many(tmp_path: Path, provenance: DerivativeProvenance) -> None:
    page_of_tiff(1)(tmp_path / "master")
    copy = _copy_of_pages(tmp_path, provenance, "tiff", (1, 2))
    with tifffile.TiffFile(copy) as found, tifffile.TiffFile(tmp_path / "master") as master:
        assert len(found.pages) == len(master.pages) == 3
        for number in (1, 2):
            wanted = colours_for(read_master(tmp_path / "master", page=number))
            assert np.array_equal(found.pages[number - 1].asarray(), wanted)
        assert np.array_equal(found.pages[2].asarray(), master.pages[2].asarray())


def _two_pages(path: Path) -> None:
    with pikepdf.new() as document:
        for samples in (RGB[8], RGB[16]):
            picture = documents.flate(document, samples, Name.DeviceRGB, 8 * samples.itemsize)
            page = f"q {WIDTH} 0 0 {HEIGHT} 0 0 cm /Im0 Do Q"
            documents.add_page(document, {"Im0": picture}, page, (0, 0, WIDTH, HEIGHT))
        documents.add_page(document, {}, "BT /F1 12 Tf 5 5 Td (Only text) Tj ET", (0, 0, WIDTH, HEIGHT))
        document.save(path)


def test_a_pdf_has_a_pdf_or_a_tiff_of_its_coloured_pages(tmp_path: Path, provenance: DerivativeProvenance) -> None:
    _two_pages(tmp_path / "master")
    with pikepdf.open(_copy_of_pages(tmp_path, provenance, "pdf", (1, 2))) as copy:
        assert len(copy.pages) == 3
        for page, bits in zip(copy.pages, (8, 16), strict=False):
            (picture,) = page.Resources.XObject.values()
            assert picture.BitsPerComponent == bits
        (picture,) = copy.pages[0].Resources.XObject.values()
        assert isinstance(picture, pikepdf.Stream)
        wanted = colours_for(read_master(tmp_path / "master", page=1))
        assert np.array_equal(np.asarray(pikepdf.PdfImage(picture).as_pil_image()), wanted)
    with tifffile.TiffFile(_copy_of_pages(tmp_path, provenance, "tiff", (1, 2))) as copy:
        assert [page.dtype for page in copy.pages] == [np.uint8, np.uint16]
