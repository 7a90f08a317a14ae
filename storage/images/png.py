"""PNG (ISO/IEC 15948): chunks read with bounds, pixels through Pillow (to 8 bits) and libpng (16 bits)."""

import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO

import imagecodecs
import numpy as np
from PIL import PngImagePlugin

from storage.images.exif import sane_ppi
from storage.images.metadata import collect_metadata
from storage.images.records import Header, MasterMetadata, Pixels, Refusal, Samples
from storage.images.source import Source, inflate

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_STORED_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MAX_CHUNKS = 1_000_000
_MAX_METADATA_BYTES = 1 << 24
_BEST_DEFLATE_RATIO = 1040
"""Deflate cannot shrink anything further than 1032 to 1."""
_CUT_OFF = "is cut off: the end of the picture is missing; copy it again from its source"


@dataclass
class _Chunks:
    width: int
    height: int
    depth: int
    colour_type: int
    metadata: dict[bytes, bytes] = field(default_factory=dict)
    data: list[tuple[bytes, int, int]] = field(default_factory=list)  # type, offset, length: for decoding
    pixel_bytes: int = 0
    animated: bool = False


def read_header(source: Source) -> Header:
    """Size, depth and metadata of a PNG; raises ``Refusal`` if its chunks are damaged or cut off."""
    return _header(_read_chunks(source))


def decode(data: bytes) -> Samples:
    """The picture's samples; grey and RGB of 16 bits stay so, fewer than 8 bits and palettes become 8."""
    source = Source(data)
    chunks = _read_chunks(source)
    # Only what decoding needs, so that no profile or text chunk can be a bomb for the decoder.
    parts = [SIGNATURE]
    for name, offset, length in chunks.data:
        if name != b"tRNS" or chunks.colour_type == 3:
            whole = source.read(offset - 8, length + 12)
            if zlib.crc32(memoryview(whole)[4:-4]) != struct.unpack(">I", whole[-4:])[0]:
                raise Refusal("is damaged: a check sum is wrong; copy it again from its source", "unreadable")
            parts.append(whole)
    parts.append(chunk(b"IEND", b""))
    reduced = b"".join(parts)
    if chunks.depth == 16:
        return _without(_split(np.asarray(imagecodecs.png_decode(reduced))), chunks, source)
    try:
        image = PngImagePlugin.PngImageFile(BytesIO(reduced))
        image.load()
    except (OSError, SyntaxError) as error:
        if "truncated" in str(error):
            raise Refusal(_CUT_OFF, "truncated") from error
        raise
    if image.mode == "P":
        return _split(np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB")))
    return _without(_split(np.asarray(image.convert("L") if image.mode == "1" else image)), chunks, source)


def _without(samples: Samples, chunks: _Chunks, source: Source) -> Samples:
    """The samples with the one colour transparent that a tRNS chunk names for grey or RGB (11.3.2.1)."""
    found = [(offset, length) for name, offset, length in chunks.data if name == b"tRNS"]
    if chunks.colour_type not in (0, 2) or not found:
        return samples
    offset, length = found[0]
    if length != 2 * _CHANNELS[chunks.colour_type]:
        raise Refusal("is damaged: its transparent colour has no proper length", "unreadable")
    named = np.frombuffer(source.read(offset, length), ">u2") & ((1 << chunks.depth) - 1)
    colour = named * (255 // ((1 << chunks.depth) - 1)) if chunks.depth < 8 else named
    same = samples.colour == colour.astype(samples.colour.dtype)
    hidden = same if samples.colour.ndim == 2 else same.all(axis=2)
    top = np.iinfo(samples.colour.dtype).max
    alpha = np.where(hidden, 0, top).astype(samples.colour.dtype)
    return Samples(samples.colour, samples.space, alpha)


def chunk(name: bytes, content: bytes) -> bytes:
    """One PNG chunk with its length and check sum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _split(samples: Pixels) -> Samples:
    if samples.ndim == 2:
        return Samples(samples, "grey")
    if samples.shape[2] == 2:
        return Samples(samples[..., 0], "grey", samples[..., 1])
    if samples.shape[2] == 4:
        return Samples(samples[..., :3], "rgb", samples[..., 3])
    return Samples(samples, "rgb")


def _read_chunks(source: Source) -> _Chunks:
    start = source.read(8, 25)
    length, name, width, height, depth, colour_type, compression, filtering, _ = struct.unpack(
        ">I4sIIBBBBB", start[:21]
    )
    if length != 13 or name != b"IHDR" or zlib.crc32(start[4:21]) != struct.unpack(">I", start[21:])[0]:
        raise Refusal("has a damaged PNG header", "unreadable")
    if not (width and height) or depth not in _DEPTHS.get(colour_type, ()) or compression or filtering:
        raise Refusal("has a damaged PNG header", "unreadable")
    chunks = _Chunks(width, height, depth, colour_type)
    chunks.data.append((b"IHDR", 16, 13))
    position = 33
    for _ in range(_MAX_CHUNKS):
        length, name = struct.unpack(">I4s", source.read(position, 8))
        if position + 12 + length > source.size:
            raise Refusal(_CUT_OFF, "truncated")
        if name == b"IEND":
            return chunks
        _note_chunk(chunks, source, name, position + 8, length)
        position += 12 + length
    raise Refusal("is damaged: it has too many PNG chunks", "unreadable")


def _note_chunk(chunks: _Chunks, source: Source, name: bytes, offset: int, length: int) -> None:
    if name == b"IDAT":
        chunks.pixel_bytes += length
    if name in (b"PLTE", b"tRNS", b"IDAT"):
        chunks.data.append((name, offset, length))
    elif name == b"acTL":
        chunks.animated = True
    elif name in (b"iCCP", b"pHYs", b"eXIf", b"iTXt") and length <= _MAX_METADATA_BYTES:
        content = source.read(offset, length)
        if name != b"iTXt":
            chunks.metadata.setdefault(name, content)
        elif content.startswith(XMP_KEYWORD + b"\0"):
            chunks.metadata.setdefault(b"iTXt", content)


def _header(chunks: _Chunks) -> Header:
    bits = chunks.width * chunks.depth * _STORED_CHANNELS[chunks.colour_type]
    least = (bits + 7) // 8 * chunks.height // _BEST_DEFLATE_RATIO
    return Header(
        "png",
        chunks.width,
        chunks.height,
        _CHANNELS[chunks.colour_type],
        16 if chunks.depth == 16 else 8,
        1,
        _metadata(chunks),
        least_bytes=least,
        pixel_bytes=chunks.pixel_bytes,
    )


def _metadata(chunks: _Chunks) -> MasterMetadata:
    notes: tuple[str, ...] = ()
    if chunks.animated:
        notes += ("it is animated; only its still picture was read",)
    icc = None
    if b"iCCP" in chunks.metadata:
        compressed = chunks.metadata[b"iCCP"].partition(b"\0")[2][1:]
        icc = inflate(compressed, _MAX_METADATA_BYTES)
        if icc is None:
            notes += ("its colour profile is damaged and was left out of account",)
    return collect_metadata(
        exif_block=chunks.metadata.get(b"eXIf"),
        xmp=_xmp(chunks.metadata.get(b"iTXt")),
        icc=icc,
        ppi=_ppi(chunks.metadata.get(b"pHYs")),
        notes=notes,
    )


def _ppi(content: bytes | None) -> tuple[float, float] | None:
    if content is None or len(content) != 9:
        return None
    across, down, unit = struct.unpack(">IIB", content)
    return sane_ppi(across * 0.0254, down * 0.0254) if unit == 1 else None


def _xmp(content: bytes | None) -> bytes | None:
    """The packet of an iTXt chunk: keyword, flags, language and translated keyword come before it."""
    if content is None:
        return None
    flags = content[len(XMP_KEYWORD) + 1 :]
    text = flags[2:].partition(b"\0")[2].partition(b"\0")[2]
    return inflate(text, _MAX_METADATA_BYTES) if flags[:1] == b"\1" else text
