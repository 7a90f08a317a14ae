"""WebP (RFC 9649): container read with bounds, pixels through libwebp."""

import struct
from io import BytesIO

import numpy as np
from PIL import WebPImagePlugin

from storage.images.metadata import collect_metadata
from storage.images.records import Header, Refusal, Samples
from storage.images.source import Source

_MAX_CHUNKS = 1000
_MAX_METADATA_BYTES = 1 << 24
_CUT_OFF = "is cut off: the end of the picture is missing; copy it again from its source"


def read_header(source: Source) -> Header:
    """Size and metadata of a WebP picture; raises ``Refusal`` if it is cut off, damaged or animated."""
    end = 8 + struct.unpack("<I", source.read(4, 4))[0]
    if end > source.size:
        raise Refusal(_CUT_OFF, "truncated")
    size: tuple[int, int] | None = None
    metadata: dict[bytes, bytes] = {}
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > end:
            break
        name, length = struct.unpack("<4sI", source.read(position, 8))
        if position + 8 + length > end:
            raise Refusal(_CUT_OFF, "truncated")
        if name in (b"VP8X", b"VP8 ", b"VP8L"):
            size = size or _size(name, source.read(position + 8, min(length, 10)))
        elif name in (b"ICCP", b"EXIF", b"XMP ") and length <= _MAX_METADATA_BYTES:
            metadata.setdefault(name, source.read(position + 8, length))
        position += 8 + length + length % 2
    if size is None:
        raise Refusal("has a damaged WebP header", "unreadable")
    found = collect_metadata(exif_block=metadata.get(b"EXIF"), xmp=metadata.get(b"XMP "), icc=metadata.get(b"ICCP"))
    return Header("webp", *size, channels=3, bit_depth=8, metadata=found)


def decode(data: bytes) -> Samples:
    """The picture's samples, RGB with alpha if it has any."""
    image = WebPImagePlugin.WebPImageFile(BytesIO(data))
    image.load()
    samples = np.asarray(image if image.mode in ("RGB", "RGBA") else image.convert("RGBA"))
    if samples.shape[2] == 4:
        return Samples(samples[..., :3], "rgb", samples[..., 3])
    return Samples(samples, "rgb")


def _size(name: bytes, body: bytes) -> tuple[int, int]:
    if len(body) < 5:
        raise Refusal(_CUT_OFF, "truncated")
    if name == b"VP8L":
        bits = struct.unpack_from("<I", body, 1)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if len(body) < 10:
        raise Refusal(_CUT_OFF, "truncated")
    if name == b"VP8X":
        if body[0] & 0x02:
            raise Refusal("is an animated WebP, which is not read here; save its pictures as PNG", "unsupported")
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF
