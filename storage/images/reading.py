"""Reading masters: bytes once, header before pixels, limits before memory, one kind of error."""

import os
import stat
from dataclasses import replace
from pathlib import Path

from storage.errors import UnreadableImage
from storage.fixity import sha256_bytes
from storage.images import jpeg, png, tiff, tiff_pixels, webp
from storage.images.colour import to_srgb
from storage.images.orientation import upright
from storage.images.records import Header, ImageFacts, Master, MasterMetadata, Refusal, Samples
from storage.images.source import Source
from storage.paths import path_to_text
from storage.signatures import SIGNATURE_BYTES, describe_content, signature_of, unread_picture

MAX_PIXELS = 200_000_000
_BYTES_A_PIXEL = 8
_BYTES_OF_METADATA = 1 << 26
_MAX_SIDE = 1 << 20

_HEADERS = {
    "jpeg": jpeg.read_header,
    "png": png.read_header,
    "webp": webp.read_header,
    "tiff": tiff.read_header,
}
_DECODERS = {"jpeg": jpeg.decode, "png": png.decode, "webp": webp.decode, "tiff": tiff_pixels.decode}
_NOT_READ = {
    "jpeg2000": "a JPEG 2000 picture",
    "dpx": "a DPX film frame",
    "pdf": "a PDF document",
}


def identify(path: Path) -> ImageFacts:
    """What the header of a picture says; pixels are not read and not decoded.

    Raises ``UnreadableImage`` as ``read_master`` does, but only for what the header shows.
    """
    return _read_header(path).facts


def read_metadata(path: Path) -> MasterMetadata:
    """What a picture carries besides its pixels, which are not read; raises as ``identify`` does."""
    return _read_header(path).metadata


def read_master(path: Path, *, max_pixels: int = MAX_PIXELS) -> Master:
    """A picture's upright, sRGB-encoded pixels and its metadata, from one reading of the file.

    Samples of untagged and sRGB files are those of the file, bit for bit; other profiles are converted.
    Raises ``UnreadableImage`` with one of its slugs; what claims more than ``max_pixels`` is refused before
    anything is decoded.
    """
    with _refusals(path):
        data = _read_bytes(path, max_pixels)
        header = _header(Source(data))
        _check_limits(header, max_pixels)
        samples = _decode(header, data)
        converted = to_srgb(samples, header.metadata.icc)
        del samples
        metadata = replace(header.metadata, notes=header.metadata.notes + converted.notes)
        pixels = upright(converted.pixels, metadata.orientation)
        return Master(pixels, header.facts, metadata, sha256_bytes(data), path)


def _read_header(path: Path) -> Header:
    descriptor = _open(path)
    try:
        with _refusals(path):
            return _header(Source(descriptor=descriptor))
    finally:
        os.close(descriptor)


class _refusals:  # noqa: N801 - used like a function, as a context
    """Turns every failure of a reader into ``UnreadableImage`` with the file's name in it."""

    def __init__(self, path: Path) -> None:
        self._name = path_to_text(path.name)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, UnreadableImage) or not isinstance(error, Exception):
            return
        if isinstance(error, Refusal):
            raise UnreadableImage(f"{self._name} {error.detail}", error.error_type) from error
        if isinstance(error, MemoryError):
            detail = "needs more memory than there is; run it on a larger machine"
            raise UnreadableImage(f"{self._name} {detail}", "too_large") from error
        # Decoders raise whatever they like over damaged data; all of it means the same to an archivist.
        detail = "is damaged and cannot be decoded; copy it again from its source"
        raise UnreadableImage(f"{self._name} {detail}", "unreadable") from error


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadableImage(
            f"{path_to_text(path.name)} cannot be read ({reason}); check that it exists and may be read"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableImage(f"{path_to_text(path.name)} is not a file but a folder or device", "not_an_image")
    return descriptor


def _read_bytes(path: Path, max_pixels: int) -> bytes:
    descriptor = _open(path)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_pixels * _BYTES_A_PIXEL + _BYTES_OF_METADATA:
            raise Refusal(f"is too large to be read ({size:,} bytes)", "too_large")
        try:
            return file.read()
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise Refusal(f"could not be read to its end ({reason}); check the disk or share", "unreadable") from error


def _header(source: Source) -> Header:
    if not source.size:
        raise Refusal("is empty; copy it again from its source or remove it", "empty")
    head = source.read(0, min(SIGNATURE_BYTES, source.size))
    signature = signature_of(head)
    reader = _HEADERS.get(signature.format) if signature is not None else None
    if reader is not None:
        return reader(source)
    kind = unread_picture(head)
    if signature is not None:
        kind = _NOT_READ.get(signature.format, "a film")
    if kind is not None:
        raise Refusal(f"is {kind}, which is not read as a picture; convert it to TIFF or PNG", "unsupported")
    raise Refusal(f"is not an image: it contains {describe_content(head)}", "not_an_image")


def _check_limits(header: Header, max_pixels: int) -> None:
    pixels = header.width * header.height
    if pixels > max_pixels or max(header.width, header.height) > _MAX_SIDE:
        raise Refusal(
            f"claims {header.width:,} x {header.height:,} pixels, more than the limit of {max_pixels:,}; "
            "if that is its true size, raise the limit (--max-pixels, with --retry-failed) or scan it in parts",
            "too_large",
        )
    if header.pixel_bytes < header.least_bytes:
        raise Refusal(
            f"claims {header.width:,} x {header.height:,} pixels but is far too short to hold them; "
            "copy it again from its source",
            "truncated",
        )


def _decode(header: Header, data: bytes) -> Samples:
    samples = _DECODERS[header.format](data)
    if samples.colour.shape[:2] != (header.height, header.width):
        raise Refusal("is damaged: its picture does not have the size its header says", "unreadable")
    return samples
