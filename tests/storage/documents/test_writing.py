"""A document comes out with its scans in colour and everything else as it was."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name, OutlineItem

from storage.documents import PagePicture, read_page, write_document
from storage.images.srgb import srgb_profile
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

PACKET = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>'


def written(
    tmp_path: Path, pages: dict[int, Pixels], lossless: bool = True, quality: int | None = None, name: str = "out.pdf"
) -> Path:
    """``a.pdf`` with pictures on some of its pages, checked by qpdf where that is installed."""
    path = tmp_path / name
    path.touch()
    pictures = {number: PagePicture(rows, srgb_profile(), lossless) for number, rows in pages.items()}
    write_document(path, tmp_path / "a.pdf", pictures, xmp=lambda _: PACKET, quality=quality)
    if shutil.which("qpdf"):
        found = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout + found.stderr
    return path


def drawn(path: Path, page: int = 1) -> Pixels:
    """(height, width, 3) as pdfium shows it, one pixel a unit."""
    opened = pypdfium2.PdfDocument(path)
    try:
        return np.array(opened[page - 1].render(scale=1, rev_byteorder=True).to_numpy()[..., :3])
    finally:
        opened.close()


def text_of(path: Path) -> list[str]:
    opened = pypdfium2.PdfDocument(path)
    try:
        return [page.get_textpage().get_text_range() for page in opened]
    finally:
        opened.close()


@pytest.mark.parametrize("depth", [8, 16])
def test_without_loss_every_sample_comes_back(tmp_path: Path, depth: int) -> None:
    document(tmp_path / "a.pdf", grey_jpeg)
    path = written(tmp_path, {1: colours(depth=depth)})
    found = read_page(path, 1, max_pixels=10**6)
    assert np.array_equal(found.samples.colour, colours(depth=depth))
    assert found.icc == srgb_profile()
    assert text_of(path) == text_of(tmp_path / "a.pdf") == ["A letter of 1911"]
    assert np.abs(drawn(path).astype(int) - colours()).mean() < 2


@pytest.mark.parametrize("size", [(240, 180), (1021, 2063), (1, 1), (8, 9), (17, 8)])
def test_a_jpeg_made_of_bands_is_one_jpeg(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    with pikepdf.new() as pdf:
        add_page(pdf, {"Im0": flate(pdf, np.zeros((height, width), np.uint8), Name.DeviceGray)}, FULL_PAGE)
        pdf.save(tmp_path / "a.pdf")
    if width * height < 64:
        with pytest.raises(ValueError, match="no scan"):
            written(tmp_path, {1: colours(width, height)}, lossless=False)
        return
    found = read_page(written(tmp_path, {1: colours(width, height)}, lossless=False), 1, max_pixels=10**7)
    assert found.is_lossy
    assert found.samples.colour.shape == (height, width, 3)
    assert np.abs(found.samples.colour.astype(int) - colours(width, height)).mean() < 4
    coarse = written(tmp_path, {1: colours(width, height)}, lossless=False, quality=10, name="coarse.pdf")
    assert coarse.stat().st_size <= (tmp_path / "out.pdf").stat().st_size


def test_sixteen_bits_are_rounded_for_a_jpeg(tmp_path: Path) -> None:
    document(tmp_path / "a.pdf", grey_jpeg)
    found = read_page(written(tmp_path, {1: colours(depth=16)}, lossless=False), 1, max_pixels=10**6)
    assert np.abs(found.samples.colour.astype(int) - colours()).mean() < 4


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    document(tmp_path / "a.pdf", grey_jpeg, grey_jpeg)
    one = written(tmp_path, {1: colours(), 2: colours()}, lossless=False)
    other = written(tmp_path, {2: colours(), 1: colours()}, lossless=False, name="other.pdf")
    assert one.read_bytes() == other.read_bytes()
    assert b"CreationDate" not in one.read_bytes()


def test_what_a_document_carries_stays(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        for number in range(3):
            page = add_page(pdf, {"Im0": grey_jpeg(pdf)}, Rotate=90 * number, CropBox=Array([5, 5, 235, 175]))
            page.obj.Thumb = grey_jpeg(pdf)
        with pdf.open_outline() as outline:
            outline.root.append(OutlineItem("Second letter", 1))
        pdf.Root.PageLabels = Dictionary(Nums=Array([0, Dictionary(S=Name("/r"))]))
        pdf.attachments["notes.txt"] = b"found in box 12"
        pdf.docinfo["/Title"] = "Letters"
        profile = pdf.make_stream(srgb_profile(), N=3)
        pdf.Root.OutputIntents = Array([Dictionary(S=Name.GTS_PDFA1, DestOutputProfile=profile)])
        pdf.Root.Metadata = pdf.make_stream(b"<old/>", Type=Name.Metadata, Subtype=Name.XML)
        pdf.save(tmp_path / "a.pdf", min_version="1.3", fix_metadata_version=False)
    packets: list[bytes | None] = []

    def packet(old: bytes | None) -> bytes:
        packets.append(old)
        return PACKET

    (tmp_path / "b.pdf").touch()
    pictures = {2: PagePicture(colours(depth=16), srgb_profile(), True)}
    write_document(tmp_path / "b.pdf", tmp_path / "a.pdf", pictures, xmp=packet, quality=None)
    assert packets == [b"<old/>"]
    with pikepdf.open(tmp_path / "a.pdf") as before, pikepdf.open(tmp_path / "b.pdf") as after:
        assert after.Root.Metadata.read_bytes() == PACKET
        assert after.docinfo["/Title"] == "Letters"
        assert bytes(after.attachments["notes.txt"].get_file().read_bytes()) == b"found in box 12"
        assert [page.label for page in after.pages] == ["i", "ii", "iii"]
        with after.open_outline() as outline:
            assert [item.title for item in outline.root] == ["Second letter"]
        assert len(after.Root.OutputIntents) == 1
        assert after.pdf_version == "1.5"
        for number, (old, new) in enumerate(zip(before.pages, after.pages, strict=True), start=1):
            assert list(old.MediaBox) == list(new.MediaBox)
            assert list(old.CropBox) == list(new.CropBox)
            assert old.obj.get("/Rotate") == new.obj.get("/Rotate")
            assert old.Contents.read_bytes() == new.Contents.read_bytes()
            same = old.Resources.XObject.Im0.read_raw_bytes() == new.Resources.XObject.Im0.read_raw_bytes()
            assert same == (number != 2)
            assert ("/Thumb" in new.obj) == (number != 2)
    assert text_of(tmp_path / "b.pdf") == text_of(tmp_path / "a.pdf")


def test_an_image_that_pages_share_changes_on_one_only(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        scan = flate(pdf, photograph(), Name.DeviceGray)
        form = pdf.make_stream(
            b"q 240 0 0 180 0 0 cm /Im Do Q",
            Type=Name.XObject,
            Subtype=Name.Form,
            BBox=Array([0, 0, 240, 180]),
            Resources=Dictionary(XObject=Dictionary(Im=scan)),
        )
        shared = pdf.make_indirect(Dictionary(XObject=Dictionary(Im0=scan, Fm=form), Font=Dictionary()))
        for _ in range(2):
            add_page(pdf, {}, FULL_PAGE).obj.Resources = shared
        for _ in range(2):
            add_page(pdf, {}, "/Fm Do").obj.Resources = shared
        pdf.save(tmp_path / "a.pdf")
    path = written(tmp_path, {1: colours(), 4: colours()})
    grey = np.repeat(photograph()[..., None], 3, axis=2)
    for page in range(1, 5):
        expected = colours() if page in (1, 4) else grey
        assert np.abs(drawn(path, page).astype(int) - expected).mean() < 2, page


@pytest.mark.parametrize("in_form", [False, True])
def test_an_inline_image(tmp_path: Path, in_form: bool) -> None:
    small = photograph(24, 18)
    inline = b"q 240 0 0 180 0 0 cm BI /W 24 /H 18 /BPC 8 /CS /G ID " + small.tobytes() + b" EI Q "
    with pikepdf.new() as pdf:
        if in_form:
            form = pdf.make_stream(inline, Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 240, 180]))
            add_page(pdf, {"Fm": form}, "/Fm Do " + HIDDEN_TEXT)
        else:
            add_page(pdf, {}, inline + HIDDEN_TEXT.encode())
        pdf.save(tmp_path / "a.pdf")
    assert np.array_equal(read_page(tmp_path / "a.pdf", 1, max_pixels=10**6).samples.colour, small)
    path = written(tmp_path, {1: colours(24, 18)})
    assert np.array_equal(read_page(path, 1, max_pixels=10**6).samples.colour, colours(24, 18))
    assert text_of(path) == ["A letter of 1911"]
    assert b"BI" not in path.read_bytes().split(b"stream")[0]


def test_masks_stay_and_stencils_become_pictures(tmp_path: Path) -> None:
    def masked(pdf: pikepdf.Pdf) -> Any:
        half = np.zeros((180, 240), np.uint8)
        half[:90] = 255
        return flate(pdf, photograph(), Name.DeviceGray, SMask=flate(pdf, half, Name.DeviceGray))

    def stencil(pdf: pikepdf.Pdf) -> Any:
        bits = np.packbits(black_and_white(), axis=1).tobytes()
        return image(pdf, bits, 240, 180, None, None, ImageMask=True)

    document(tmp_path / "a.pdf", masked, stencil)
    path = written(tmp_path, {1: colours(), 2: colours()})
    assert np.abs(drawn(path)[:89].astype(int) - colours()[:89]).mean() < 2
    assert drawn(path)[91:].min() == 255
    assert np.abs(drawn(path, 2).astype(int) - colours()).mean() < 2


def strips(pdf: pikepdf.Pdf) -> tuple[dict[str, Any], str]:
    parts = {f"S{top}": flate(pdf, photograph()[top : top + 45], Name.DeviceGray) for top in range(0, 180, 45)}
    return parts, " ".join(f"q 240 0 0 45 0 {135 - int(name[1:])} cm /{name} Do Q" for name in parts)


CONTENTS = {
    "plain": "{strips} {text}",
    "text below": "{text} {strips}",
    "in a group with a scale": "q .5 0 0 .5 0 0 cm 2 0 0 2 0 0 cm {strips} Q {text}",
    "each one clipped": "q 0 0 240 180 re W n {strips} Q {text}",
    "clipped by rectangles together": "q 0 0 240 90 re 0 90 240 90 re W n {strips} Q {text}",
    "the first one clipped to itself": "q 0 135 240 45 re W n {first} Q {rest} {text}",
    "in a state": "/GS0 gs {strips} {text}",
    "in a form": "/Fm Do {text}",
}


@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("kind", CONTENTS)
def test_strips_become_one_picture_and_text_stays(tmp_path: Path, kind: str, rotate: int) -> None:
    with pikepdf.new() as pdf:
        parts, content = strips(pdf)
        first, _, rest = content.partition(" Q ")
        form = pdf.make_stream(
            content.encode(),
            Type=Name.XObject,
            Subtype=Name.Form,
            BBox=Array([0, 0, 240, 180]),
            Resources=Dictionary(XObject=Dictionary(**parts)),
        )
        filled = CONTENTS[kind].format(strips=content, text=HIDDEN_TEXT, first=first + " Q", rest=rest)
        page = add_page(pdf, {**parts, "Fm": form}, filled, Rotate=rotate)
        page.Resources.ExtGState = Dictionary(GS0=Dictionary(ca=0.5))
        pdf.save(tmp_path / "a.pdf")
    found = read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
    assert found.samples.colour.shape == (180, 240)
    path = written(tmp_path, {1: colours()})
    expected = np.rot90(colours(), -rotate // 90)
    assert np.abs(drawn(path).astype(int) - expected).mean() < 2
    assert text_of(path) == ["A letter of 1911"]
    with pikepdf.open(path) as pdf:
        kinds = [item.get("/ColorSpace") for item in pdf.objects if isinstance(item, pikepdf.Stream)]
        assert Name.DeviceGray not in kinds, "the strips are still there"


def test_visible_text_stays_above_the_picture(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        parts, content = strips(pdf)
        add_page(pdf, parts, content + " BT /F1 80 Tf 0 0 1 rg 20 60 Td (1911) Tj ET")
        pdf.save(tmp_path / "a.pdf")
    path = written(tmp_path, {1: np.full((180, 240, 3), 255, np.uint8)})
    blue = np.all(drawn(path) == (0, 0, 255), axis=2)
    assert 1000 < np.count_nonzero(blue) < 20_000
    assert text_of(path) == ["1911"]
    found = read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
    assert np.array_equal(found.samples.colour, photograph()), "the text is not part of the scan"


def test_layers_give_way_to_one_picture(tmp_path: Path) -> None:
    """A coarse background, ink as a stencil above it and the recognized text in between."""
    with pikepdf.new() as pdf:
        ground = flate(pdf, photograph(60, 45), Name.DeviceGray)
        ink = image(pdf, np.packbits(black_and_white(480, 360), axis=1).tobytes(), 480, 360, None, 1, ImageMask=True)
        content = f"q 240 0 0 180 0 0 cm /Ground Do Q {HIDDEN_TEXT} q 0.3 g 240 0 0 180 0 0 cm /Ink Do Q"
        add_page(pdf, {"Ground": ground, "Ink": ink}, content)
        pdf.save(tmp_path / "a.pdf")
    path = written(tmp_path, {1: colours(480, 360)})
    assert np.array_equal(read_page(path, 1, max_pixels=10**6).samples.colour, colours(480, 360))
    assert np.abs(drawn(path).astype(int) - colours()).mean() < 6
    assert text_of(path) == ["A letter of 1911"]


def test_pictures_that_do_not_fit_are_the_callers_fault(tmp_path: Path) -> None:
    document(tmp_path / "a.pdf", grey_jpeg)
    for pages in ({1: colours(241, 180)}, {2: colours()}, {1: photograph()}, {1: colours().astype(np.float32)}):
        with pytest.raises(ValueError, match="page"):
            written(tmp_path, pages)


@pytest.mark.skipif(shutil.which("qpdf") is None, reason="qpdf is not installed")
def test_qpdf_finds_no_fault(tmp_path: Path) -> None:
    """Of every document that these tests write, where it is installed; here of all kinds of replacement in one."""
    inline = b"q 240 0 0 180 0 0 cm BI /W 24 /H 18 /BPC 8 /CS /G ID " + photograph(24, 18).tobytes() + b" EI Q"
    with pikepdf.new() as pdf:
        add_page(pdf, {"Im0": grey_jpeg(pdf)})
        parts, content = strips(pdf)
        add_page(pdf, parts, content + HIDDEN_TEXT)
        add_page(pdf, {}, inline)
        pdf.save(tmp_path / "a.pdf", object_stream_mode=pikepdf.ObjectStreamMode.generate)
    path = written(tmp_path, {1: colours(), 2: colours(depth=16), 3: colours(24, 18)})
    found = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "No syntax or stream encoding errors" in found.stdout


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm (poppler-utils) is not installed")
@pytest.mark.parametrize("lossless", [True, False])
def test_poppler_shows_the_same(tmp_path: Path, lossless: bool) -> None:
    document(tmp_path / "a.pdf", grey_jpeg)
    path = written(tmp_path, {1: colours()}, lossless)
    command = ["pdftoppm", "-r", "72", path, tmp_path / "shown"]
    assert not subprocess.run(command, capture_output=True, check=True).stderr
    shown = next(tmp_path.glob("shown*.ppm")).read_bytes()
    pixels = np.frombuffer(shown[-240 * 180 * 3 :], np.uint8).reshape(180, 240, 3)
    assert np.abs(pixels.astype(int) - colours()).mean() < 4
