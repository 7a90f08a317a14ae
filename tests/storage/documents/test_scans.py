"""Which picture of a page is its scan, how it lies there, and why a page has none."""

from pathlib import Path

import numpy as np
import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name

from storage.documents import identify_document, read_page
from storage.images.orientation import upright
from storage.images.records import ImageFacts, Refusal
from tests.storage.documents.documents import (
    FULL_PAGE,
    HIDDEN_TEXT,
    Pixels,
    add_page,
    black_and_white,
    colours,
    document,
    flate,
    grey_jpeg,
    image,
    photograph,
)

VISIBLE_TEXT = HIDDEN_TEXT.replace("3 Tr", "0 Tr")


def shown(path: Path, page: int = 1) -> Pixels:
    """The page as pdfium shows it, one pixel a unit, grey."""
    opened = pypdfium2.PdfDocument(path)
    try:
        return np.array(opened[page - 1].render(scale=1, grayscale=True).to_numpy())
    finally:
        opened.close()


def test_each_page_is_told_apart(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        add_page(pdf, {"Im0": grey_jpeg(pdf)}, box=(0, 0, 57.6, 43.2), content="57.6 0 0 43.2 0 0 cm /Im0 Do")
        add_page(pdf, {}, VISIBLE_TEXT)
        add_page(pdf, {}, "")
        add_page(pdf, {}, "10 10 m 50 50 l S")
        add_page(pdf, {}, HIDDEN_TEXT)
        add_page(pdf, {"Im0": grey_jpeg(pdf)}, f"q 100 0 0 100 0 0 cm /Im0 Do Q {VISIBLE_TEXT}")
        add_page(pdf, {"Im0": grey_jpeg(pdf)}, "q 20 0 0 15 0 0 cm /Im0 Do Q")
        add_page(pdf, {"Im0": grey_jpeg(pdf)}, f"{FULL_PAGE} {VISIBLE_TEXT}")
        add_page(pdf, {"Im0": grey_jpeg(pdf)}, "q 1 0 0 1 1000 1000 cm /Im0 Do Q")
        pdf.save(tmp_path / "a.pdf")
    pages = identify_document(tmp_path / "a.pdf")
    assert pages[0].facts == ImageFacts("pdf", 240, 180, 1, 8, 9, (300.0, 300.0), False)
    assert [page.reason for page in pages] == [
        None,
        "the page has text but no scan",
        "the page is empty",
        "the page has drawn lines but no scan",
        "the page has hidden text but no scan",
        "the page has text and only small pictures",
        "the page has only small pictures",
        None,
        "the page has only small pictures",
    ]
    assert [page.facts is None for page in pages] == [page.reason is not None for page in pages]
    with pytest.raises(Refusal, match="has no scan on page 2: the page has text but no scan"):
        read_page(tmp_path / "a.pdf", 2, max_pixels=10**6)
    with pytest.raises(Refusal, match="has no page 10"):
        read_page(tmp_path / "a.pdf", 10, max_pixels=10**6)


PLACINGS = {
    "upright": "240 0 0 180 0 0",
    "upside down": "-240 0 0 -180 240 180",
    "left and right exchanged": "-240 0 0 180 240 0",
    "head over": "240 0 0 -180 0 180",
    "turned left": "0 240 -180 0 180 0",
    "turned right": "0 -240 180 0 0 240",
    "transposed": "0 -240 -180 0 180 240",
    "transposed the other way": "0 240 180 0 0 0",
}


@pytest.mark.parametrize("rotate", [0, 90, 180, 270, -90, 450])
@pytest.mark.parametrize("placing", PLACINGS)
def test_the_orientation_is_what_the_page_shows(tmp_path: Path, placing: str, rotate: int) -> None:
    matrix = PLACINGS[placing]
    width, height = (180, 240) if matrix.startswith("0") else (240, 180)
    with pikepdf.new() as pdf:
        scan = flate(pdf, photograph(), Name.DeviceGray)
        add_page(pdf, {"Im0": scan}, f"q {matrix} cm /Im0 Do Q", (0, 0, width, height), Rotate=rotate)
        pdf.save(tmp_path / "a.pdf")
    read = read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
    assert np.array_equal(read.samples.colour, photograph())
    expected = shown(tmp_path / "a.pdf")
    turned = upright(read.samples.colour, read.orientation)
    assert turned.shape == expected.shape
    assert np.abs(turned.astype(int) - expected).mean() < 2
    facts = identify_document(tmp_path / "a.pdf")[0].facts
    assert facts is not None
    assert (facts.height, facts.width) == expected.shape


def test_matrices_of_groups_and_forms_are_multiplied(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        scan = flate(pdf, photograph(), Name.DeviceGray)
        form = pdf.make_stream(
            b"q .5 0 0 .5 0 0 cm 2 0 0 2 0 0 cm /Deep Do Q",
            Type=Name.XObject,
            Subtype=Name.Form,
            BBox=Array([0, 0, 1, 1]),
            Matrix=Array([0, 1, -1, 0, 1, 0]),
            Resources=Dictionary(XObject=Dictionary(Deep=scan)),
        )
        add_page(pdf, {"Fm": form}, "q 180 0 0 240 0 0 cm q /Fm Do Q Q", (0, 0, 180, 240), UserUnit=2)
        pdf.save(tmp_path / "a.pdf")
    read = read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
    assert read.orientation == 8
    assert read.ppi == (36.0, 36.0)
    assert np.abs(upright(read.samples.colour, 8).astype(int) - shown(tmp_path / "a.pdf")).mean() < 2


def test_a_small_mark_beside_the_scan_is_not_part_of_it(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        logo = flate(pdf, colours(20, 20), Name.DeviceRGB)
        scan = flate(pdf, photograph(), Name.DeviceGray)
        add_page(pdf, {"Im0": scan, "Logo": logo}, f"{FULL_PAGE} q 20 0 0 20 0 0 cm /Logo Do Q")
        pdf.save(tmp_path / "a.pdf")
    assert np.array_equal(read_page(tmp_path / "a.pdf", 1, max_pixels=10**6).samples.colour, photograph())


@pytest.mark.parametrize("height", [1, 7, 45])
def test_strips_are_one_scan_pixel_for_pixel(tmp_path: Path, height: int) -> None:
    """At 200 pixels per inch, as scanners cut pages into strips."""
    pixels, scale = photograph(), 72 / 200
    tops = range(0, 180, height)
    with pikepdf.new() as pdf:
        strips = {f"S{top}": flate(pdf, pixels[top : top + height], Name.DeviceGray) for top in tops}
        content = ""
        for top in tops:
            rows = min(height, 180 - top)
            place = f"{240 * scale:.4f} 0 0 {rows * scale:.4f} 0 {(180 - top - rows) * scale:.4f}"
            content += f"q {place} cm /S{top} Do Q\n"
        add_page(pdf, strips, content + HIDDEN_TEXT, (0, 0, 240 * scale, 180 * scale))
        pdf.save(tmp_path / "a.pdf")
    facts = identify_document(tmp_path / "a.pdf")[0].facts
    assert facts is not None
    assert (facts.width, facts.height, facts.channels) == (240, 180, 1)
    assert facts.ppi == pytest.approx((200, 200), abs=0.1)
    read = read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
    assert not read.is_lossy
    assert np.array_equal(read.samples.colour, pixels)
    assert read.notes


def test_layers_are_taken_together_at_the_finest_resolution(tmp_path: Path) -> None:
    """Mixed raster content: a coarse background and a fine stencil with the ink's colour."""
    ink = black_and_white(480, 360)
    with pikepdf.new() as pdf:
        ground = flate(pdf, np.full((45, 60), 200, np.uint8), Name.DeviceGray)
        packed = np.packbits(ink, axis=1)
        stencil = image(pdf, packed.tobytes(), 480, 360, None, 1, ImageMask=True)
        content = "q 240 0 0 180 0 0 cm /Ground Do Q q 0.2 g 240 0 0 180 0 0 cm /Ink Do Q " + HIDDEN_TEXT
        add_page(pdf, {"Ground": ground, "Ink": stencil}, content)
        pdf.save(tmp_path / "a.pdf")
    read = read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
    assert read.samples.colour.shape == (360, 480)
    assert read.ppi == (144.0, 144.0)
    expected = np.where(ink == 1, 200, 51)
    assert np.mean(np.abs(read.samples.colour.astype(int) - expected) > 2) < 0.01


def test_the_limit_is_held_before_anything_is_unpacked(tmp_path: Path) -> None:
    def claims(pdf: pikepdf.Pdf) -> object:
        return image(pdf, b"\x78\x9c", 60_000, 60_000, Name.DeviceGray, Filter=Name.FlateDecode)

    document(tmp_path / "a.pdf", claims)
    facts = identify_document(tmp_path / "a.pdf")[0].facts
    assert facts is not None
    assert facts.width == 60_000
    with pytest.raises(Refusal) as caught:
        read_page(tmp_path / "a.pdf", 1, max_pixels=10**8)
    assert caught.value.error_type == "too_large"
