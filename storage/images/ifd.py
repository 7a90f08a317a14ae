"""Image file directories: the tag lists of TIFF 6.0, BigTIFF and Exif."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from storage.images.records import Refusal
from storage.images.source import Source

ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4} | {
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of one item for each field type of TIFF 6.0 and BigTIFF."""

_SWAP_UNIT = {5: 4, 10: 4}  # a rational is two 32-bit numbers
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"} | {
    16: "Q",
    17: "q",
    18: "Q",
}
_MAX_ENTRIES = 4096
_MAX_PAGES = 10_000
_MAX_ENTRIES_OF_ALL = 1 << 20
"""Of all directories together; a hundred a page is much."""


@dataclass(frozen=True)
class Layout:
    """Byte order (``"<"`` or ``">"``) and whether offsets have 8 bytes (BigTIFF)."""

    order: str
    big: bool = False


@dataclass(frozen=True)
class Entry:
    """One tag: its field type, the number of items and where the items lie in the file."""

    tag: int
    type: int
    count: int
    offset: int

    @property
    def size(self) -> int:
        """Bytes that the items take."""
        return self.count * ITEM_BYTES[self.type]


@dataclass(frozen=True)
class Directory:
    """One directory: its entries by tag, its own offset and that of the next one (0 if none)."""

    entries: dict[int, Entry]
    next: int
    offset: int


def read_layout(source: Source) -> tuple[Layout, int]:
    """Layout and first directory's offset from a TIFF header at the start of ``source``."""
    head = source.read(0, 8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise Refusal("has a damaged TIFF header", "unreadable")
    version, first = struct.unpack(order + "HI", head[2:])
    if version == 42:
        return Layout(order), first
    if version == 43:
        return Layout(order, big=True), struct.unpack(order + "Q", source.read(8, 8))[0]
    raise Refusal("has a damaged TIFF header", "unreadable")


def read_directory(source: Source, layout: Layout, offset: int) -> Directory:
    """The directory at ``offset``; tags of unknown type or with items outside the file are left out.

    A tag that is left out is missed where it is needed; where it is not, it may be as broken as it likes.
    """
    counter, entry_format, inline = ("Q", "HHQ", 8) if layout.big else ("H", "HHI", 4)
    offset_format = layout.order + ("Q" if layout.big else "I")
    counter_bytes = struct.calcsize("<" + counter)
    count = struct.unpack(layout.order + counter, source.read(offset, counter_bytes))[0]
    if not 0 < count <= _MAX_ENTRIES:
        raise Refusal("has a damaged list of tags", "unreadable")
    entry_bytes = 4 + 2 * inline
    block = source.read(offset + counter_bytes, count * entry_bytes)
    entries: dict[int, Entry] = {}
    for start in range(0, len(block), entry_bytes):
        tag, kind, items = struct.unpack_from(layout.order + entry_format, block, start)
        if kind not in ITEM_BYTES:
            continue
        value_at = offset + counter_bytes + start + 4 + inline
        if items * ITEM_BYTES[kind] > inline:
            value_at = struct.unpack_from(layout.order + ("Q" if layout.big else "I"), block, start + 4 + inline)[0]
        entry = Entry(tag, kind, items, value_at)
        if value_at + entry.size <= source.size:
            entries.setdefault(tag, entry)
    end = offset + counter_bytes + len(block)
    following = 0
    if end + inline <= source.size:
        following = struct.unpack(offset_format, source.read(end, inline))[0]
    return Directory(entries, following, offset)


def read_chain(source: Source, layout: Layout, first: int) -> Iterator[Directory]:
    """The directories of a file's pages, ending where the chain ends or runs in a circle.

    Raises ``Refusal`` "truncated" if it breaks after several; after a single one that is passed over, as some
    writers leave rubbish there.
    """
    seen: set[int] = set()
    entries = 0
    offset = first
    while offset and offset not in seen and len(seen) < _MAX_PAGES:
        seen.add(offset)
        try:
            directory = read_directory(source, layout, offset)
        except Refusal:
            if len(seen) == 1:
                raise
            if len(seen) == 2:
                return
            raise Refusal(
                f"is cut off or damaged: its list of pages breaks off after page {len(seen) - 1}; "
                "copy it again from its source",
                "truncated",
            ) from None
        yield directory
        offset = directory.next
        entries += len(directory.entries)
        if entries > _MAX_ENTRIES_OF_ALL:
            raise Refusal("has a damaged list of pages: they have absurdly many tags", "unreadable")


def numbers(source: Source, layout: Layout, entry: Entry) -> tuple[float, ...]:
    """The items of a numeric tag; a rational becomes a float, 0 where its denominator is 0."""
    raw = source.read(entry.offset, entry.size)
    if entry.type in _SWAP_UNIT:
        parts = struct.unpack(f"{layout.order}{2 * entry.count}{'I' if entry.type == 5 else 'i'}", raw)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return tuple(above / below if below else 0.0 for above, below in pairs)
    code = _NUMBERS.get(entry.type)
    if code is None:
        raise Refusal("has a damaged list of tags", "unreadable")
    return struct.unpack(f"{layout.order}{entry.count}{code}", raw)


def little_endian(source: Source, layout: Layout, entry: Entry) -> bytes:
    """The items of a tag as bytes in little-endian order."""
    raw = source.read(entry.offset, entry.size)
    unit = _SWAP_UNIT.get(entry.type, ITEM_BYTES[entry.type])
    if layout.order == "<" or unit == 1:
        return raw
    return np.frombuffer(raw, dtype=f">u{unit}").astype(f"<u{unit}").tobytes()
