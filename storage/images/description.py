"""What a picture file says of its picture, in words: caption, rights, creator, date, keywords.

The properties and their order are those of the IPTC Photo Metadata Standard: of each the XMP one first, then the
IPTC-IIM dataset, then Exif.
"""

import unicodedata
from dataclasses import dataclass
from xml.dom import minidom

from storage.images.exif import Fields, parse_exif, text_of
from storage.images.records import MasterMetadata, Refusal
from storage.images.xmp import RDF, descriptions, elements, parse_packet

_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_XMP_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_CC = "http://creativecommons.org/ns#"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_XML = "http://www.w3.org/XML/1998/namespace"

_IIM_MARK, _IIM_LARGE = 0x1C, 0x8000
_CHARSET = (1, 90)
_UTF8 = b"\x1b%G"
_OBJECT_NAME, _KEYWORDS, _DATE_CREATED, _BY_LINE, _HEADLINE = (2, 5), (2, 25), (2, 55), (2, 80), (2, 105)
_COPYRIGHT, _CAPTION = (2, 116), (2, 120)
_DESCRIPTION, _ARTIST, _EXIF_COPYRIGHT, _DATE_TAKEN = 270, 315, 33432, 36867

_LONGEST_TEXT = 10_000
LONGEST_TAG = 250
_MOST_TAGS = 1000
_CAMERA_CAPTIONS = frozenset(
    {"olympus digital camera", "minolta digital camera", "konica minolta digital camera", "kodak digital still camera"}
    | {"sony dsc", "digital camera", "exif jpeg picture", "exif_jpeg_picture", "default"}
)
"""What cameras write where a caption should be."""

_Iim = dict[tuple[int, int], list[str]]


@dataclass(frozen=True, slots=True)
class PictureDescription:
    """Each text on one line, None where there is none. `created` is the date as it is written in the file."""

    caption: str | None = None
    rights: str | None = None
    creator: str | None = None
    created: str | None = None
    tags: tuple[str, ...] = ()


def describe(metadata: MasterMetadata) -> PictureDescription:
    """What is said of the picture; what is damaged counts as not there."""
    xmp, iim = _Xmp(metadata.xmp), _read_iim(metadata.iptc)
    exif = _exif(metadata.exif)

    def first(*texts: str | None) -> str | None:
        return next((tidy for text in texts if (tidy := one_line(text))), None)

    captions = (*xmp.texts(_DC, "description"), *iim.get(_CAPTION, ()), text_of(exif, _DESCRIPTION))
    titles = (xmp.one(_PHOTOSHOP, "Headline"), *xmp.texts(_DC, "title"), *iim.get(_HEADLINE, ()))
    licence = (*xmp.texts(_XMP_RIGHTS, "UsageTerms"), xmp.one(_XMP_RIGHTS, "WebStatement"), xmp.one(_CC, "license"))
    return PictureDescription(
        caption=first(
            *(None if _is_of_camera(text) else text for text in captions), *titles, *iim.get(_OBJECT_NAME, ())
        ),
        rights=first(*xmp.texts(_DC, "rights"), *iim.get(_COPYRIGHT, ()), text_of(exif, _EXIF_COPYRIGHT), *licence),
        creator=first("; ".join(xmp.texts(_DC, "creator")), "; ".join(iim.get(_BY_LINE, ())), text_of(exif, _ARTIST)),
        created=first(
            xmp.one(_PHOTOSHOP, "DateCreated"),
            *(_iim_date(text) for text in iim.get(_DATE_CREATED, ())),
            xmp.one(_EXIF, "DateTimeOriginal"),
            text_of(exif, _DATE_TAKEN),
            xmp.one(_XMP, "CreateDate"),
        ),
        tags=tidy_tags([*xmp.texts(_DC, "subject"), *iim.get(_KEYWORDS, ())]),
    )


def one_line(text: str | None) -> str | None:
    """A text in composed letters (NFC) with single spaces, at most 10,000 characters; None if nothing is left."""
    if text is None:
        return None
    words = unicodedata.normalize("NFC", text).replace("\0", " ").split()
    return " ".join(words)[:_LONGEST_TEXT].strip() or None


def tidy_tags(tags: list[str]) -> tuple[str, ...]:
    """Keywords each once, whatever their case, in the order of the alphabet; at most 250 characters each."""
    found: dict[str, str] = {}
    for tag in tags:
        if tidy := one_line(tag):
            found.setdefault(tidy[:LONGEST_TAG].casefold(), tidy[:LONGEST_TAG])
    return tuple(found[key] for key in sorted(found))[:_MOST_TAGS]


def _is_of_camera(text: str | None) -> bool:
    return text is not None and text.strip().casefold() in _CAMERA_CAPTIONS


class _Xmp:
    """The properties of a packet, read."""

    def __init__(self, packet: bytes | None) -> None:
        document = parse_packet(packet)
        self._descriptions: list[minidom.Element] = []
        if document is not None:
            self._descriptions = descriptions(document.getElementsByTagNameNS(RDF, "RDF")[0])

    def one(self, namespace: str, name: str) -> str | None:
        """A property's first value."""
        return next(iter(self.texts(namespace, name)), None)

    def texts(self, namespace: str, name: str) -> list[str]:
        """A property's values; of several languages only the default one, else the first."""
        found: list[str] = []
        for description in self._descriptions:
            if description.hasAttributeNS(namespace, name):
                found.append(description.getAttributeNS(namespace, name))
            for node in elements(description, namespace, name):
                found += self._values(node)
        return [text.strip() for text in found if text.strip()]

    @staticmethod
    def _values(node: minidom.Element) -> list[str]:
        if node.hasAttributeNS(RDF, "resource"):
            return [node.getAttributeNS(RDF, "resource")]
        alternatives = [item for array in elements(node, RDF, "Alt") for item in elements(array, RDF, "li")]
        if alternatives:
            alternatives.sort(key=lambda item: item.getAttributeNS(_XML, "lang") != "x-default")
            return [_text(alternatives[0])]
        arrays = elements(node, RDF, "Seq") + elements(node, RDF, "Bag")
        if arrays:
            return [_text(item) for array in arrays for item in elements(array, RDF, "li")]
        return [_text(node)]


def _text(node: minidom.Element) -> str:
    return "".join(child.data for child in node.childNodes if isinstance(child, minidom.Text))


def _read_iim(block: bytes | None) -> _Iim:
    """The texts of an IPTC-IIM block (IIM 4.2, chapter 1) by (record, dataset); reading ends where it is damaged."""
    found: dict[tuple[int, int], list[bytes]] = {}
    at, data = 0, block or b""
    while at + 5 <= len(data) and data[at] == _IIM_MARK:
        key, length = (data[at + 1], data[at + 2]), int.from_bytes(data[at + 3 : at + 5], "big")
        at += 5
        if length & _IIM_LARGE:
            digits = length & ~_IIM_LARGE
            length, at = int.from_bytes(data[at : at + digits], "big"), at + digits
        if at + length > len(data):
            break
        found.setdefault(key, []).append(data[at : at + length])
        at += length
    is_utf8 = found.get(_CHARSET, [b""])[0] == _UTF8
    return {key: [_iim_text(value, is_utf8=is_utf8) for value in values] for key, values in found.items()}


def _iim_text(value: bytes, *, is_utf8: bool) -> str:
    """Without the mark most programs wrote UTF-8 or Windows' Western code page, whatever the standard says."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("utf-8" if is_utf8 else "cp1252", "replace")


def _iim_date(text: str) -> str:
    """CCYYMMDD as 1936-05-02, 1936-05 or 1936: the month and the day may be 00."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return text
    parts = [text[:4], text[4:6], text[6:]]
    return "-".join(parts[: parts.index("00")] if "00" in parts else parts)


def _exif(block: bytes | None) -> Fields:
    """What describes the picture, of the main and the Exif directory."""
    if block is None:
        return {}
    try:
        exif = parse_exif(block)
    except Refusal:
        return {}
    return exif.image | {_DATE_TAKEN: exif.exif[_DATE_TAKEN]} if _DATE_TAKEN in exif.exif else exif.image
