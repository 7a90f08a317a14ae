"""What became of a master's metadata in its copies, in the words of the README's table."""

from pathlib import Path

import numpy as np
import pikepdf
import pypdfium2
from PIL import ExifTags, Image, IptcImagePlugin

from storage.images import WrittenDerivative
from storage.images.jpeg2000_boxes import IPTC_UUID
from storage.images.srgb import srgb_profile
from tests.icc_profiles import read_copy
from tests.storage.formats.described_masters import IPTC, LATITUDE, ORIENTATION, PPI, PROFILE, TAKEN
from tests.storage.formats.making import Row

LABEL = b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
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


def said_of_copy(copy: WrittenDerivative, what: str) -> str:
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


def said_of_pdf(path: Path, what: str) -> str:
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
