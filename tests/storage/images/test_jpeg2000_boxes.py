"""JPEG 2000: boxes around the codestream, the metadata in them, and those that do not end or fit."""

import struct

import numpy as np
from PIL import Image

from storage.images.jpeg2000_boxes import EXIF_UUID, IPTC_UUID, XMP_UUID
from storage.images.records import Pixels
from tests.storage.images.jpeg2000_files import SRGB, box, codestream, jp2, patched, read, refused, space

IPTC = b"\x1c\x02\x05\x00\x03Oak"


def test_resolution_and_metadata(sepia: Pixels) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "A barn", 6
    block = exif.tobytes()
    capture = box(b"resc", struct.pack(">HHHHbb", 15000, 127, 23622, 1, 2, 0))
    display = box(b"resd", struct.pack(">HHHHbb", 2835, 1, 2835, 1, 0, 0))
    carried = [
        box(b"uuid", kind + content) for kind, content in ((XMP_UUID, b"<x/>"), (EXIF_UUID, block), (IPTC_UUID, IPTC))
    ]
    content = jp2(codestream(sepia), space(SRGB), box(b"res ", display + capture), after=b"".join(carried))
    header, _ = read(content)
    assert header.metadata.ppi == (600.0, 300.0)
    assert (header.metadata.xmp, header.metadata.iptc) == (b"<x/>", IPTC)
    assert (header.metadata.description, header.metadata.orientation) == ("A barn", 6)
    assert (header.facts.width, header.facts.height) == (246, 320)
    header, _ = read(jp2(codestream(sepia), space(SRGB), box(b"res ", display)))
    assert header.metadata.ppi == (72.01, 72.01)
    nowhere = box(b"res ", box(b"resc", struct.pack(">HHHHbb", 1, 0, 1, 0, 127, -128)))
    assert read(jp2(codestream(sepia), space(SRGB), nowhere))[0].metadata.ppi is None


def test_only_the_first_of_several_pictures(sepia: Pixels) -> None:
    header, samples = read(jp2(codestream(sepia), space(SRGB)) + box(b"jp2c", codestream(255 - sepia)))
    assert np.array_equal(samples.colour, sepia)
    assert header.metadata.notes == ("it holds 2 pictures; only the first was read",)


def test_long_and_open_boxes(sepia: Pixels) -> None:
    content = jp2(codestream(sepia), space(SRGB))
    start = content.index(b"jp2c") - 4
    stream = content[start + 8 :]
    endless = content[:start] + struct.pack(">I4s", 0, b"jp2c") + stream
    long = content[:start] + struct.pack(">I4sQ", 1, b"jp2c", 16 + len(stream)) + stream
    for variant in (endless, long):
        assert np.array_equal(read(variant)[1].colour, sepia)


def test_boxes_that_do_not_end_or_fit(sepia: Pixels) -> None:
    content = jp2(codestream(sepia), space(SRGB))
    header = content.index(b"jp2h") - 4
    assert refused(patched(content, header, ">I", 5)) == "unreadable"
    assert refused(patched(content, content.index(b"colr") - 4, ">I", 900)) == "unreadable"
    assert refused(patched(content, content.index(b"ihdr") + 4, ">II", 246, 321)) == "unreadable"
    assert refused(content[:header] + box(b"free", b"") * 10_001 + content[header:]) == "unreadable"
    assert refused(content[:header]) == "truncated"
