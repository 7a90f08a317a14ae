"""Masters of every kind, page by page: pictures, TIFF of several pages, PDF. The decoder process runs this.

What reads PDF is imported when there is one: it would make every start of that process slower.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from storage.images import SRGB, DerivativeProvenance, ImageFacts, Master, reading
from storage.images.assembling import assembled, check_limits
from storage.images.opening import opened, refusals
from storage.images.records import Header, MasterMetadata, Refusal
from storage.images.rows import Pixels
from storage.images.tiff_join import MasterPage, join_pages
from storage.images.xmp import derivative_packet
from storage.paths import path_to_text
from storage.signatures import SIGNATURE_BYTES, signature_of

MAX_PIXELS = reading.MAX_PIXELS
DocumentFormat = Literal["tiff", "pdf"]


def identify_pages(path: Path) -> tuple[ImageFacts, ...]:
    """What the header of each page says; width and height of a PDF's page without a scan are 0.

    Raises ``UnreadableImage`` for what the header shows to be unreadable.
    """
    if not _is_pdf(path):
        return reading.identify_pages(path)
    from storage.documents import identify_document

    with refusals(path):
        pages = identify_document(path)
        for number, page in enumerate(pages, start=1):
            if page.error_type is not None:
                raise Refusal(f"cannot be used: page {number}: {page.reason}", page.error_type)
        return tuple(page.facts or ImageFacts("pdf", 0, 0, 0, 8, len(pages), None, False) for page in pages)


def read_master(path: Path, *, page: int = 1, max_pixels: int = MAX_PIXELS) -> Master:
    """A picture, or a page, counted from 1, of a document; see ``storage.images.read_master``.

    Of a PDF's page the scan is taken at its own resolution; ``sha256`` is that of the document.
    """
    if not _is_pdf(path):
        return reading.read_master(path, page=page, max_pixels=max_pixels)
    from storage.documents import read_page

    with refusals(path), opened(path) as file:
        digest = file.digest()
        scan = read_page(path, page, max_pixels=max_pixels)
        colour = scan.samples.colour
        metadata = MasterMetadata(icc=scan.icc, ppi=scan.ppi, orientation=scan.orientation, notes=scan.notes)
        channels = 1 if colour.ndim == 2 else colour.shape[2]
        header = Header("pdf", colour.shape[1], colour.shape[0], channels, 8 * colour.itemsize, metadata=metadata)
        check_limits(header, max_pixels)
        return assembled(iter([scan.samples]), header, digest, path, page)


@dataclass(frozen=True)
class DocumentCopy:
    """What the copy of a document is to be."""

    source: Path
    """The master, a TIFF of several pages or a PDF; pages that are not replaced stay as they are."""
    source_sha256: str
    pages: dict[int, Path]
    """The pages in colour, by their numbers from 1, as one-page TIFF files."""
    form: DocumentFormat
    """A PDF as TIFF has only the pages in colour."""
    provenance: DerivativeProvenance
    quality: int | None = None
    """Of JPEG in a PDF; None: pages that had no loss in the master have none in the copy."""


def write_document(path: Path, copy: DocumentCopy) -> tuple[str, ...]:
    """Write the copy of a document into the file at ``path``, which is there already.

    Returns:
        remarks for people on what the copy does not keep.

    Raises ``UnreadableImage`` where the master is damaged, ``OSError`` where the copy cannot be written.
    """
    source = copy.source
    with refusals(source):
        if copy.form == "pdf":
            return _write_pdf(path, copy)
        if _is_pdf(source):
            return _write_pages(path, copy)
        count = len(reading.identify_pages(source))
        join_pages(path, [copy.pages.get(page) or MasterPage(source, page) for page in range(1, count + 1)])
        return ()


def _write_pdf(path: Path, copy: DocumentCopy) -> tuple[str, ...]:
    from storage.documents import PagePicture, document_notes
    from storage.documents import write_document as write_pdf

    packet = partial(_packet, path_to_text(copy.source.name), copy.source_sha256, copy.provenance)
    rows = {page: _PageRows(file) for page, file in copy.pages.items()}
    lossless = None if copy.quality is None else False  # None: as the document has the page
    pictures = {page: PagePicture(picture, picture.icc, lossless) for page, picture in rows.items()}
    write_pdf(path, copy.source, pictures, xmp=packet, quality=copy.quality)
    return document_notes(copy.source)


def _write_pages(path: Path, copy: DocumentCopy) -> tuple[str, ...]:
    """The pages of a PDF that are in colour as a TIFF."""
    from storage.documents import identify_document

    join_pages(path, [copy.pages[page] for page in sorted(copy.pages)])
    left_out = len(identify_document(copy.source)) - len(copy.pages)
    return (f"{left_out} of the document's pages are not in the copy, as they were not colorized",) if left_out else ()


class _PageRows:
    """A page in colour, read when its rows are asked for: all pages of a document are too many for memory."""

    def __init__(self, file: Path) -> None:
        facts, metadata = reading.identify(file), reading.read_metadata(file)
        height, width = facts.height, facts.width
        self.shape = (width, height, 3) if metadata.orientation >= 5 else (height, width, 3)
        self.dtype = np.dtype(np.uint16 if facts.bit_depth == 16 else np.uint8)
        self.icc = metadata.icc or SRGB.icc
        self._file = file
        self._page: Master | None = None

    def __getitem__(self, rows: slice, /) -> Pixels:
        self._page = self._page or self._read()
        band = self._page.samples[rows]
        if rows.indices(self.shape[0])[1] == self.shape[0]:
            self._page = None  # the last rows: the next page may have the memory
        return band

    def _read(self) -> Master:
        return reading.read_master(self._file, max_pixels=1 << 40)


def _packet(name: str, sha256: str, provenance: DerivativeProvenance, old: bytes | None) -> bytes:
    return derivative_packet(old, name, sha256, provenance, "application/pdf")[0]


def _is_pdf(path: Path) -> bool:
    with refusals(path), opened(path) as file:
        source = file.source
        signature = signature_of(source.read(0, min(SIGNATURE_BYTES, source.size)))
    return signature is not None and signature.format == "pdf"
