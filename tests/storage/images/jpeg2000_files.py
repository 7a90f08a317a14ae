"""JPEG 2000 files made box by box, and what becomes of them when they are read."""

import struct
from collections.abc import Callable

import imagecodecs
import pytest

from storage.images import jpeg2000
from storage.images.jpeg2000_boxes import SIGNATURE
from storage.images.records import Header, Pixels, Refusal, Samples
from storage.images.source import Source

SRGB, GREY, SYCC, CMYK, LAB = 16, 17, 18, 12, 14


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def codestream(samples: Pixels, bits: int | None = None, *, mct: bool = False) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, codecformat="j2k", bitspersample=bits, mct=mct))


def jp2(stream: bytes, *boxes: bytes, after: bytes = b"") -> bytes:
    """A JP2 file with the codestream and, after the image header, what is given."""
    width, height = struct.unpack_from(">II", stream, 8)
    count, depth = struct.unpack_from(">HB", stream, 40)
    header = box(b"ihdr", struct.pack(">IIHBBBB", height, width, count, depth, 7, 0, 0))
    kind = box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return SIGNATURE + kind + box(b"jp2h", header + b"".join(boxes)) + after + box(b"jp2c", stream)


def space(number: int) -> bytes:
    return box(b"colr", b"\1\0\0" + struct.pack(">I", number))


def profile(content: bytes, method: int = 2) -> bytes:
    return box(b"colr", bytes((method, 0, 0)) + content)


def meanings(*entries: tuple[int, int, int]) -> bytes:
    return box(b"cdef", struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHH", *entry) for entry in entries))


def patched(stream: bytes, offset: int, layout: str, *values: int) -> bytes:
    changed = bytearray(stream)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)


def read(content: bytes) -> tuple[Header, Samples]:
    header = jpeg2000.read_header(Source(content))
    samples = jpeg2000.decode(content)
    assert samples.colour.shape[:2] == (header.height, header.width)
    return header, samples


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except Refusal as refusal:
        return refusal.error_type
    return "read"


def refused(content: bytes) -> str:
    """The kind of refusal, the same from the header as from decoding if the header refuses at all."""
    with pytest.raises(Refusal) as decoding:
        jpeg2000.decode(content)
    assert outcome(lambda: jpeg2000.read_header(Source(content))) in (decoding.value.error_type, "read")
    assert "\n" not in decoding.value.detail
    return decoding.value.error_type
