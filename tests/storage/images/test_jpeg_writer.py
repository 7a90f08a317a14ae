"""Access copies as JPEG: the pixels of one coded whole, metadata in segments and in pieces, notes on the rest."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from xml.dom import minidom

import numpy as np
import pytest
from PIL import Image

from storage.images import read_master
from storage.images.exif import Exif, Field, build_exif
from storage.images.jpeg_writer import write_jpeg
from storage.images.records import Pixels
from storage.images.srgb import srgb_profile

DC = "http://purl.org/dc/elements/1.1/"
IPTC = b"\x1c\x02\x05\x00\x03Oak"
EXIF = build_exif(Exif(image={270: Field(2, 7, b"A barn\0"), 274: Field(3, 1, b"\6\0")}))


def packet(**properties: str) -> bytes:
    inside = "".join(f"<dc:{name}>{value}</dc:{name}>" for name, value in properties.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dc="{DC}" dc:source="shelf 7">{inside}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def write(path: Path, pixels: Pixels, quality: int = 92, **changed: object) -> tuple[str, ...]:
    given = {"icc": srgb_profile(), "xmp": packet(title="Barn"), "iptc": IPTC, "exif_block": EXIF, "ppi": (300, 300)}
    return write_jpeg(path, pixels, quality=quality, **(given | changed))  # type: ignore[arg-type]


def segments(content: bytes) -> list[tuple[int, bytes]]:
    """Marker and body of each segment before the scan."""
    position, found = 2, []
    while content[position + 1] != 0xDA:
        length = int.from_bytes(content[position + 2 : position + 4], "big")
        found.append((content[position + 1], content[position + 4 : position + 2 + length]))
        position += 2 + length
    return found


@pytest.mark.parametrize("quality", [70, 89, 90, 100])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (246, 320), (16, 4001), (1300, 1200), (2050, 900)])
def test_bands_are_as_if_coded_whole(tmp_path: Path, sepia: Pixels, quality: int, size: tuple[int, int]) -> None:
    pixels = np.resize(sepia, (*size, 3))
    path, whole = tmp_path / "a.jpg", BytesIO()
    assert write(path, pixels, quality) == ()
    Image.fromarray(pixels).save(whole, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    image = Image.open(path)
    assert (image.info.get("progressive"), image.mode) == (None, "RGB")
    assert np.array_equal(np.asarray(image), np.asarray(Image.open(whole)))
    frames = [body[7] for marker, body in segments(path.read_bytes()) if marker == 0xC0]
    assert frames == [0x11 if quality >= 90 else 0x22]


def test_the_widest_and_no_wider(tmp_path: Path, sepia: Pixels) -> None:
    widest = np.resize(sepia, (20, 65_500, 3))
    write(tmp_path / "a.jpg", widest)
    assert Image.open(tmp_path / "a.jpg").size == (65_500, 20)
    difference = np.asarray(Image.open(tmp_path / "a.jpg")).astype(int) - widest
    assert np.abs(difference).mean() < 6
    for shape in ((1, 65_501, 3), (65_501, 1, 3), (0, 5, 3)):
        with pytest.raises(ValueError, match="does not fit"):
            write(tmp_path / "b.jpg", np.zeros(shape, np.uint8))
    for pixels in (sepia[..., 0], sepia.astype(np.uint16)):
        with pytest.raises(ValueError, match="not RGB"):
            write(tmp_path / "b.jpg", pixels)
    with pytest.raises(ValueError, match="quality"):
        write(tmp_path / "b.jpg", sepia, 0)
    assert not (tmp_path / "b.jpg").exists()


def test_only_bands_are_asked_for(tmp_path: Path, sepia: Pixels) -> None:
    pixels, asked = np.resize(sepia, (3000, 2000, 3)), []

    class Watched:
        shape, dtype = pixels.shape, pixels.dtype

        def __getitem__(self, rows: slice, /) -> Pixels:
            asked.append(pixels[rows].shape[0])
            return pixels[rows]

    write(tmp_path / "a.jpg", Watched())  # type: ignore[arg-type]
    assert sum(asked) == 3000
    assert max(asked) <= 600
    write(tmp_path / "b.jpg", pixels)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_our_reader_reads_it_and_tells_a_cut(tmp_path: Path, sepia: Pixels) -> None:
    path = tmp_path / "a.jpg"
    write(path, np.resize(sepia, (1500, 1400, 3)))
    master = read_master(path)
    assert (master.metadata.ppi, master.metadata.iptc, master.metadata.xmp) == (
        (300.0, 300.0),
        IPTC,
        packet(title="Barn"),
    )
    assert (master.metadata.exif, master.metadata.icc) == (EXIF, srgb_profile())
    assert (master.metadata.orientation, master.pixels.shape) == (6, (1400, 1500, 3))


def test_resolutions(tmp_path: Path, sepia: Pixels) -> None:
    for ppi, wanted in (((72.0, 96.4), (72, 96)), ((90_000.0, 0.2), (65_535, 1))):
        write(tmp_path / "a.jpg", sepia, ppi=ppi)
        assert Image.open(tmp_path / "a.jpg").info["dpi"] == wanted
    write(tmp_path / "a.jpg", sepia, ppi=None)
    assert Image.open(tmp_path / "a.jpg").info["jfif_unit"] == 0


def test_a_profile_in_pieces(tmp_path: Path, sepia: Pixels) -> None:
    long = srgb_profile() + np.random.default_rng(1).bytes(150_001)
    write(tmp_path / "a.jpg", sepia, icc=long)
    assert Image.open(tmp_path / "a.jpg").info["icc_profile"] == long


def test_an_extended_packet(tmp_path: Path, sepia: Pixels) -> None:
    path, long = tmp_path / "a.jpg", "x&amp;" * 40_000
    xmp = packet(title="Barn", description=long, rights="CC0")
    assert write(path, sepia, xmp=xmp) == ()
    bodies = [body for marker, body in segments(path.read_bytes()) if marker == 0xE1]
    mains = [body for body in bodies if body.startswith(b"http://ns.adobe.com/xap/1.0/\0")]
    pieces = [body for body in bodies if body.startswith(b"http://ns.adobe.com/xmp/extension/\0")]
    assert len(mains) == 1
    assert len(pieces) == 4
    digests = {body[35:67] for body in pieces}
    assert len(digests) == 1
    joined = b"".join(body[75:] for body in sorted(pieces, key=lambda body: body[71:75]))
    assert {int.from_bytes(body[67:71], "big") for body in pieces} == {len(joined)}
    main, extension = minidom.parseString(mains[0][29:]), minidom.parseString(joined)
    note = main.getElementsByTagName("rdf:Description")[1].getAttribute("xmpNote:HasExtendedXMP")
    assert {note.encode()} == digests
    assert [len(main.getElementsByTagNameNS(DC, name)) for name in ("title", "rights", "description")] == [1, 1, 0]
    found = extension.getElementsByTagNameNS(DC, "description")[0]
    assert found.firstChild is not None
    assert found.firstChild.nodeValue == "x&" * 40_000
    assert not extension.getElementsByTagNameNS(DC, "title")
    assert main.getElementsByTagName("rdf:Description")[0].getAttributeNS(DC, "source") == "shelf 7"
    assert b"shelf 7" not in joined


def test_what_has_no_room_is_noted(tmp_path: Path, sepia: Pixels) -> None:
    long = build_exif(Exif(image={270: Field(2, 70_001, b"y" * 70_000 + b"\0")}))
    damaged = b"<not xmp" + b"z" * 70_000
    notes = write(tmp_path / "a.jpg", sepia, exif_block=long, iptc=b"\x1c" * 70_000, xmp=damaged)
    assert len(notes) == 3
    assert [note.split(" was left out")[0] for note in notes] == [
        "the Exif block",
        "the XMP packet",
        "the IPTC-IIM block",
    ]
    metadata = read_master(tmp_path / "a.jpg").metadata
    assert (metadata.exif, metadata.xmp, metadata.iptc) == (None, None, None)
    assert metadata.icc == srgb_profile()


def test_exiftool_reads_it(tmp_path: Path, sepia: Pixels, exiftool: Callable[..., str]) -> None:
    path = tmp_path / "a.jpg"
    xmp = packet(title="Barn", description="w" * 100_000)
    pixels = np.resize(sepia, (1100, 1000, 3))
    write(path, pixels, xmp=xmp, exif_block=None)  # this block of ours has not all that Exif demands
    found = json.loads(exiftool("-j", "-G", "-validate", "-warning", "-error", "-a", path))[0]
    assert not [name for name in found if name.endswith((":Warning", ":Error"))], found
    write(path, pixels, xmp=xmp)
    found = json.loads(exiftool("-j", "-G", path))[0]
    assert (found["EXIF:ImageDescription"], found["IPTC:ObjectName"]) == ("A barn", "Oak")
    assert (found["XMP:Title"], found["XMP:Source"]) == ("Barn", "shelf 7")
    assert found["XMP:Description"] == "w" * 100_000
    assert (found["JFIF:XResolution"], found["ICC_Profile:ProfileDescription"]) == (300, "sRGB IEC61966-2.1")
