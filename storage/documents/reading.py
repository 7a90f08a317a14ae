"""A document's pages and their scans."""

from pathlib import Path

import numpy as np
import pikepdf

from storage.decoding.progress import working
from storage.documents.loss import distinct_images, is_lossy
from storage.documents.opening import OpenDocument, opened, refusals
from storage.documents.pixels import decode
from storage.documents.records import DocumentPage, PageScan
from storage.documents.rendering import render_page_images
from storage.documents.scans import Scan, find_scan
from storage.images.orientation import upright
from storage.images.records import Refusal, Samples

_LAYERS = 4
"""How many pictures' pixels the images of one page may have together."""


def identify_document(path: Path) -> tuple[DocumentPage, ...]:
    """What each page is: the facts of its scan, or why it has none to colorize. No picture is decoded.

    Raises ``Refusal`` where the file is not a whole PDF, is protected with a password or has more than 20,000 pages.
    """
    with opened(path) as document, refusals():
        count = len(document.pdf.pages)
        return tuple(_page(document, number, count) for number in range(1, count + 1))


def read_page(path: Path, page: int, *, max_pixels: int) -> PageScan:
    """The scan of a page, counted from 1: its samples as stored, or, of several images, those of the page drawn.

    Raises ``Refusal`` as ``identify_document`` does, and where there is no such page, it has no scan, claims more than
    ``max_pixels`` pixels ("too_large", before anything is decoded) or has lost a part of its picture ("truncated").
    """
    with opened(path) as document, refusals():
        pdf = document.pdf
        if not 1 <= page <= len(pdf.pages):
            raise Refusal(f"has no page {page}; it has {len(pdf.pages)}", "unreadable")
        sheet = pdf.pages[page - 1]
        scan = find_scan(document, sheet)
        if isinstance(scan, str):
            raise Refusal(f"has no scan on page {page}: {scan}", "unsupported")
        sizes = [part.width * part.height for part in distinct_images(scan)]
        claimed = max(scan.width * scan.height, *sizes)
        if claimed > max_pixels or (claimed := sum(sizes)) > _LAYERS * max_pixels:
            raise Refusal(
                f"has {claimed} pixels on page {page}, more than the {max_pixels} that are allowed; raise the limit or"
                " split it",
                "too_large",
            )
        working(claimed)
        return _taken(pdf, sheet, scan)


def _page(document: OpenDocument, number: int, count: int) -> DocumentPage:
    working(0)
    try:
        with refusals():
            scan = find_scan(document, document.pdf.pages[number - 1])
            return DocumentPage(None, scan) if isinstance(scan, str) else DocumentPage(scan.facts(count))
    except Refusal as refusal:
        return DocumentPage(None, f"the page {refusal.detail}", refusal.error_type)


def _taken(pdf: pikepdf.Pdf, page: pikepdf.Page, scan: Scan) -> PageScan:
    lossy = is_lossy(scan)
    if scan.image is not None:
        samples, icc = decode(pdf, scan.image)
        notes = () if scan.image.space is not None else ("its colours are of a kind that was converted to RGB",)
        return PageScan(samples, icc, scan.ppi, scan.orientation, lossy, notes)
    note = f"the page's {len(scan.parts)} images were taken as one picture"
    if scan.tiles:
        return PageScan(*_joined(pdf, scan), scan.ppi, scan.orientation, lossy, (note,))
    for part in distinct_images(scan):
        if part.codec == "/DCTDecode" or part.codec == "/JPXDecode":
            decode(pdf, part)  # pdfium draws what is left of a cut picture and says nothing
    picture = render_page_images(pdf, page, scan.matrix, scan.width, scan.height)
    samples = Samples(np.ascontiguousarray(picture[..., 1]), "grey") if scan.channels == 1 else Samples(picture, "rgb")
    return PageScan(samples, None, scan.ppi, scan.orientation, lossy, (note,))


def _joined(pdf: pikepdf.Pdf, scan: Scan) -> tuple[Samples, bytes | None]:
    """The samples of images that lie edge to edge."""
    samples, icc = decode(pdf, scan.tiles[0].image)
    shape = (scan.height, scan.width, *samples.colour.shape[2:])
    picture = np.empty(shape, samples.colour.dtype)
    for tile in scan.tiles:
        part, _ = decode(pdf, tile.image)
        picture[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = upright(
            part.colour, tile.orientation
        )
    return Samples(picture, samples.space), icc
