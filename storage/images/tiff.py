"""TIFF 6.0 and BigTIFF: which page is the picture, how its samples are stored, what its tags say."""

from dataclasses import dataclass, field, replace

from storage.images.exif import Exif, build_exif, read_exif, sane_ppi
from storage.images.ifd import (
    Directory,
    Layout,
    little_endian,
    numbers,
    read_chain,
    read_layout,
)
from storage.images.jpeg import iptc_of_photoshop
from storage.images.metadata import collect_metadata
from storage.images.records import Header, MasterMetadata, Refusal
from storage.images.source import Source

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
RAW, CCITT_RLE, CCITT_T4, CCITT_T6, LZW, JPEG, DEFLATE = 1, 2, 3, 4, 5, 7, 8
PACKBITS, OLD_DEFLATE = 32773, 32946
FAX = frozenset({CCITT_RLE, CCITT_T4, CCITT_T6})
_COMPRESSIONS = frozenset({RAW, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE}) | FAX
_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, SEPARATED: 4, YCBCR: 3}
_BEST_RATIO = {LZW: 4096, DEFLATE: 1040, OLD_DEFLATE: 1040, PACKBITS: 65, RAW: 1}
"""How far each compression can shrink data at the utmost; none is known for CCITT and JPEG."""
_MAX_METADATA_BYTES = 1 << 24
_MAX_BLOCKS = 1 << 21
"""Strips or tiles of a page: far more than any scanner makes, and few enough that their list is no burden."""
_MAX_SAMPLES = 16
_MAX_PALETTE = 3 << 8
_SUBFILE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706
_PICTURE = frozenset({256, 257, 273, 322, 323, 324})
"""Tags of which a directory has one if it is to be a picture, however damaged: size, strips, tiles."""


@dataclass(frozen=True)
class Storage:
    """How the samples of a page lie in the file; sizes in pixels, ``planes`` is 1 if interleaved."""

    layout: Layout
    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    compression: int
    predictor: int
    planes: int
    fill_order: int
    block_width: int
    block_height: int
    tiled: bool
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    extra_samples: tuple[int, ...] = ()
    t4_options: int = 0
    jpeg_tables: bytes | None = None
    palette: tuple[int, ...] = field(default=(), repr=False)

    @property
    def colours(self) -> int:
        """Samples a pixel that are colour and not alpha."""
        return _COLOURS[self.photometric]


def read_headers(source: Source) -> list[Header]:
    """Size, depth and metadata of every page; raises ``Refusal`` for odd kinds, with the number of the page."""
    layout, pages = read_pages(source)
    headers = []
    for number, page in enumerate(pages, start=1):
        try:
            headers.append(_header(source, layout, page, len(pages)))
        except Refusal as refusal:
            if len(pages) == 1:
                raise
            raise Refusal(f"cannot be used: page {number} {refusal.detail}", refusal.error_type) from refusal
    return headers


def read_page_storage(source: Source, page: int) -> Storage:
    """How a page, counted from 1, is stored."""
    layout, pages = read_pages(source)
    return read_storage(source, layout, pages[page - 1])


def _header(source: Source, layout: Layout, page: Directory, pages: int) -> Header:
    storage = read_storage(source, layout, page)
    stored = storage.width * storage.height * storage.samples * storage.bits // 8
    ratio = _BEST_RATIO.get(storage.compression)
    return Header(
        "tiff",
        storage.width,
        storage.height,
        3 if storage.photometric == PALETTE else storage.colours,
        16 if storage.bits == 16 else 8,
        pages,
        _metadata(source, layout, page),
        pixel_bytes=sum(storage.counts),
        least_bytes=stored // ratio if ratio else 0,
    )


def read_storage(source: Source, layout: Layout, page: Directory) -> Storage:
    """How a page is stored, checked against what is read here and against the length of the file."""
    tags = _Tags(source, layout, page)
    width, height = tags.one(256), tags.one(257)
    samples = tags.one(277, 1)
    depths = set(tags.many(258, (1,), _MAX_SAMPLES))
    photometric = tags.one(262, BLACK_IS_ZERO)
    compression = tags.one(259, RAW)
    if not width or not height or len(depths) != 1:
        raise Refusal("has a damaged TIFF header", "unreadable")
    bits = depths.pop()
    tiled = 322 in page.entries
    block_width = tags.one(322) if tiled else width
    block_height = tags.one(323) if tiled else min(tags.one(278, height) or height, height)
    planes = samples if tags.one(284, 1) == 2 else 1
    blocks = _blocks_needed(width, height, block_width, block_height) * planes
    if blocks > _MAX_BLOCKS:
        raise Refusal(f"is a TIFF of {blocks:,} parts, which are too many; save it with larger strips", "too_large")
    storage = Storage(
        layout=layout,
        width=width,
        height=height,
        bits=bits,
        samples=samples,
        photometric=photometric,
        compression=compression,
        predictor=tags.one(317, 1),
        planes=planes,
        fill_order=tags.one(266, 1),
        block_width=block_width,
        block_height=block_height,
        tiled=tiled,
        offsets=tags.many(324 if tiled else 273, (), blocks),
        counts=tags.many(325 if tiled else 279, (), blocks),
        extra_samples=tags.many(338, (), _MAX_SAMPLES),
        t4_options=tags.one(292, 0),
        jpeg_tables=tags.raw(347),
        palette=tags.many(320, (), _MAX_PALETTE + 1),
    )
    _refuse_unsupported(storage, tags)
    _check_blocks(storage, blocks, source)
    return storage


class _Tags:
    """The values of one directory's tags."""

    def __init__(self, source: Source, layout: Layout, page: Directory) -> None:
        self._source, self._layout, self._page = source, layout, page

    def many(self, tag: int, default: tuple[int, ...], most: int) -> tuple[int, ...]:
        """The tag's values, the first ``most`` of them: a list may claim to be as long as the file."""
        entry = self._page.entries.get(tag)
        if entry is None:
            return default
        entry = replace(entry, count=min(entry.count, most))
        return tuple(int(value) for value in numbers(self._source, self._layout, entry))

    def one(self, tag: int, default: int = 0) -> int:
        values = self.many(tag, (), 1)
        return values[0] if values else default

    def raw(self, tag: int) -> bytes | None:
        entry = self._page.entries.get(tag)
        if entry is None or not 0 < entry.size <= _MAX_METADATA_BYTES:
            return None
        return little_endian(self._source, self._layout, entry)

    def as_stored(self, tag: int) -> bytes | None:
        entry = self._page.entries.get(tag)
        if entry is None or not 0 < entry.size <= _MAX_METADATA_BYTES:
            return None
        return self._source.read(entry.offset, entry.size)

    def ppi(self) -> tuple[float, float] | None:
        found = []
        for tag in (282, 283):
            entry = self._page.entries.get(tag)
            if entry is None or entry.count != 1:
                return None
            found.append(numbers(self._source, self._layout, entry)[0])
        factor = {2: 1.0, 3: 2.54}.get(self.one(296, 2))
        return sane_ppi(found[0] * factor, found[1] * factor) if factor else None


def read_pages(source: Source) -> tuple[Layout, list[Directory]]:
    """Layout, and the directories that are pages: thumbnails are not, nor what has no picture at all (C2PA keeps its
    manifest in a directory of its own after the last page)."""
    layout, first = read_layout(source)
    directories = list(read_chain(source, layout, first))
    if not directories:
        raise Refusal("has a damaged TIFF header", "unreadable")
    pages = [
        page
        for page in directories
        if not _Tags(source, layout, page).one(_SUBFILE) & 1
        and (page is directories[0] or not _PICTURE.isdisjoint(page.entries))
    ]
    if directories[0] not in pages:
        # The picture itself lies below: so do camera raw files, and their preview is not the master.
        raise Refusal("is a camera's raw file, which is not read here; develop it to TIFF", "unsupported")
    return layout, pages


def _refuse_unsupported(storage: Storage, tags: _Tags) -> None:
    def refuse(what: str) -> None:
        raise Refusal(f"is a TIFF {what}, which is not read here; save it as plain TIFF", "unsupported")

    if tags.raw(_DNG_VERSION) is not None or storage.photometric in (32803, 34892):
        raise Refusal("is a camera's raw file, which is not read here; develop it to TIFF", "unsupported")
    if storage.photometric not in _COLOURS:
        refuse(f"in an unusual colour space (photometric {storage.photometric})")
    if storage.compression not in _COMPRESSIONS:
        refuse(f"with an unusual compression (number {storage.compression})")
    if set(tags.many(339, (1,), _MAX_SAMPLES)) != {1}:
        refuse("of floating-point or signed numbers")
    if storage.bits not in ((1, 2, 4, 8, 16) if storage.colours == 1 and storage.samples == 1 else (8, 16)):
        refuse(f"with {storage.bits} bits a sample")
    if not storage.colours <= storage.samples <= _MAX_SAMPLES:
        refuse(f"with {storage.samples} samples a pixel")
    if storage.photometric == SEPARATED and tags.one(332, 1) != 1:
        refuse("with inks other than cyan, magenta, yellow and black")
    if storage.photometric == YCBCR and (storage.compression != JPEG or storage.planes != 1):
        refuse("with separated brightness and colour (YCbCr)")
    if storage.predictor not in (1, 2) or (storage.predictor == 2 and storage.bits < 8):
        refuse(f"with an unusual predictor (number {storage.predictor})")
    if storage.compression == JPEG and (storage.bits != 8 or storage.samples not in (1, 3, 4)):
        refuse("with an unusual kind of JPEG compression")
    if storage.compression in FAX and (storage.bits, storage.samples) != (1, 1):
        refuse("with fax compression of grey or colour")
    if storage.photometric == PALETTE and (
        storage.bits > 8 or storage.samples != 1 or len(storage.palette) != 3 << storage.bits
    ):
        refuse("with an unusual palette")


def _blocks_needed(width: int, height: int, block_width: int, block_height: int) -> int:
    """How many strips or tiles a plane of a page has."""
    if not block_width or not block_height:
        raise Refusal("has a damaged TIFF header", "unreadable")
    if block_width * block_height > 4 * width * height + (1 << 21):
        raise Refusal("has a damaged TIFF header: its tiles are absurdly large", "unreadable")
    return -(-width // block_width) * -(-height // block_height)


def _check_blocks(storage: Storage, needed: int, source: Source) -> None:
    """Refuse a page whose strips or tiles are missing or beyond the end of the file."""
    if len(storage.offsets) < needed or len(storage.counts) < needed:
        raise Refusal("is cut off or damaged: its list of strips is incomplete", "truncated")
    for number, (offset, count) in enumerate(zip(storage.offsets, storage.counts, strict=True)):
        if not offset or not count or offset + count > source.size:
            raise Refusal(
                f"is cut off: part {number + 1} of {needed} of the picture is missing; copy it again from its source",
                "truncated",
            )


def _metadata(source: Source, layout: Layout, page: Directory) -> MasterMetadata:
    tags = _Tags(source, layout, page)
    iptc = tags.as_stored(33723)  # bytes, though many writers call them 32-bit numbers
    if iptc is None or not iptc.startswith(b"\x1c"):
        iptc = tags.raw(33723)
    if iptc is None or not iptc.startswith(b"\x1c"):
        iptc = iptc_of_photoshop(tags.raw(34377) or b"")
    exif = read_exif(source, layout, page.offset)
    return collect_metadata(
        exif_block=build_exif(exif) if exif != Exif() else None,
        xmp=tags.raw(700),
        iptc=iptc,
        icc=tags.raw(34675),
        ppi=tags.ppi(),
    )
