"""Reading masters: header before pixels, limits before memory, one kind of error."""

from collections.abc import Iterator
from pathlib import Path

from storage.decoding.progress import working
from storage.images import dng, jpeg, jpeg2000, png, tiff, tiff_pixels, webp
from storage.images.assembling import assembled, check_limits
from storage.images.opening import opened, refusals
from storage.images.records import Header, ImageFacts, Master, MasterMetadata, Refusal, Samples
from storage.images.source import Source
from storage.signatures import SIGNATURE_BYTES, describe_content, signature_of, unread_picture

MAX_PIXELS = 200_000_000
_BYTES_A_PIXEL = 8
_BYTES_OF_METADATA = 1 << 26

_HEADERS = {
    "jpeg": jpeg.read_header,
    "png": png.read_header,
    "webp": webp.read_header,
    "jpeg2000": jpeg2000.read_header,
}
_DECODERS = {
    "jpeg": jpeg.decode,
    "png": png.decode,
    "webp": webp.decode,
    "dng": dng.decode,
}
_NOT_READ = {"dpx": "a DPX film frame", "pdf": "a PDF document"}


def identify(path: Path) -> ImageFacts:
    """What the header of a picture says, of several pages that of the first; pixels are not read.

    Raises ``UnreadableImage`` as ``read_master`` does, but only for what the header shows.
    """
    return identify_pages(path)[0]


def identify_pages(path: Path) -> tuple[ImageFacts, ...]:
    """What the headers of a picture's pages say; raises as ``identify`` does."""
    with refusals(path), opened(path) as file:
        return tuple(header.facts for header in _headers(file.source))


def read_metadata(path: Path) -> MasterMetadata:
    """What a picture carries besides its pixels, which are not read; raises as ``identify`` does."""
    with refusals(path), opened(path) as file:
        return _headers(file.source)[0].metadata


def read_master(path: Path, *, page: int = 1, max_pixels: int = MAX_PIXELS) -> Master:
    """A picture's samples and its metadata, from one reading of the file.

    Samples of grey and RGB files are those of the file, bit for bit. Raises ``UnreadableImage`` with one of its
    slugs; what claims more than ``max_pixels`` is refused before anything is decoded.
    """
    with refusals(path), opened(path) as file:
        headers = _headers(file.source)
        if not 1 <= page <= len(headers):
            raise Refusal(f"has no page {page}; it may have changed since it was looked at", "unreadable")
        header = headers[page - 1]
        check_limits(header, max_pixels)
        most_bytes = len(headers) * max_pixels * _BYTES_A_PIXEL + _BYTES_OF_METADATA
        source, digest = file.content(most_bytes, in_pieces=len(headers) > 1)
        master = assembled(_bands(header, source, page), header, digest, path, page)
        file.check_unchanged()
        return master


def _headers(source: Source) -> list[Header]:
    if not source.size:
        raise Refusal("is empty; copy it again from its source or remove it", "empty")
    head = source.read(0, min(SIGNATURE_BYTES, source.size))
    signature = signature_of(head)
    if signature is not None and signature.format == "tiff":
        return [dng.read_header(source)] if dng.is_dng(source) else tiff.read_headers(source)
    reader = _HEADERS.get(signature.format) if signature is not None else None
    if reader is not None:
        return [reader(source)]
    kind = unread_picture(head)
    if signature is not None:
        kind = _NOT_READ.get(signature.format, "a film")
    if kind is not None:
        raise Refusal(f"is {kind}, which is not read as a picture; convert it to TIFF or PNG", "unsupported")
    raise Refusal(f"is not an image: it contains {describe_content(head)}", "not_an_image")


def _bands(header: Header, source: Source, page: int) -> Iterator[Samples]:
    """The picture from the top; TIFF and JPEG 2000 in tiles come in several bands."""
    if header.format == "tiff":
        yield from tiff_pixels.bands(source, tiff.read_page_storage(source, page))
    elif header.format == "jpeg2000":
        yield from jpeg2000.bands(source)
    else:
        working(header.width * header.height)
        yield _DECODERS[header.format](source.all())
