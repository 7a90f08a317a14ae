"""One page of a TIFF in parts that can be moved: strips or tiles, tags, and the directories below it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.images.exif import Exif, read_exif
from storage.images.ifd import ITEM_BYTES, Directory, Entry, Layout, little_endian, read_directory
from storage.images.records import Refusal
from storage.images.source import Source
from storage.images.tiff_turning import (
    DEFLATE,
    LZW,
    OLD_DEFLATE,
    PACKBITS,
    RAW,
    Numbers,
    Turning,
    packed_anew,
    pieces,
)

NEW_SUBFILE_TYPE, COMPRESSION, PAGE_NUMBER = 254, 259, 297
STRIPS, TILES = (273, 279), (324, 325)
"""Tags of the offsets and the byte counts."""
OLD_JPEG = 6
JPEG_STREAM, JPEG_STREAM_LENGTH = 513, 514
_QUANTIZATION, _HUFFMAN = 519, (520, 521)
_EXIF_POINTERS = frozenset({34665, 34853, 40965})
_DIRECTORY_TAGS = frozenset({330, 400})  # SubIFDs, GlobalParametersIFD
_MAKER_NOTE, _IPTC = 37500, 33723
_NOT_COPIED = (
    frozenset({*STRIPS, *TILES, NEW_SUBFILE_TYPE, PAGE_NUMBER, JPEG_STREAM, JPEG_STREAM_LENGTH})
    | {_QUANTIZATION, *_HUFFMAN, _MAKER_NOTE}
    | {288, 289, 50933}  # free areas of the old file; camera profiles that lie somewhere in it
    | _EXIF_POINTERS
    | _DIRECTORY_TAGS
)
_SAME_IN_BOTH_ORDERS = frozenset({2, 3, 4, OLD_JPEG, 7, 33003, 33004, 33005, 34676, 34677, 34712, 34892, 50002, 52546})
"""Compressions whose streams know their own byte order: fax, JPEG, LogLuv, JPEG 2000, JPEG XL."""
_UNSIGNED = {1: "u1", 3: "<u2", 4: "<u4", 13: "<u4", 16: "<u8", 18: "<u8"}
_NARROW = {16: (4, "<u8", "<u4"), 17: (9, "<i8", "<i4"), 18: (13, "<u8", "<u4")}
_MAX_BLOCKS = 1 << 21
_MAX_TURNED_BYTES = 1 << 33
_MAX_DEPTH, _MAX_BELOW = 4, 256
_TIMES_ITS_SIZE = 4


class NeedsBigTiff(Exception):  # noqa: N818 - no error: the caller starts again
    """A number does not fit into a classic TIFF."""


class Overlapping(Refusal):
    """The parts of a file lie over each other so often that copies of all would be absurdly long."""


class Allowance:
    """How many bytes may still be copied out of a file: parts that overlap could make endlessly many."""

    def __init__(self, size: int, times: int = 1) -> None:
        self._left = _TIMES_ITS_SIZE * size * times

    def spend(self, size: int) -> None:
        """Raises ``Overlapping`` when it is used up."""
        self._left -= size
        if self._left < 0:
            raise Overlapping("is damaged: its parts lie over each other; copy it again from its source", "unreadable")


@dataclass(frozen=True)
class Parts:
    """A directory and everything that belongs to it.

    ``entries`` are the tags whose values are copied; ``offsets`` and ``counts`` where strips or tiles lie, under the
    numbers of ``block_tags``; ``below`` the chains of directories that a tag points to. ``jpeg`` is the area of an
    old-style JPEG stream, ``jpeg_tables`` the areas of such tables, by tag. ``size`` is how many bytes a copy takes
    at the most.
    """

    source: Source
    layout: Layout
    subfile_type: int
    entries: dict[int, Entry]
    block_tags: tuple[int, int]
    offsets: Numbers
    counts: Numbers
    size: int
    turning: Turning | None = None
    exif: Exif = field(default_factory=Exif)
    below: dict[int, "tuple[tuple[Parts, ...], ...]"] = field(default_factory=dict)
    jpeg: tuple[int, int] | None = None
    jpeg_tables: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def block(self, number: int) -> Iterator[bytes]:
        """The bytes of a strip or tile, little-endian, in pieces."""
        offset, count = int(self.offsets[number]), int(self.counts[number])
        if self.turning is None:
            return pieces(self.source, offset, count)
        if self.turning.compression == RAW:
            return pieces(self.source, offset, count, self.turning.unit)
        return packed_anew(self.source, offset, count, self.turning, int(self.turning.lengths[number]))

    def value(self, entry: Entry, *, big: bool) -> tuple[int, int, Iterator[bytes]]:
        """A tag's field type, bytes, and its items in little-endian pieces; 8-byte types are narrowed if not ``big``.

        The pieces raise ``NeedsBigTiff`` where an item does not fit.
        """
        unit = {5: 4, 10: 4}.get(entry.type, ITEM_BYTES[entry.type])
        if self.layout.order == "<" or (entry.tag == _IPTC and self.source.read(entry.offset, 1) == b"\x1c"):
            unit = 1  # IPTC is bytes, though its type says 32-bit numbers
        found = pieces(self.source, entry.offset, entry.size, unit)
        if big or entry.type not in _NARROW:
            return entry.type, entry.size, found
        kind, wide, narrow = _NARROW[entry.type]
        return kind, entry.count * ITEM_BYTES[kind], (_narrowed(piece, wide, narrow) for piece in found)


def read_parts(source: Source, layout: Layout, offset: int, allowance: Allowance) -> Parts:
    """The parts of the page whose directory is at ``offset``.

    Exif, GPS and interoperability directories, and directories below, that are damaged are left out, makers' notes
    always. Raises ``Refusal`` "truncated" or "unreadable" for a damaged page, "too_large", and "unsupported" for
    old-style JPEG without a stream's length and for big-endian samples of a kind that cannot be turned round.
    """
    return _Reader(source, layout, allowance).page(offset)


class _Tags:
    """Whole numbers out of one directory."""

    def __init__(self, source: Source, layout: Layout, directory: Directory) -> None:
        self._source, self._layout, self.entries = source, layout, directory.entries

    def many(self, tag: int, most: int) -> Numbers:
        entry = self.entries.get(tag)
        if entry is None:
            return np.zeros(0, np.uint64)
        kind = _UNSIGNED.get(entry.type)
        if kind is None:
            raise Refusal("has a damaged list of tags", "unreadable")
        few = replace(entry, count=min(entry.count, most))
        return np.frombuffer(little_endian(self._source, self._layout, few), kind).astype(np.uint64)

    def one(self, tag: int, default: int = 0) -> int:
        values = self.many(tag, 1)
        return int(values[0]) if len(values) else default


class _Reader:
    """Reads one page's directories, each once: a tag that points back up would lead round for ever."""

    def __init__(self, source: Source, layout: Layout, allowance: Allowance) -> None:
        self._source, self._layout, self._allowance = source, layout, allowance
        self._seen: set[int] = set()

    def page(self, offset: int) -> Parts:
        self._seen.add(offset)
        return self._parts(offset, read_directory(self._source, self._layout, offset), 0)

    def _parts(self, offset: int, directory: Directory, depth: int) -> Parts:
        tags = _Tags(self._source, self._layout, directory)
        copied = {tag: entry for tag, entry in directory.entries.items() if entry.size and tag not in _NOT_COPIED}
        pointing = {tag for tag, entry in copied.items() if entry.type in (13, 18)}
        entries = {tag: entry for tag, entry in copied.items() if tag not in pointing}
        # Spent before the lists are read: what they cost is bounded like what they name.
        size = 1024 + sum(20 + entry.size for entry in directory.entries.values())
        self._allowance.spend(size - 1024)
        jpeg, tables = self._old_jpeg(tags)
        block_tags = TILES if TILES[0] in directory.entries else STRIPS
        offsets = counts = np.zeros(0, np.uint64)
        turning = None
        if block_tags[0] in directory.entries or (depth == 0 and jpeg is None):
            geometry = _Geometry.of(tags)
            offsets, counts = self._blocks(tags, block_tags, geometry.blocks)
            turning = geometry.turning(tags) if self._layout.order == ">" else None
        unpacked = int(turning.lengths.sum()) if turning is not None and turning.compression != RAW else 0
        data = max(int(counts.sum()), unpacked + unpacked // 1000)
        areas = sum(length for area in tables.values() for _, length in area) + (jpeg[1] if jpeg else 0)
        exif = self._exif(offset) if _EXIF_POINTERS & directory.entries.keys() else Exif()
        areas += sum(len(value.data) for fields in (exif.exif, exif.gps, exif.interop) for value in fields.values())
        self._allowance.spend(int(counts.sum()) + areas)
        below = {
            tag: self._below(tags, tag, depth)
            for tag in sorted(pointing | (_DIRECTORY_TAGS & directory.entries.keys()))
        }
        below = {tag: chains for tag, chains in below.items() if chains}
        nested = sum(parts.size for chains in below.values() for chain in chains for parts in chain)
        return Parts(
            self._source,
            self._layout,
            tags.one(NEW_SUBFILE_TYPE),
            entries,
            block_tags,
            offsets,
            counts,
            size + data + 20 * len(counts) + areas + nested,
            turning,
            exif,
            below,
            jpeg,
            tables,
        )

    def _below(self, tags: _Tags, tag: int, depth: int) -> tuple[tuple[Parts, ...], ...]:
        """The chains of directories that a tag points to; one that it lists itself begins a chain of its own."""
        listed = [int(first) for first in tags.many(tag, _MAX_BELOW)]
        chains = (tuple(self._chain(first, listed, depth + 1)) for first in listed if depth < _MAX_DEPTH)
        return tuple(chain for chain in chains if chain)

    def _chain(self, offset: int, listed: list[int], depth: int) -> Iterator[Parts]:
        """The directories from ``offset`` on, up to one that is damaged, listed, or was read already."""
        while offset and offset not in self._seen and len(self._seen) <= _MAX_BELOW:
            self._seen.add(offset)
            try:
                directory = read_directory(self._source, self._layout, offset)
                yield self._parts(offset, directory, depth)
            except Overlapping:
                raise
            except Refusal:
                return
            offset = 0 if directory.next in listed else directory.next

    def _blocks(self, tags: _Tags, block_tags: tuple[int, int], needed: int) -> tuple[Numbers, Numbers]:
        offsets, counts = (tags.many(tag, needed) for tag in block_tags)
        if len(offsets) < needed or len(counts) < needed:
            raise Refusal("is cut off or damaged: its list of strips is incomplete", "truncated")
        end = np.uint64(self._source.size)
        bad = (offsets == 0) | (counts == 0) | (offsets > end) | (counts > end - np.minimum(offsets, end))
        if bad.any():
            raise Refusal(
                f"is cut off: part {int(bad.argmax()) + 1} of {needed} of the picture is missing; "
                "copy it again from its source",
                "truncated",
            )
        return offsets, counts

    def _old_jpeg(self, tags: _Tags) -> tuple[tuple[int, int] | None, dict[int, tuple[tuple[int, int], ...]]]:
        """Areas of an old-style JPEG stream and of the tables beside it."""
        offset, length = tags.one(JPEG_STREAM), tags.one(JPEG_STREAM_LENGTH)
        stream = (offset, length) if offset and length and offset + length <= self._source.size else None
        if tags.one(COMPRESSION, RAW) != OLD_JPEG:
            return stream, {}
        if stream is None:
            raise Refusal("is old-style JPEG of a kind that cannot be copied; save it as plain TIFF", "unsupported")
        tables: dict[int, tuple[tuple[int, int], ...]] = {}
        for tag in (_QUANTIZATION, *_HUFFMAN):
            starts = [int(value) for value in tags.many(tag, 4)]
            if starts:
                tables[tag] = tuple((start, self._table_length(tag, start)) for start in starts)
        return stream, tables

    def _table_length(self, tag: int, start: int) -> int:
        length = 64 if tag == _QUANTIZATION else 16 + sum(self._source.read(start, 16))
        self._source.read(start, length)
        return length

    def _exif(self, offset: int) -> Exif:
        found = read_exif(self._source, self._layout, offset)
        camera = {tag: value for tag, value in found.exif.items() if tag != _MAKER_NOTE}
        return Exif({}, camera, found.gps, found.interop)


@dataclass(frozen=True)
class _Geometry:
    """Sizes in pixels of a page and of its strips or tiles; ``planes`` is 1 if the samples are interleaved."""

    width: int
    height: int
    samples: int
    planes: int
    tiled: bool
    block_width: int
    block_height: int

    @classmethod
    def of(cls, tags: _Tags) -> "_Geometry":
        width, height, samples = tags.one(256), tags.one(257), tags.one(277, 1)
        planes = samples if tags.one(284, 1) == 2 else 1
        tiled = 324 in tags.entries
        across = tags.one(322) if tiled else width
        down = tags.one(323) if tiled else min(tags.one(278, height) or height, height)
        if not (width and height and samples and across and down):
            raise Refusal("has a damaged TIFF header", "unreadable")
        found = cls(width, height, samples, planes, tiled, across, down)
        if found.blocks > _MAX_BLOCKS:
            raise Refusal(
                f"is a TIFF of {found.blocks:,} parts, which are too many; save it with larger strips", "too_large"
            )
        return found

    @property
    def blocks(self) -> int:
        return self.planes * -(-self.width // self.block_width) * -(-self.height // self.block_height)

    def turning(self, tags: _Tags) -> Turning | None:
        """How the samples of this big-endian page must be turned round; None if they need not."""
        depths = {int(bits) for bits in tags.many(258, self.samples)} or {1}
        compression, predictor = tags.one(COMPRESSION, RAW), tags.one(317, 1)
        # Odd depths are packed high bits first in both orders; predictor 3 stores bytes apart, the highest first.
        turned = depths & {16, 24, 32, 64, 128}
        if not turned or compression in _SAME_IN_BOTH_ORDERS or predictor == 3:
            return None
        known = compression in {RAW, LZW, DEFLATE, OLD_DEFLATE, PACKBITS}
        if not known or len(depths) != 1 or tags.one(262) == 6 or (tags.one(266, 1) != 1 and compression != RAW):
            raise Refusal("is an unusual kind of TIFF that cannot be copied; save it as plain TIFF", "unsupported")
        bits = depths.pop()
        unit = bits // 16 if tags.one(339, 1) in (5, 6) else bits // 8  # complex numbers are two
        if compression == RAW:
            return Turning(unit, RAW, np.zeros(0, np.uint64))
        row = self.block_width * (self.samples // self.planes) * (bits // 8)
        rows = np.minimum(self.block_height, self.height - np.arange(0, self.height, self.block_height, dtype=np.int64))
        if self.tiled:
            rows = np.repeat(np.full_like(rows, self.block_height), -(-self.width // self.block_width))
        if row * int(rows.sum()) * self.planes > _MAX_TURNED_BYTES:
            raise Refusal("is too large to be copied; save it in strips of some megabytes", "too_large")
        return Turning(unit, compression, np.tile(rows.astype(np.uint64) * np.uint64(row), self.planes))


def _narrowed(piece: bytes, wide: str, narrow: str) -> bytes:
    values: npt.NDArray[Any] = np.frombuffer(piece, wide)
    found = values.astype(narrow)
    if (found != values).any():
        raise NeedsBigTiff
    return found.tobytes()
