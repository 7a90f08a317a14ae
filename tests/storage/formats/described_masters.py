"""Masters that carry all the metadata their format can, by the rows of the README's table."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import tifffile
from pikepdf import Array, Name
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from storage.images.jpeg2000_boxes import EXIF_UUID, IPTC_UUID, XMP_UUID
from tests.icc_profiles import SPACES
from tests.storage.documents import documents
from tests.storage.formats.making import Row
from tests.storage.formats.samples import HEIGHT, RGB, WIDTH
from tests.storage.images import jpeg2000_files as boxes
from tests.storage.images import test_dng as dng

XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Headline="A house in the dust"/></rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
).encode()
IPTC = b"\x1c\x02\x78\x00\x0cA farm house"
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


def described_tiff(path: Path) -> None:
    tags = Image.Exif()
    tags.load(exif().tobytes())
    tags[700], tags[33723] = XMP, IPTC
    Image.fromarray(RGB[8]).save(path, "TIFF", dpi=(PPI, PPI), icc_profile=PROFILE, exif=tags)


def described_jpeg(path: Path) -> None:
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
    extra = b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource
    how: dict[str, Any] = {"dpi": (PPI, PPI), "icc_profile": PROFILE, "exif": exif(), "xmp": XMP, "extra": extra}
    Image.fromarray(RGB[8]).save(path, "JPEG", **how)


def described_png(path: Path) -> None:
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    picture = Image.fromarray(RGB[8])
    picture.save(path, "PNG", dpi=(PPI, PPI), icc_profile=PROFILE, exif=exif(), pnginfo=texts)


def described_webp(path: Path) -> None:
    how: dict[str, Any] = {"icc_profile": PROFILE, "exif": exif(resolution=True), "xmp": XMP, "lossless": True}
    Image.fromarray(RGB[8]).save(path, "WEBP", **how)


def described_jp2(path: Path) -> None:
    uuids = ((EXIF_UUID, exif_block()), (XMP_UUID, XMP), (IPTC_UUID, IPTC))
    after = b"".join(boxes.box(b"uuid", name + body) for name, body in uuids)
    resolution = boxes.box(b"resc", struct.pack(">HHHHbb", 30000, 254, 30000, 254, 2, 2))
    header = (boxes.profile(PROFILE), boxes.box(b"res ", resolution))
    path.write_bytes(boxes.jp2(boxes.codestream(RGB[8]), *header, after=after))


def described_dng(path: Path) -> None:
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


def described_pdf(path: Path) -> None:
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
    ("TIFF", "yes", "yes", "yes", "yes", "yes", "yes"): described_tiff,
    ("JPEG", "yes", "yes", "yes", "yes", "yes", "yes"): described_jpeg,
    ("PNG", "yes", "yes", "yes", "no", "yes", "yes"): described_png,
    ("WebP", "yes", "yes", "yes", "no", "yes", "yes"): described_webp,
    ("JPEG 2000", "yes", "yes", "yes", "yes", "yes", "yes"): described_jp2,
    ("DNG", "yes", "yes", "yes", "yes", "yes", "no"): described_dng,
    ("a PDF's page", "yes", "yes", "no", "no", "no", "yes"): described_pdf,
}
