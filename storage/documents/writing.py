"""Writing the coloured copy of a document: the same document, with pictures where its scans were."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pikepdf

from storage.decoding.progress import working
from storage.documents.encoding import PictureStore
from storage.documents.loss import is_lossy
from storage.documents.opening import OpenDocument, opened, refusals
from storage.documents.records import PagePicture
from storage.documents.replacing import replace_scan
from storage.documents.scans import Scan, find_scan

_XMP_BYTES = 1 << 24


def write_document(
    path: Path,
    source: Path,
    pages: Mapping[int, PagePicture],
    *,
    xmp: Callable[[bytes | None], bytes],
    quality: int | None,
) -> None:
    """Write ``source`` again into the file at ``path``, with each of ``pages`` (counted from 1) in colour.

    A picture has its scan's stored rows and columns. Text, geometry, outlines, labels, attachments, forms and the
    document information stay as they are; the XMP packet becomes ``xmp(packet)``. ``quality`` is that of JPEGs (92
    where None). The same arguments give the same bytes. A copy of a document whose owner restricted its use is not
    encrypted; signatures stay, but do not hold any more.

    Raises ``Refusal`` where the source is not readable, ``ValueError`` where a picture does not fit its page, and
    ``OSError`` where the file cannot be written.
    """
    with opened(source) as document, PictureStore(path.parent) as store:
        pdf = document.pdf
        scans = {number: _scan(document, number, pages[number]) for number in sorted(pages)}
        chosen = {number: _with_loss_or_without(pages[number], scan) for number, scan in scans.items()}
        objects = {number: store.add(picture, quality) for number, picture in chosen.items()}
        pictures = store.document()
        with refusals():
            for number, scan in scans.items():
                picture = pdf.copy_foreign(pictures.get_object(objects[number], 0))
                assert isinstance(picture, pikepdf.Stream)
                replace_scan(pdf, pdf.pages[number - 1], scan, picture)
            packet = _packet(pdf)
        pdf.Root["/Metadata"] = pdf.make_stream(xmp(packet), Type=pikepdf.Name.Metadata, Subtype=pikepdf.Name.XML)
        deep = any(page.lossless and page.rows.dtype.itemsize == 2 for page in chosen.values())
        with path.open("wb") as file, refusals():
            pdf.save(
                file,
                min_version="1.5" if deep else "1.4",
                fix_metadata_version=False,
                compress_streams=False,
                stream_decode_level=pikepdf.StreamDecodeLevel.none,
                object_stream_mode=pikepdf.ObjectStreamMode.preserve,
                encryption=False,
                deterministic_id=True,
                progress=lambda _: working(0),
            )


def _with_loss_or_without(picture: PagePicture, scan: Scan) -> PagePicture:
    return replace(picture, lossless=not is_lossy(scan)) if picture.lossless is None else picture


def _scan(document: OpenDocument, number: int, picture: PagePicture) -> Scan:
    if not 1 <= number <= len(document.pdf.pages):
        raise ValueError(f"there is no page {number}")
    with refusals():
        scan = find_scan(document, document.pdf.pages[number - 1])
    if isinstance(scan, str):
        raise ValueError(f"page {number} has no scan: {scan}")
    if tuple(picture.rows.shape) != (scan.height, scan.width, 3) or picture.rows.dtype not in ("uint8", "uint16"):
        raise ValueError(
            f"rows {picture.rows.shape} {picture.rows.dtype} do not fit page {number}, {scan.height} x {scan.width}"
        )
    return scan


def _packet(pdf: pikepdf.Pdf) -> bytes | None:
    """The document's XMP packet; None where there is none, or one of no sensible length."""
    old = pdf.Root.get("/Metadata")
    packet = old.read_bytes() if isinstance(old, pikepdf.Stream) else None
    return None if packet is None or len(packet) > _XMP_BYTES else packet
