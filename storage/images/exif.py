"""Exif blocks (CIPA DC-008): read without trust, written anew without what a derivative must not carry."""

import struct
from dataclasses import dataclass, field
from fractions import Fraction

from storage.images.ifd import ITEM_BYTES, Layout, little_endian, numbers, read_directory, read_layout
from storage.images.records import Refusal
from storage.images.source import Source

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
DOCUMENT_NAME, DESCRIPTION, PAGE_NAME, SOFTWARE, DATETIME = 269, 270, 285, 305, 306
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 34665, 34853, 40965
_MAKER_NOTE, _COLOUR_SPACE = 37500, 40961
_OF_COMPRESSED_DATA = frozenset({37121, 37122, 40962, 40963})
_ENCODED_TEXT = frozenset({37510, 27, 28})  # UserComment, GPSProcessingMethod, GPSAreaInformation
_UNICODE = b"UNICODE\0"
_UNCALIBRATED = 0xFFFF
_EXIF_VERSION, _FLASHPIX_VERSION, _GPS_VERSION = 36864, 40960, 0
_MAX_BYTES = 1 << 20

DESCRIPTIVE_TAGS = frozenset(
    {DOCUMENT_NAME, DESCRIPTION, 271, 272, PAGE_NAME, SOFTWARE, DATETIME, 297, 315, 316, 33432}
    | {18246, 18249, 40091, 40092, 40093, 40094, 40095}
)
"""Tags of the main directory that describe the picture and not how its pixels are stored."""


@dataclass(frozen=True)
class Field:
    """One tag's field type, number of items, and the items in little-endian bytes."""

    type: int
    count: int
    data: bytes


Fields = dict[int, Field]
_NO_FIELD = Field(2, 0, b"")


@dataclass(frozen=True)
class Exif:
    """The four directories of an Exif block; the thumbnail's directory is not kept."""

    image: Fields = field(default_factory=dict)
    exif: Fields = field(default_factory=dict)
    gps: Fields = field(default_factory=dict)
    interop: Fields = field(default_factory=dict)


def parse_exif(block: bytes) -> Exif:
    """Read an Exif block (without its ``Exif\\0\\0`` mark); raises ``Refusal`` if it is damaged."""
    source = Source(block)
    layout, first = read_layout(source)
    return read_exif(source, layout, first)


def read_exif(source: Source, layout: Layout, first: int) -> Exif:
    """The descriptive tags of the directory at ``first`` and its Exif, GPS and interoperability directories.

    Raises ``Refusal`` if the main directory is damaged; a damaged one below it is left out.
    """
    pointers: dict[int, int] = {}
    image = _fields(source, layout, first, pointers)
    exif = _optional(source, layout, pointers.get(_EXIF_IFD), pointers)
    gps = _optional(source, layout, pointers.get(_GPS_IFD), {})
    interop = _optional(source, layout, pointers.get(_INTEROP_IFD), {})
    keep = DESCRIPTIVE_TAGS | {ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}
    return Exif({tag: value for tag, value in image.items() if tag in keep}, exif, gps, interop)


def carried_over(exif: Exif, orientation: int, *, is_srgb: bool = True) -> tuple[Exif, tuple[str, ...]]:
    """What of a master's Exif belongs into its derivative, and notes on what does not.

    Resolution and structure are left to the writer. Makers' private notes are dropped: their inner offsets
    count from the start of the master and mean nothing elsewhere. "R03" stands for Adobe RGB.

    ``is_srgb`` says that the derivative is; else its profile tells what it is.
    """
    image = {tag: value for tag, value in exif.image.items() if tag in DESCRIPTIVE_TAGS}
    image[ORIENTATION] = Field(3, 1, struct.pack("<H", orientation))
    dropped = {_MAKER_NOTE, _INTEROP_IFD} | _OF_COMPRESSED_DATA
    camera = {tag: value for tag, value in exif.exif.items() if tag not in dropped}
    notes: tuple[str, ...] = ()
    if _MAKER_NOTE in exif.exif:
        notes = ("the camera maker's private notes (MakerNote) were left out: they cannot be moved",)
    if camera:
        camera[_COLOUR_SPACE] = Field(3, 1, struct.pack("<H", 1 if is_srgb else _UNCALIBRATED))
        camera.setdefault(_EXIF_VERSION, Field(7, 4, b"0232"))  # the standard demands these two
        camera.setdefault(_FLASHPIX_VERSION, Field(7, 4, b"0100"))
    gps = {_GPS_VERSION: Field(1, 4, bytes((2, 3, 0, 0)))} | exif.gps if exif.gps else {}
    interop = {} if is_srgb and exif.interop.get(1, _NO_FIELD).data.startswith(b"R03") else exif.interop
    return Exif(image, camera, gps, interop), notes


def build_exif(exif: Exif) -> bytes:
    """One self-contained little-endian Exif block, the same bytes for the same content."""
    return b"II*\0\x08\0\0\0" + _chain(exif, 8)[0]


def append_directories(exif: Exif, start: int, *, big: bool) -> tuple[bytes, dict[int, int]]:
    """The Exif and GPS directories as bytes that will lie at file offset ``start``, and their tags' pointers.

    In a BigTIFF the directories are of its own kind, with 8-byte offsets.
    """
    return _sub_directories(exif, start, big=big)


def text_of(fields: Fields, tag: int) -> str | None:
    """An ASCII tag as text (UTF-8, else Latin-1), without its closing NUL; None if missing or empty."""
    value = fields.get(tag)
    if value is None or value.type not in (1, 2, 7):
        return None
    raw = value.data.split(b"\0", 1)[0].strip()
    try:
        return raw.decode("utf-8") or None
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def orientation_of(fields: Fields) -> int:
    """The orientation 1..8; 1 if it is missing or nonsense."""
    value = fields.get(ORIENTATION)
    if value is None or value.type not in (1, 3, 4) or not value.data:
        return 1
    found = int.from_bytes(value.data[: ITEM_BYTES[value.type]], "little")
    return found if 1 <= found <= 8 else 1


def ppi_of(fields: Fields) -> tuple[float, float] | None:
    """Pixels per inch from the resolution tags; None if they are missing, zero or without a unit."""
    across, down = (_rational(fields.get(tag)) for tag in (X_RESOLUTION, Y_RESOLUTION))
    unit_field = fields.get(RESOLUTION_UNIT)
    unit = int.from_bytes(unit_field.data[:2], "little") if unit_field is not None else 2
    factor = {2: 1.0, 3: 2.54}.get(unit)
    if not across or not down or factor is None:
        return None
    return sane_ppi(across * factor, down * factor)


def rational(value: float) -> Field:
    """A positive number as an unsigned rational, to a ten-thousandth."""
    found = Fraction(value).limit_denominator(10_000)
    return Field(5, 1, struct.pack("<II", found.numerator, found.denominator))


def sane_ppi(across: float, down: float) -> tuple[float, float] | None:
    """The two resolutions, rounded to a hundredth; None if no scanner could have meant them."""
    if not (1 <= across <= 100_000 and 1 <= down <= 100_000):
        return None
    return round(across, 2), round(down, 2)


def _rational(value: Field | None) -> float:
    if value is None or value.type != 5 or len(value.data) < 8:
        return 0.0
    above, below = struct.unpack_from("<II", value.data)
    return above / below if below else 0.0


def _fields(source: Source, layout: Layout, offset: int, pointers: dict[int, int]) -> Fields:
    directory = read_directory(source, layout, offset)
    fields: Fields = {}
    total = 0
    for entry in directory.entries.values():
        if entry.tag in (_EXIF_IFD, _GPS_IFD, _INTEROP_IFD):
            if entry.count == 1 and entry.type in (4, 13, 16, 18):
                pointers[entry.tag] = int(numbers(source, layout, entry)[0])
            continue
        total += entry.size
        if entry.size and entry.size <= _MAX_BYTES and total <= 4 * _MAX_BYTES and entry.type <= 13:
            data = little_endian(source, layout, entry)
            if entry.tag in _ENCODED_TEXT and entry.type == 7 and layout.order == ">":
                data = _little_endian_text(data)
            fields[entry.tag] = Field(entry.type, entry.count, data)
    return fields


def _little_endian_text(data: bytes) -> bytes:
    """A text with its encoding's name before it, from a big-endian block: two-byte characters are turned round.

    Some writers always write them little-endian. Their texts are told by a byte order mark, or by NUL being
    the second byte of more characters than it is the first of, and stay as they are.
    """
    text = data[len(_UNICODE) :]
    if not data.startswith(_UNICODE) or text.startswith(b"\xff\xfe"):
        return data
    even = len(text) - len(text) % 2
    first, second = text[0:even:2], text[1:even:2]
    if not text.startswith(b"\xfe\xff") and second.count(0) > first.count(0):
        return data
    turned = bytearray(text)
    turned[0:even:2], turned[1:even:2] = second, first
    return _UNICODE + bytes(turned)


def _optional(source: Source, layout: Layout, offset: int | None, pointers: dict[int, int]) -> Fields:
    if not offset:
        return {}
    try:
        return _fields(source, layout, offset, pointers)
    except Refusal:
        return {}


def _chain(exif: Exif, start: int) -> tuple[bytes, int]:
    """Main directory at ``start`` followed by the ones below it; gives the bytes and their end."""
    image = dict(exif.image)
    present = [tag for tag, fields in ((_EXIF_IFD, exif.exif), (_GPS_IFD, exif.gps)) if fields]
    for tag in present:
        image[tag] = Field(4, 1, bytes(4))
    length = len(_directory(image, start, big=False))
    below, pointers = _sub_directories(exif, start + length, big=False)
    for tag in present:
        image[tag] = Field(4, 1, struct.pack("<I", pointers[tag]))
    return _directory(image, start, big=False) + below, start + length + len(below)


def _sub_directories(exif: Exif, start: int, *, big: bool) -> tuple[bytes, dict[int, int]]:
    blob = b""
    pointers: dict[int, int] = {}
    pointer_type, pointer_format = (16, "<Q") if big else (4, "<I")
    camera = dict(exif.exif)
    if exif.interop and camera:
        camera[_INTEROP_IFD] = Field(pointer_type, 1, struct.pack(pointer_format, start))
        blob += _directory(exif.interop, start, big=big)
    for tag, fields in ((_EXIF_IFD, camera), (_GPS_IFD, exif.gps)):
        if fields:
            pointers[tag] = start + len(blob)
            blob += _directory(fields, start + len(blob), big=big)
    return blob, pointers


def _directory(fields: Fields, start: int, *, big: bool) -> bytes:
    counter, head, inline, offset_format = ("<Q", "<HHQ", 8, "<Q") if big else ("<H", "<HHI", 4, "<I")
    values_at = start + struct.calcsize(counter) + len(fields) * (4 + 2 * inline) + inline
    values_at += values_at % 2
    entries, values = b"", b""
    for tag in sorted(fields):
        value = fields[tag]
        entries += struct.pack(head, tag, value.type, value.count)
        if len(value.data) <= inline:
            entries += value.data.ljust(inline, b"\0")
        else:
            entries += struct.pack(offset_format, values_at + len(values))
            values += value.data + bytes(len(value.data) % 2)
    directory = struct.pack(counter, len(fields)) + entries + bytes(inline)
    return directory + bytes((start + len(directory)) % 2) + values + bytes(len(values) % 2)
