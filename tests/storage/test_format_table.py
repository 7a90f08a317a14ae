"""The tables of formats in README: each row is tried with files of its kind, and each test has its row.

Files are made here of a real photograph. What is read is compared with the samples that went in, or with what Pillow,
tifffile or pdfium's own users see; copies are read back by tifffile, Pillow and imagecodecs, never by our readers.
"""

import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pypdfium2
import pytest
import tifffile
from pikepdf import Array, Name
from PIL import ExifTags, Image, IptcImagePlugin

from storage.errors import UnreadableImage
from storage.images import DerivativeProvenance, Master, WrittenDerivative, write_access_copy, write_derivative
from storage.images.jpeg2000_boxes import EXIF_UUID, IPTC_UUID, XMP_UUID
from storage.images.rows import whole
from storage.images.srgb import srgb_profile
from storage.masters import identify_pages, read_master, write_document
from tests.icc_profiles import SPACES, read_copy
from tests.storage.documents import documents
from tests.storage.format_masters import (
    GREY,
    HEIGHT,
    MASTERS,
    RGB,
    WIDTH,
    Make,
    Pixels,
    Row,
    converted,
    jpeg2000,
    page_of_tiff,
    pillow,
    png,
    raw_camera_file,
    tiff,
)
from tests.storage.images import test_dng as dng
from tests.storage.images import test_jpeg2000 as boxes

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.split("## What goes in, what comes out\n")[1].split("\n## ")[0]
COPIES = {"tiff": "copy.tif", "png": "copy.png", "jp2": "copy.jp2"}


def table(heading: str) -> list[Row]:
    """The rows of the README's table whose first column is called so."""
    (found,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", SECTION, re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in found.splitlines()]


CASES = [
    pytest.param(row, make, id=f"{row[0]}-{number}")
    for row, made in MASTERS.items()
    for number, make in enumerate(made)
]


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    assert table("master") == list(MASTERS)
    assert table("metadata of the master") == list(METADATA)
    assert table("metadata of the copy") == list(KEPT)
    assert table("refused") == list(REFUSED)


@pytest.fixture(scope="module")
def provenance() -> DerivativeProvenance:
    return DerivativeProvenance(
        software="Archive Colorizer",
        version="0.1.0",
        ai_system="SSCN",
        ai_system_version="default 0123abcd",
        when=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def colours_for(master: Master) -> Pixels:
    """Samples of a copy that are different in every channel."""
    stored = whole(master.samples)
    depth = np.uint16 if master.bit_depth == 16 else np.uint8
    wide = stored.astype(depth) * (257 if stored.itemsize < np.dtype(depth).itemsize else 1)
    rgb = wide if wide.ndim == 3 else np.repeat(wide[..., np.newaxis], 3, axis=2)
    return np.asarray(rgb // np.array([1, 2, 3], depth))


@pytest.mark.parametrize(("row", "make"), CASES)
def test_masters(tmp_path: Path, provenance: DerivativeProvenance, row: Row, make: Make) -> None:
    path = tmp_path / "master"
    read = make(path)
    master = read_master(path, page=read.page)
    found = whole(master.samples)
    assert (found.shape, found.dtype) == (read.samples.shape, read.samples.dtype)
    assert np.abs(found.astype(int) - read.samples).max() <= read.off
    assert master.facts == identify_pages(path)[read.page - 1]
    if row[1] in ("bit for bit", "its colours", "as Pillow reads it", "as 0 and 255"):
        assert read.off == 0
    assert read.note in "; ".join(master.metadata.notes)
    _, _, depth, profile = row
    bits = 8 * read.samples.itemsize if depth.startswith("as the") else int(depth[:2].strip(","))
    icc = read.profile if profile == "the master's own" else srgb_profile()
    assert icc is not None
    rgb = colours_for(master)
    for form, name in COPIES.items():
        written = write_derivative(tmp_path / name, rgb, master, provenance, form)  # type: ignore[arg-type]
        samples, embedded = read_copy(tmp_path / name)
        assert written.bit_depth == bits == 8 * samples.itemsize
        assert np.array_equal(samples, rgb)
        assert embedded == icc
    write_access_copy(tmp_path / "access.jpg", rgb, master, provenance)
    with Image.open(tmp_path / "access.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (rgb.shape[1], rgb.shape[0]))
        assert image.info["icc_profile"] == srgb_profile()
        if row[1] == "bit for bit":
            eight = (rgb >> 8).astype(np.uint8) if rgb.itemsize == 2 else rgb
            assert np.abs(np.asarray(image) - converted(eight, "RGB", icc).astype(int)).mean() < 4


XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Headline="A house in the dust"/></rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
).encode()
IPTC = b"\x1c\x02\x78\x00\x0cA farm house"
LABEL = b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PROFILE = SPACES["Adobe RGB (1998)"].profile
ORIENTATION, PPI = 6, 300.0
TAKEN, LATITUDE = "1936:04:01 10:00:00", (36.0, 30.0, 0.0)


def exif(*, resolution: bool = False) -> Image.Exif:
    """A caption, the time, the place, a maker's private note and the orientation."""
    made = Image.Exif()
    made[ExifTags.Base.ImageDescription] = "Abandoned house"
    made[ExifTags.Base.Orientation] = ORIENTATION
    made.get_ifd(ExifTags.IFD.Exif).update({36867: TAKEN, 37500: b"private to the maker"})
    made.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: LATITUDE})
    if resolution:
        made[ExifTags.Base.XResolution] = made[ExifTags.Base.YResolution] = PPI
        made[ExifTags.Base.ResolutionUnit] = 2
    return made


def exif_block() -> bytes:
    return exif().tobytes().removeprefix(b"Exif\0\0")


def _metadata_tiff(path: Path) -> None:
    tags = Image.Exif()
    tags.load(exif().tobytes())
    tags[700], tags[33723] = XMP, IPTC
    Image.fromarray(RGB[8]).save(path, "TIFF", dpi=(PPI, PPI), icc_profile=PROFILE, exif=tags)


def _metadata_jpeg(path: Path) -> None:
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
    extra = b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource
    how: dict[str, Any] = {"dpi": (PPI, PPI), "icc_profile": PROFILE, "exif": exif(), "xmp": XMP, "extra": extra}
    Image.fromarray(RGB[8]).save(path, "JPEG", **how)


def _metadata_png(path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    picture = Image.fromarray(RGB[8])
    picture.save(path, "PNG", dpi=(PPI, PPI), icc_profile=PROFILE, exif=exif(), pnginfo=texts)


def _metadata_webp(path: Path) -> None:
    how: dict[str, Any] = {"icc_profile": PROFILE, "exif": exif(resolution=True), "xmp": XMP, "lossless": True}
    Image.fromarray(RGB[8]).save(path, "WEBP", **how)


def _metadata_jp2(path: Path) -> None:
    uuids = ((EXIF_UUID, exif_block()), (XMP_UUID, XMP), (IPTC_UUID, IPTC))
    after = b"".join(boxes.box(b"uuid", name + body) for name, body in uuids)
    resolution = boxes.box(b"resc", struct.pack(">HHHHbb", 30000, 254, 30000, 254, 2, 2))
    header = (boxes.profile(PROFILE), boxes.box(b"res ", resolution))
    path.write_bytes(boxes.jp2(boxes.codestream(RGB[8]), *header, after=after))


def _metadata_dng(path: Path) -> None:
    tags = [*dng.camera_tags(ORIENTATION), *dng.sensor_tags()]
    tags += [(270, "s", 0, "Abandoned house", True)]
    tags += [(number, "B", len(block), block, True) for number, block in ((700, XMP), (33723, IPTC))]
    pointers = {34664: 34665, 34852: 34853}  # tifffile does not write Exif's own tags: those before, renamed below
    tags += [(number, "I", 1, 0, True) for number in pointers]
    how: dict[str, Any] = {"resolution": (PPI, PPI), "extratags": tags, "metadata": None, "software": False}
    tifffile.imwrite(path, dng.mosaic(np.full((64, 64, 3), 0.4)), photometric=32803, **how)
    with tifffile.TiffFile(path) as file:
        places = {number: file.pages.first.tags[number].offset for number in pointers}
    data = bytearray(path.read_bytes())
    data += bytes(len(data) % 2)
    camera, place = len(data), len(data) + 40
    data += struct.pack("<HHHIII", 1, 36867, 2, 20, camera + 18, 0) + f"{TAKEN}\0".encode() + bytes(2)
    data += struct.pack("<HHHI4sHHIII", 2, 1, 2, 2, b"N", 2, 5, 3, place + 30, 0)
    data += struct.pack("<6I", *(part for value in LATITUDE for part in (int(value), 1)))
    for number, start in ((34664, camera), (34852, place)):
        struct.pack_into("<HHII", data, places[number], pointers[number], 4, 1, start)
    path.write_bytes(data)


def _metadata_pdf(path: Path) -> None:
    """One inch for 300 pixels, and the page is shown turned to the right."""
    with pikepdf.new() as document:
        size = (WIDTH * 72 / PPI, HEIGHT * 72 / PPI)
        space = Array([Name.ICCBased, document.make_stream(PROFILE, N=3)])
        picture = documents.flate(document, RGB[8], space)
        page = f"q {size[0]:.4f} 0 0 {size[1]:.4f} 0 0 cm /Im0 Do Q {documents.HIDDEN_TEXT}"
        documents.add_page(document, {"Im0": picture}, page, (0, 0, *size), Rotate=90)
        document.Root["/Metadata"] = document.make_stream(XMP, Type=Name.Metadata, Subtype=Name.XML)
        document.docinfo["/Title"] = pikepdf.String("Box 3")
        document.attachments["notes.txt"] = b"found in the attic"
        document.save(path)


METADATA: dict[Row, Callable[[Path], None]] = {
    ("TIFF", "yes", "yes", "yes", "yes", "yes", "yes"): _metadata_tiff,
    ("JPEG", "yes", "yes", "yes", "yes", "yes", "yes"): _metadata_jpeg,
    ("PNG", "yes", "yes", "yes", "no", "yes", "yes"): _metadata_png,
    ("WebP", "yes", "yes", "yes", "no", "yes", "yes"): _metadata_webp,
    ("JPEG 2000", "yes", "yes", "yes", "yes", "yes", "yes"): _metadata_jp2,
    ("DNG", "yes", "yes", "yes", "yes", "yes", "no"): _metadata_dng,
    ("a PDF's page", "yes", "yes", "no", "no", "no", "yes"): _metadata_pdf,
}


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


KEPT: dict[Row, str] = {
    ("ppi", "kept", "kept", "kept", "kept", "the page's size"): "ppi",
    ("orientation", "kept", "kept", "kept", "kept", "the page's turn"): "orientation",
    ("Exif with GPS", "kept", "kept", "kept", "kept", "–"): "exif",
    ("maker's notes in Exif", "left out, noted", "left out, noted", "left out, noted", "left out, noted", "–"): "maker",
    ("IPTC", "kept", "left out, noted", "kept", "kept", "–"): "iptc",
    ("XMP, with the label of machine-made colour added", "kept", "kept", "kept", "kept", "kept"): "xmp",
    ("profile of the copy", "embedded", "embedded", "embedded", "sRGB", "embedded"): "profile",
    ("text, title, attachments", "–", "–", "–", "–", "kept"): "document",
}


def _exif_of(path: Path) -> Image.Exif:
    if path.suffix != ".jp2":
        with Image.open(path) as image:
            found = image.getexif()
            for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                found.get_ifd(directory)  # while the file is open
            return found
    _, _, rest = path.read_bytes().partition(b"JpgTiffExif->JP2")
    found = Image.Exif()
    found.load(b"Exif\0\0" + rest)
    return found


def _said_of_copy(copy: WrittenDerivative, what: str) -> str:
    """What became of something that the master carried, in the table's words."""
    path = copy.path
    block = _exif_of(path)
    camera, place = block.get_ifd(ExifTags.IFD.Exif), block.get_ifd(ExifTags.IFD.GPSInfo)
    mark = "nothing"
    with Image.open(path) as image:
        if what == "ppi":
            kept = "dpi" in image.info and np.allclose(image.info["dpi"], PPI, atol=0.05)
        elif what == "orientation":
            upright = path.suffix == ".tif"  # as Pillow gives the size of a TIFF
            turned = image.size == ((copy.height, copy.width) if upright else (copy.width, copy.height))
            kept = turned and block[ExifTags.Base.Orientation] == ORIENTATION
        elif what == "exif":
            found = (block.get(ExifTags.Base.ImageDescription), camera.get(36867), place.get(2))
            kept = found == ("Abandoned house", TAKEN, LATITUDE)
        elif what == "maker":
            kept, mark = 37500 in camera, "MakerNote"
        elif what == "iptc":
            datasets = None if path.suffix == ".jp2" else IptcImagePlugin.getiptcinfo(image)
            in_box = bytes(IPTC_UUID + IPTC) in path.read_bytes()
            kept, mark = in_box or (datasets or {}).get((2, 120)) == b"A farm house", "IPTC"
        elif what == "xmp":
            data = path.read_bytes()
            kept = b"A house in the dust" in data and LABEL in data
        elif what == "profile":
            icc = image.info["icc_profile"] if path.suffix == ".jpg" else read_copy(path)[1]
            return {PROFILE: "embedded", srgb_profile(): "sRGB"}.get(icc, "wrong")
        else:
            return "–"
    if kept:
        return "kept"
    return "left out, noted" if any(mark in note for note in copy.notes) else "not there"


def _said_of_pdf(path: Path, what: str) -> str:
    """The same of a PDF, which is compared with the master beside it."""
    with pikepdf.open(path) as copy, pikepdf.open(path.with_name("master")) as master:
        page, before = copy.pages[0], master.pages[0]
        if what == "ppi":
            same = page.MediaBox == before.MediaBox
            return "the page's size" if same else "lost"
        if what == "orientation":
            return "the page's turn" if page.Rotate == before.Rotate == 90 else "lost"
        if what == "xmp":
            packet = copy.Root.Metadata.read_bytes()
            return "kept" if b"A house in the dust" in packet and LABEL in packet else "lost"
        if what == "profile":
            (picture,) = page.Resources.XObject.values()
            return "embedded" if picture.ColorSpace[1].read_bytes() == PROFILE else "wrong"
        if what == "document":
            kept = copy.docinfo["/Title"] == "Box 3" and copy.attachments["notes.txt"].get_file().read_bytes()
            texts = [
                pypdfium2.PdfDocument(file)[0].get_textpage().get_text_range()
                for file in (path, path.with_name("master"))
            ]
            return "kept" if kept == b"found in the attic" and texts[0] == texts[1] != "" else "lost"
    return "–"


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
    found = [_said_of_copy(copy, what) for copy in written]
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
    _metadata_pdf(folder / "master")
    master = read_master(folder / "master")
    page = write_derivative(folder / "page.tif", colours_for(master), master, provenance)
    (folder / "copy.pdf").touch()
    write_document(folder / "copy.pdf", folder / "master", {1: page.path}, "pdf", provenance, master.sha256)
    return folder / "copy.pdf"


@pytest.mark.parametrize(("row", "what"), [pytest.param(row, what, id=what) for row, what in KEPT.items()])
def test_metadata_of_pdf_copies(copy_of_pdf: Path, row: Row, what: str) -> None:
    assert row[5] == _said_of_pdf(copy_of_pdf, what)


def test_an_access_copy_of_another_size_has_another_resolution(
    tmp_path: Path, provenance: DerivativeProvenance
) -> None:
    _metadata_jpeg(tmp_path / "master")
    master = read_master(tmp_path / "master")
    write_access_copy(tmp_path / "small.jpg", colours_for(master), master, provenance, long_side=30)
    with Image.open(tmp_path / "small.jpg") as image:
        assert max(image.size) == 30
        assert image.getexif()[ExifTags.Base.XResolution] == pytest.approx(PPI * 30 / WIDTH, abs=0.1)


def _copy_of_pages(tmp_path: Path, provenance: DerivativeProvenance, form: str, wanted: tuple[int, ...]) -> Path:
    path = tmp_path / "master"
    pages, sha256 = {}, ""
    for number in wanted:
        master = read_master(path, page=number)
        rgb, sha256 = colours_for(master), master.sha256
        pages[number] = write_derivative(tmp_path / f"page{number}.tif", rgb, master, provenance).path
    (tmp_path / "copy").touch()
    write_document(tmp_path / "copy", path, pages, form, provenance, sha256)  # type: ignore[arg-type]
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


def _cut(make: Make | Callable[[Path], Any], share: float = 0.6) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        make(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return cut


def _animation(path: Path) -> None:
    frames = [Image.fromarray(RGB[8]), Image.fromarray(255 - RGB[8])]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:])


def _signed(path: Path) -> None:
    tifffile.imwrite(path, GREY[8].astype(np.int16), photometric="minisblack")


def _floating(path: Path) -> None:
    tifffile.imwrite(path, GREY[8].astype(np.float32), photometric="minisblack")


def _cielab(path: Path) -> None:
    tifffile.imwrite(path, RGB[8], photometric="cielab")


def _unlike_channels(path: Path) -> None:
    stream = bytearray(boxes.codestream(RGB[8]))
    stream[42] = 11  # bits of the first channel, less one
    path.write_bytes(bytes(stream))


def _locked(path: Path) -> None:
    _metadata_pdf(path)
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.save(path, encryption=pikepdf.Encryption(owner="a", user="b"))


def _only_text(path: Path) -> None:
    with pikepdf.new() as document:
        documents.add_page(document, {}, "BT /F1 12 Tf 5 5 Td (Only text) Tj ET", (0, 0, 99, 99))
        document.save(path)


def _broken_png(path: Path) -> None:
    png(2, 8, RGB[8], RGB[8])(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def _film_frame(path: Path) -> None:
    path.write_bytes(b"SDPX" + bytes(2044))


REFUSED: dict[Row, list[Callable[[Path], object]]] = {
    ("an empty file", "empty"): [Path.touch],
    ("a file that is cut off", "truncated"): [
        _cut(one)
        for one in (
            tiff(RGB[16], photometric="rgb"),
            pillow(Image.fromarray(RGB[8]), "JPEG", "RGB"),
            pillow(Image.fromarray(RGB[8]), "JPEG", "RGB", progressive=True),
            png(2, 8, RGB[8], RGB[8]),
            pillow(Image.fromarray(RGB[8]), "WEBP", "RGB", lossless=True),
            jpeg2000(RGB[8], 8, RGB[8], boxes.space(boxes.SRGB)),
            raw_camera_file,
            _metadata_pdf,
        )
    ],
    ("a text, or anything else that is no picture", "not_an_image"): [
        lambda path: path.write_text("Dear Sir,\n"),
        lambda path: path.write_bytes(bytes(1000)),
    ],
    ("more pixels than `--max-pixels`", "too_large"): [
        tiff(RGB[8], photometric="rgb"),
        pillow(Image.fromarray(RGB[8]), "JPEG", "RGB"),
        png(2, 8, RGB[8], RGB[8]),
        jpeg2000(RGB[8], 8, RGB[8], boxes.space(boxes.SRGB)),
        _metadata_pdf,
    ],
    ("TIFF of floating-point or signed numbers, or in CIELAB; animated WebP; a single DPX frame", "unsupported"): [
        _floating,
        _signed,
        _cielab,
        _animation,
        _film_frame,
    ],
    ("JPEG 2000 of channels with unlike depths", "unsupported"): [_unlike_channels],
    ("a PDF with a password; a page of a PDF without a scan", "unsupported"): [_locked, _only_text],
    ("a picture that is damaged", "unreadable"): [_broken_png],
}
REFUSALS = [
    pytest.param(row, make, id=f"{row[0][:40]}-{number}")
    for row, made in REFUSED.items()
    for number, make in enumerate(made)
]


@pytest.mark.parametrize(("row", "make"), REFUSALS)
def test_refusals(tmp_path: Path, row: Row, make: Callable[[Path], object]) -> None:
    make(tmp_path / "scan no. 7")
    limit = 1000 if row[1] == "too_large" else 1_000_000
    with pytest.raises(UnreadableImage) as refused:
        read_master(tmp_path / "scan no. 7", max_pixels=limit)
    assert refused.value.error_type == row[1]
    assert refused.value.message.startswith("scan no. 7 ")
    assert "\n" not in refused.value.message
