"""The boxes of JP2 and JPX files (ISO/IEC 15444-1 Annex I, 15444-2 Annex M): colour, resolution, metadata."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from storage.images.exif import sane_ppi
from storage.images.jpeg import iptc_of_photoshop
from storage.images.records import Pixels, Refusal
from storage.images.source import Source

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF_UUID = b"JpgTiffExif->JP2"
IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_PHOTOSHOP_UUID = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")
_UUIDS = frozenset({XMP_UUID, EXIF_UUID, IPTC_UUID, _PHOTOSHOP_UUID})

Space = Literal["grey", "rgb", "sycc", "cmyk"]
COLOURS: dict[Space, int] = {"grey": 1, "rgb": 3, "sycc": 3, "cmyk": 4}
"""Colour channels of each space."""
OPACITY, PREMULTIPLIED_OPACITY = 1, 2
"""Types of a channel that is not colour (cdef, I.5.3.6)."""

_ENUMERATED: dict[int, Space] = {12: "cmyk", 16: "rgb", 17: "grey", 18: "sycc"}
_ICC_SPACES: dict[bytes, Space] = {b"GRAY": "grey", b"RGB ": "rgb", b"CMYK": "cmyk"}
_OTHER_ICC_SPACES = frozenset({b"Lab ", b"XYZ ", b"YCbr", b"Luv ", b"Yxy ", b"HSV ", b"HLS ", b"CMY "})
_SUPERBOXES = frozenset({b"jp2h", b"jpch", b"jplh", b"cgrp", b"res "})
_MAX_BOXES = 10_000
_MAX_DEPTH = 4
_MAX_METADATA_BYTES = 1 << 24
_MAX_CHANNELS = 64
_MAX_PALETTE = 1024
CUT_OFF = "is cut off: the end of the picture is missing; copy it again from its source"
UNLIKE_CHANNELS = (
    "is a JPEG 2000 picture whose channels differ in depth or are signed, which is not read here; convert it to TIFF"
)
_DAMAGED = "has a damaged JPEG 2000 header"


@dataclass
class Boxes:
    """What the boxes say. ``palette`` is (entries, columns) with ``palette_bits`` a sample.

    ``mapping`` gives for each channel its component and its palette column (None: the component itself),
    ``definitions`` for each channel its type and what it belongs to (0 all of the picture, 1.. that colour).
    """

    offset: int = 0
    length: int = 0
    codestreams: int = 0
    size: tuple[int, int] | None = None  # width, height
    space: Space | None = None
    icc: bytes | None = None
    has_colour: bool = False
    palette: Pixels | None = None
    palette_bits: int = 0
    mapping: tuple[tuple[int, int | None], ...] = ()
    definitions: dict[int, tuple[int, int]] = field(default_factory=dict)
    capture_ppi: tuple[float, float] | None = None
    display_ppi: tuple[float, float] | None = None
    uuids: dict[bytes, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ppi(self) -> tuple[float, float] | None:
        """Pixels per inch when captured, else when displayed."""
        return self.capture_ppi or self.display_ppi

    @property
    def iptc(self) -> bytes | None:
        """The IIM datasets, of their own box or among Photoshop's resources."""
        block = self.uuids.get(IPTC_UUID, b"")
        return block if block.startswith(b"\x1c") else iptc_of_photoshop(self.uuids.get(_PHOTOSHOP_UUID, b""))


@dataclass(frozen=True)
class Channels:
    """Which channels are what: each is a component, or a palette's column reached through one."""

    sources: tuple[tuple[int, int | None], ...]
    space: Space
    colours: tuple[int, ...]
    alpha: int | None
    premultiplied: bool
    bits: int
    notes: tuple[str, ...]


def read_boxes(source: Source) -> Boxes:
    """The boxes of a JP2 or JPX file; raises ``Refusal`` if they are damaged, cut off or of a kind not read here."""
    boxes, counter = Boxes(), iter(range(_MAX_BOXES))
    for name, offset, length in _walk(source, 0, source.size, counter):
        if name == b"jp2c":
            boxes.codestreams += 1
            if boxes.codestreams == 1:
                boxes.offset, boxes.length = offset, length
        elif name == b"ftbl" and not boxes.codestreams:
            raise Refusal("keeps its pixels in other files, which is not read here; save it as one file", "unsupported")
        elif name in _SUPERBOXES:
            _read_superbox(boxes, source, offset, offset + length, counter, 1)
        elif name == b"uuid" and 16 <= length <= _MAX_METADATA_BYTES:
            identifier = source.read(offset, 16)
            if identifier in _UUIDS:
                boxes.uuids.setdefault(identifier, source.read(offset + 16, length - 16))
    if not boxes.codestreams:
        raise Refusal(CUT_OFF, "truncated")
    if boxes.codestreams > 1:
        boxes.notes += (f"it holds {boxes.codestreams} pictures; only the first was read",)
    if (boxes.palette is None) != (not boxes.mapping):
        raise Refusal(f"{_DAMAGED}: its palette is incomplete", "unreadable")
    return boxes


def channels_of(boxes: Boxes, depths: tuple[int, ...], *, subsampled: bool) -> Channels:
    """What the channels of components of these depths (in bits) are; raises ``Refusal`` if it makes no sense."""
    count = len(depths)
    sources = boxes.mapping or tuple((component, None) for component in range(count))
    columns = 0 if boxes.palette is None else boxes.palette.shape[1]
    if any(component >= count or (column or 0) >= max(columns, 1) for component, column in sources):
        raise Refusal(f"{_DAMAGED}: its palette is damaged", "unreadable")
    kinds = boxes.definitions
    space = boxes.space or _guessed_space(len(sources) - sum(kind != 0 for kind, _ in kinds.values()), subsampled)
    colours: list[int] = []
    for number in range(1, COLOURS[space] + 1):
        named = [channel for channel, meaning in kinds.items() if meaning == (0, number)]
        colours.append(named[0] if named else number - 1)
        if colours[-1] >= len(sources) or kinds.get(colours[-1], (0, number)) != (0, number):
            raise Refusal(f"{_DAMAGED}: it has not the channels that its colour space needs", "unreadable")
    opacities = [c for c, (kind, of) in kinds.items() if kind in (OPACITY, PREMULTIPLIED_OPACITY) and of == 0]
    alpha = next((channel for channel in opacities if channel < len(sources)), None)
    if subsampled and (space != "sycc" or boxes.mapping or colours != [0, 1, 2]):
        raise Refusal(
            "is a JPEG 2000 picture whose channels differ in size, which is not read here; convert it to TIFF",
            "unsupported",
        )
    used = [*colours, *([] if alpha is None else [alpha])]
    bits = {boxes.palette_bits if sources[c][1] is not None else depths[sources[c][0]] for c in used}
    if len(bits) != 1:
        raise Refusal(UNLIKE_CHANNELS, "unsupported")
    more = len(sources) - len(used)
    notes = (f"{more} more channel{'s were' if more > 1 else ' was'} left out of account",) if more > 0 else ()
    premultiplied = alpha is not None and kinds[alpha][0] == PREMULTIPLIED_OPACITY
    return Channels(sources, space, tuple(colours), alpha, premultiplied, bits.pop(), notes)


def _guessed_space(colours: int, subsampled: bool) -> Space:
    """What a picture is that does not say so, as a codestream without boxes never does."""
    if colours in (1, 2):
        return "grey"
    if colours == 3:
        return "sycc" if subsampled else "rgb"
    raise Refusal(
        f"does not say what its {colours} JPEG 2000 channels are; convert it to TIFF with the program that made it",
        "unsupported",
    )


def _walk(source: Source, start: int, end: int, counter: Iterator[int]) -> Iterator[tuple[bytes, int, int]]:
    """Type, content's offset and its length of each box between two offsets."""
    position = start
    while position + 8 <= end:
        if next(counter, None) is None:
            raise Refusal(f"{_DAMAGED}: it has too many boxes", "unreadable")
        length, name = struct.unpack(">I4s", source.read(position, 8))
        head = 8
        if length == 1:
            length, head = struct.unpack(">Q", source.read(position + 8, 8))[0], 16
        elif length == 0:  # to the end of the file
            length = end - position
        if length < head:
            raise Refusal(f"{_DAMAGED}: its boxes do not follow each other", "unreadable")
        if position + length > end:
            if end < source.size:
                raise Refusal(f"{_DAMAGED}: its boxes do not lie within each other", "unreadable")
            raise Refusal(CUT_OFF, "truncated")
        yield name, position + head, length - head
        position += length


def _read_superbox(boxes: Boxes, source: Source, start: int, end: int, counter: Iterator[int], depth: int) -> None:
    for name, offset, length in _walk(source, start, end, counter):
        if name in _SUPERBOXES:
            if depth < _MAX_DEPTH:
                _read_superbox(boxes, source, offset, offset + length, counter, depth + 1)
        elif name in _READERS:
            if length > _MAX_METADATA_BYTES:
                raise Refusal(f"{_DAMAGED}: one of its boxes is absurdly large", "unreadable")
            try:
                _READERS[name](boxes, source.read(offset, length))
            except struct.error as error:
                raise Refusal(f"{_DAMAGED}: one of its boxes is too short", "unreadable") from error


def _image_header(boxes: Boxes, content: bytes) -> None:
    height, width, _, _, compression = struct.unpack_from(">IIHBB", content)
    if compression != 7:
        raise Refusal("is not compressed as JPEG 2000, which is not read here; convert it to TIFF", "unsupported")
    boxes.size = boxes.size or (width, height)


def _colour(boxes: Boxes, content: bytes) -> None:
    """The first colour specification that is understood (I.5.3.3; a JPX file may have several)."""
    method = struct.unpack_from(">Bbb", content)[0]
    if boxes.has_colour:
        return
    if method == 1:
        number = struct.unpack_from(">I", content, 3)[0]
        if number not in _ENUMERATED:
            raise Refusal(
                f"is a JPEG 2000 picture in an unusual colour space (number {number}), which is not read here; "
                "convert it to TIFF",
                "unsupported",
            )
        boxes.space, boxes.has_colour = _ENUMERATED[number], True
    elif method in (2, 3):
        boxes.icc, boxes.has_colour = content[3:], True
        kind = boxes.icc[16:20]
        if kind in _OTHER_ICC_SPACES:
            raise Refusal(
                f"is a JPEG 2000 picture in an unusual colour space ({kind.decode().strip()}), which is not read "
                "here; convert it to TIFF",
                "unsupported",
            )
        boxes.space = _ICC_SPACES.get(kind)


def _palette(boxes: Boxes, content: bytes) -> None:
    """I.5.3.4: entries, columns, the columns' depths less one (the uppermost bit: signed), the entries."""
    if boxes.palette is not None:
        return
    entries, columns = struct.unpack_from(">HB", content)
    depths = set(content[3 : 3 + columns])
    if not 1 <= entries <= _MAX_PALETTE or not columns or len(content) < 3 + columns:
        raise Refusal(f"{_DAMAGED}: its palette is damaged", "unreadable")
    bits = max(depths) + 1
    if len(depths) != 1 or bits > 16:
        raise Refusal("is a JPEG 2000 picture with an unusual palette; convert it to TIFF", "unsupported")
    stored, found = (">u2", np.uint16) if bits > 8 else (">u1", np.uint8)
    if len(content) < 3 + columns + entries * columns * np.dtype(stored).itemsize:
        raise Refusal(f"{_DAMAGED}: its palette is damaged", "unreadable")
    values = np.frombuffer(content, stored, entries * columns, 3 + columns).reshape(entries, columns)
    boxes.palette, boxes.palette_bits = np.minimum(values, (1 << bits) - 1).astype(found), bits


def _component_mapping(boxes: Boxes, content: bytes) -> None:
    """I.5.3.5: for each channel its component, whether it goes through the palette, and the column there."""
    if len(content) % 4 or len(content) > 4 * _MAX_CHANNELS:
        raise Refusal(f"{_DAMAGED}: its palette is damaged", "unreadable")
    entries = struct.iter_unpack(">HBB", content)
    boxes.mapping = boxes.mapping or tuple((component, column if kind else None) for component, kind, column in entries)


def _channel_definitions(boxes: Boxes, content: bytes) -> None:
    count = struct.unpack_from(">H", content)[0]
    if not 0 < count <= _MAX_CHANNELS or len(content) < 2 + 6 * count:
        raise Refusal(f"{_DAMAGED}: what its channels mean is damaged", "unreadable")
    for channel, kind, belongs in struct.iter_unpack(">HHH", content[2 : 2 + 6 * count]):
        boxes.definitions.setdefault(channel, (kind, belongs))


def _capture_resolution(boxes: Boxes, content: bytes) -> None:
    boxes.capture_ppi = boxes.capture_ppi or _ppi(content)


def _display_resolution(boxes: Boxes, content: bytes) -> None:
    boxes.display_ppi = boxes.display_ppi or _ppi(content)


def _ppi(content: bytes) -> tuple[float, float] | None:
    """I.5.3.7: pixels a metre, down before across, each a fraction times a power of ten."""
    above_y, below_y, above_x, below_x, power_y, power_x = struct.unpack_from(">HHHHbb", content)
    if not (below_x and below_y):
        return None
    return sane_ppi(above_x / below_x * 10.0**power_x * 0.0254, above_y / below_y * 10.0**power_y * 0.0254)


_READERS = {
    b"ihdr": _image_header,
    b"colr": _colour,
    b"pclr": _palette,
    b"cmap": _component_mapping,
    b"cdef": _channel_definitions,
    b"resc": _capture_resolution,
    b"resd": _display_resolution,
}
