"""TIFF files of several pages, joined from pages that are already compressed: their strips are copied as they are."""

import os
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from storage.decoding.progress import working
from storage.images.exif import Field, Fields, append_directories
from storage.images.ifd import Layout
from storage.images.records import Refusal
from storage.images.source import Source
from storage.images.tiff import read_pages
from storage.images.tiff_pages import (
    COMPRESSION,
    JPEG_STREAM,
    JPEG_STREAM_LENGTH,
    NEW_SUBFILE_TYPE,
    PAGE_NUMBER,
    Allowance,
    NeedsBigTiff,
    Parts,
    read_parts,
)
from storage.images.tiff_turning import pieces

_BIG_FROM_BYTES = 3_800_000_000
_MAX_PAGES = 10_000
_PAGE_OF_SEVERAL = 2


@dataclass(frozen=True)
class MasterPage:
    """A page of a TIFF master, counted from 1; thumbnails among the pages are not counted."""

    path: Path
    page: int


def join_pages(path: Path, pages: Sequence[Path | MasterPage], *, big: bool | None = None) -> None:
    """Write the pages, each a one-page TIFF or a page of a master, into one little-endian TIFF at ``path``.

    Strips and tiles are copied byte for byte, tags with their values; only offsets, PageNumber (from 0, as TIFF 6.0
    counts) and the bit "page of several" of NewSubfileType are new. Not copied are makers' notes in Exif, which
    cannot be moved, thumbnails that lie beside a page and not below it, and directories below a page that are damaged.

    The samples of more than 8 bits of a big-endian page are turned round without loss: uncompressed ones stay so,
    LZW, PackBits and deflate become deflate with the predictor they had.

    ``big`` forces BigTIFF, or forbids it as far as it can; by default the sum of the pages decides. Memory is
    bounded by the list of one page's strips and one strip of LZW or PackBits that is turned round. The same pages give
    the same bytes. What was at ``path`` is overwritten; after an error what is there is worth nothing.

    Raises ``Refusal`` for a page that is damaged or cannot be copied, ``ValueError`` if there are no pages or
    ``path`` is one of them, ``OSError`` if a file cannot be read or written.
    """
    if not pages:
        raise ValueError("a TIFF needs at least one page")
    if len(pages) > _MAX_PAGES:
        raise Refusal(f"has {len(pages):,} pages, which are too many for one TIFF; split it", "too_large")
    wanted = [page if isinstance(page, MasterPage) else MasterPage(page, 1) for page in pages]
    if path.exists() and any(path.samefile(page) for page in {page.path for page in wanted}):
        raise ValueError("the joined file must not be one of its pages")
    size = sum(parts.size for _, parts in _all_parts(wanted))
    if big is None:
        big = size > _BIG_FROM_BYTES
    if not big:
        try:
            _write(path, wanted, big=False)
        except NeedsBigTiff:
            big = True
    if big:
        _write(path, wanted, big=True)


def _all_parts(wanted: Sequence[MasterPage]) -> Iterator[tuple[int, Parts]]:
    """The parts of one page after the other; each can be read until the next is asked for.

    With them comes the page's number in its file, 0 if it is the only one.
    """
    copies = {path: max(times for page, times in Counter(wanted).items() if page.path == path)
              for path in {page.path for page in wanted}}  # fmt: skip
    found: dict[Path, tuple[Layout, tuple[int, ...], Allowance]] = {}
    for page in wanted:
        with _opened(page.path) as source:
            if page.path not in found:
                layout, directories = read_pages(source)
                allowance = Allowance(source.size, copies[page.path])
                found[page.path] = (layout, tuple(directory.offset for directory in directories), allowance)
            layout, offsets, allowance = found[page.path]
            if not 1 <= page.page <= len(offsets):
                raise Refusal(f"has {len(offsets)} pages and no page {page.page}; copy it again", "truncated")
            number = page.page if len(offsets) > 1 else 0
            with _page_in_words(number):
                parts = read_parts(source, layout, offsets[page.page - 1], allowance)
            yield number, parts


@contextmanager
def _page_in_words(number: int) -> Iterator[None]:
    """Puts the page's number into what is said about it."""
    try:
        yield
    except Refusal as refusal:
        if not number:
            raise
        raise Refusal(f"cannot be used: page {number} {refusal.detail}", refusal.error_type) from refusal


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield Source(descriptor=descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, wanted: Sequence[MasterPage], *, big: bool) -> None:
    with path.open("wb") as file:
        target = _Target(file, big)
        link = target.header()
        for place, (number, parts) in enumerate(_all_parts(wanted)):
            fields = {
                NEW_SUBFILE_TYPE: Field(4, 1, struct.pack("<I", parts.subfile_type & 0xFFFFFFFF | _PAGE_OF_SEVERAL)),
                PAGE_NUMBER: Field(3, 2, struct.pack("<HH", place, len(wanted))),
            }
            with _page_in_words(number):
                link = target.directory(parts, fields, link)
        target.finish()


class _Target:
    """The file that is written, from its start to its end; the links between directories come last."""

    def __init__(self, file: BinaryIO, big: bool) -> None:
        self._file, self._big = file, big
        self._at = 0
        self._links: list[tuple[int, int]] = []
        self._pointer_bytes, self._pointer = (8, "<u8") if big else (4, "<u4")

    def header(self) -> int:
        """Write the file's header; gives the place of the first directory's offset."""
        self._put([struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if self._big else struct.pack("<2sHI", b"II", 42, 0)])
        return self._at - self._pointer_bytes

    def directory(self, parts: Parts, fields: Fields, link: int) -> int:
        """Write a directory and all that belongs to it, linked at ``link``; gives the place of the next one's offset.

        ``fields`` are tags that are not the source's own.
        """
        fields = fields | self._data(parts) | self._directories_below(parts)
        entries = b"".join(self._entry(parts, tag, fields) for tag in sorted(fields.keys() | parts.entries.keys()))
        self._align()
        self._links.append((link, self._at))
        count = len(fields.keys() | parts.entries.keys())
        self._put([struct.pack("<Q" if self._big else "<H", count), entries, bytes(self._pointer_bytes)])
        return self._at - self._pointer_bytes

    def finish(self) -> None:
        """Link the directories."""
        for place, offset in self._links:
            self._file.seek(place)
            self._file.write(self._pointers([offset]))

    def _data(self, parts: Parts) -> Fields:
        """Copy strips or tiles, and old-style JPEG's stream and tables; gives the tags that tell where they are."""
        fields: Fields = {}
        stream = parts.jpeg
        start = 0
        if stream is not None:
            self._align()
            start = self._at
            self._put(pieces(parts.source, *stream))
            fields[JPEG_STREAM] = self._offsets([start])
            fields[JPEG_STREAM_LENGTH] = Field(4, 1, struct.pack("<I", stream[1]))

        def moved(offset: int, size: int, content: Iterable[bytes]) -> int:
            if stream is not None and stream[0] <= offset and offset + size <= sum(stream):
                return start + offset - stream[0]  # lies in the stream, which is there already
            if stream is None:
                self._align()
            at = self._at
            self._put(content)
            return at

        for tag, areas in parts.jpeg_tables.items():
            fields[tag] = self._offsets([moved(*area, pieces(parts.source, *area)) for area in areas])
        if not len(parts.offsets):
            return fields
        offsets, counts = np.zeros((2, len(parts.offsets)), np.uint64)
        for number, (offset, count) in enumerate(zip(parts.offsets, parts.counts, strict=True)):
            offsets[number] = moved(int(offset), int(count), parts.block(number))
            counts[number] = count if parts.turning is None else self._at - int(offsets[number])
        if parts.turning is not None and parts.turning.new_compression != parts.turning.compression:
            fields[COMPRESSION] = Field(3, 1, struct.pack("<H", parts.turning.new_compression))
        fields[parts.block_tags[0]] = self._offsets(offsets)
        fields[parts.block_tags[1]] = self._counts(counts)
        return fields

    def _directories_below(self, parts: Parts) -> Fields:
        fields: Fields = {}
        for tag, chains in parts.below.items():
            starts = []
            for chain in chains:
                link = -1
                for below in chain:
                    kept = Field(4, 1, struct.pack("<I", below.subfile_type & 0xFFFFFFFF))
                    own = {NEW_SUBFILE_TYPE: kept} if below.subfile_type else {}
                    following = self.directory(below, own, link)
                    if link < 0:
                        starts.append(self._links.pop()[1])
                    link = following
            fields[tag] = Field(18 if self._big else 13, len(starts), self._pointers(starts))
        if parts.exif.exif or parts.exif.gps:
            self._align()
            blob, pointers = append_directories(parts.exif, self._at, big=self._big)
            self._put([blob])
            fields |= {tag: self._offsets([offset]) for tag, offset in pointers.items()}
        return fields

    def _entry(self, parts: Parts, tag: int, fields: Fields) -> bytes:
        """One entry of a directory; a value that is too long for it is written before."""
        value = fields.get(tag)
        if value is not None:
            kind, count, size, content = value.type, value.count, len(value.data), iter([value.data])
        else:
            count = parts.entries[tag].count
            kind, size, content = parts.value(parts.entries[tag], big=self._big)
        head = struct.pack("<HHQ" if self._big else "<HHI", tag, kind, count)
        if size <= self._pointer_bytes:
            return head + b"".join(content).ljust(self._pointer_bytes, b"\0")
        self._align()
        start = self._at
        self._put(content)
        return head + self._pointers([start])

    def _offsets(self, offsets: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.uint64]]) -> Field:
        return Field(16 if self._big else 4, len(offsets), self._pointers(offsets))

    def _counts(self, counts: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> Field:
        # 32-bit numbers, wherever they are enough: some readers know no others for byte counts.
        if counts.max() >> np.uint64(32):
            return self._offsets(counts)
        return Field(4, len(counts), counts.astype("<u4").tobytes())

    def _pointers(self, offsets: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.uint64]]) -> bytes:
        found = np.asarray(offsets, np.uint64)
        if not self._big and (found >> np.uint64(32)).any():
            raise NeedsBigTiff
        return found.astype(self._pointer).tobytes()

    def _align(self) -> None:
        self._put([bytes(-self._at % (8 if self._big else 2))])

    def _put(self, content: Iterable[bytes]) -> None:
        for piece in content:
            working(0)
            self._file.write(piece)
            self._at += len(piece)
