"""The filters of streams (ISO 32000-1, 7.4) that make bytes of bytes, each with a limit on what comes out."""

import base64
import binascii
import struct
import zlib

import imagecodecs
import numpy as np
import pikepdf

from storage.documents.stored_images import StoredImage
from storage.images.png import SIGNATURE, chunk
from storage.images.records import Refusal

_AROUND_CODEC = 1 << 20
_AROUND_CODEC_A_PIXEL = 8
"""How many bytes a packed picture may have once a filter around it is undone."""
_TOO_SHORT = "is cut off or damaged: a part of a picture is missing; copy it again from its source"
_TOO_LONG = "has a picture that unpacks to more than its size; it is damaged or made to do harm"
_PART_BYTES = 4096
_HEX_SPACE = b" \t\r\n\f\0"
_PNG_KINDS = {1: (0, 8), 2: (0, 16), 3: (2, 8), 4: (6, 8), 6: (2, 16), 8: (6, 16)}
"""PNG's colour type and depth with so many bytes a pixel; what the bytes mean does not matter to its predictors."""


def codec_data(image: StoredImage) -> bytes:
    """An image's bytes as its last filter, the codec, has them; those before it are undone."""
    data = image.stream.read_raw_bytes()
    limit = _AROUND_CODEC + _AROUND_CODEC_A_PIXEL * image.width * image.height
    for name, parameters in list(zip(image.filters, image.parameters, strict=True))[:-1]:
        data = unpack(data, name, parameters, limit)
    return data


def unpack(data: bytes, name: str, parameters: pikepdf.Dictionary | None, limit: int) -> bytes:
    """What a filter makes of ``data``, without its predictor undone; raises ``Refusal`` beyond ``limit`` bytes.

    A stream that ends early gives what it has.
    """
    if name == "/FlateDecode":
        return _inflate(data, limit)
    if name == "/LZWDecode":
        return _lzw(data, parameters, limit)
    if name == "/RunLengthDecode":
        return _run_length(data, limit)
    try:
        if name == "/ASCIIHexDecode":
            digits = data.partition(b">")[0].translate(None, _HEX_SPACE)
            return binascii.unhexlify(digits + b"0" * (len(digits) % 2))
        if name == "/ASCII85Decode":
            text = data.partition(b"~>")[0].strip().removeprefix(b"<~")
            return base64.a85decode(text, ignorechars=_HEX_SPACE)
    except ValueError as error:
        raise Refusal(_TOO_SHORT, "unreadable") from error
    raise Refusal(f"has a picture packed in a way that is not read here ({name[1:40]})", "unsupported")


def predicted_bytes(parameters: pikepdf.Dictionary | None, row_bytes: int, rows: int) -> int:
    """How many bytes a filter with these parameters must give for so many rows."""
    return rows * (row_bytes + 1) if predictor(parameters) >= 10 else rows * row_bytes


def undo_predictor(data: bytes, parameters: pikepdf.Dictionary | None, row_bytes: int, rows: int) -> bytes:
    """The samples' bytes of predicted rows (7.4.4.4).

    Raises ``Refusal`` "truncated" where rows are missing.
    """
    kind = predictor(parameters)
    if len(data) < predicted_bytes(parameters, row_bytes, rows):
        raise Refusal(_TOO_SHORT, "truncated")
    if kind == 1:
        return data
    assert parameters is not None
    colours, bits = _number(parameters, "/Colors", 1), _number(parameters, "/BitsPerComponent", 8)
    columns = _number(parameters, "/Columns", 1)
    if (columns * colours * bits + 7) // 8 != row_bytes:
        raise Refusal("is damaged: a picture's rows do not have the length they should", "unreadable")
    pixel_bytes = max(1, colours * bits // 8)
    if kind >= 10:
        return _undo_png(data[: rows * (row_bytes + 1)], row_bytes, rows, pixel_bytes)
    if bits not in (8, 16):
        raise Refusal("has a picture packed in a way that is not read here (TIFF predictor, few bits)", "unsupported")
    shape = (rows, columns, colours)
    stored = np.frombuffer(data, f">u{bits // 8}", rows * columns * colours).reshape(shape)
    values = imagecodecs.delta_decode(np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("="))), axis=1)
    return np.asarray(values).astype(stored.dtype).tobytes()


def predictor(parameters: pikepdf.Dictionary | None) -> int:
    """The predictor's number; 1 is none."""
    return 1 if parameters is None else _number(parameters, "/Predictor", 1)


def _undo_png(data: bytes, row_bytes: int, rows: int, pixel_bytes: int) -> bytes:
    """PNG's own decoder undoes its predictors, where pixels have as many bytes as PNG's can have."""
    kind = _PNG_KINDS.get(pixel_bytes)
    if kind is None or row_bytes % pixel_bytes:
        raise Refusal("has a picture packed in a way that is not read here (predictor)", "unsupported")
    tags = np.frombuffer(data, np.uint8)[:: row_bytes + 1]
    if tags.max(initial=0) > 4:
        raise Refusal("is damaged: a picture's rows are not what they should be", "unreadable")
    width = row_bytes // pixel_bytes
    header = struct.pack(">IIBBBBB", width, rows, kind[1], kind[0], 0, 0, 0)
    packed = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 0)) + chunk(b"IEND", b"")
    samples = np.asarray(imagecodecs.png_decode(SIGNATURE + packed))
    return samples.astype(samples.dtype.newbyteorder(">")).tobytes()


def _inflate(data: bytes, limit: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        found = decompressor.decompress(data, limit + 1)
    except zlib.error:
        found = _inflate_damaged(data, limit)
    if len(found) > limit:
        raise Refusal(_TOO_LONG, "too_large")
    return found


def _inflate_damaged(data: bytes, limit: int) -> bytes:
    """What comes before the fault: a wrong check sum at the very end does no harm."""
    decompressor, found = zlib.decompressobj(), bytearray()
    for start in range(0, len(data), _PART_BYTES):
        part, before = data[start : start + _PART_BYTES], decompressor.copy()
        try:
            found += decompressor.decompress(part, limit + 1 - len(found))
        except zlib.error:
            found += _last_bytes(before, part, limit + 1 - len(found))
            break
        if len(found) > limit or decompressor.eof:
            break
    return bytes(found)


def _last_bytes(decompressor: "zlib._Decompress", part: bytes, limit: int) -> bytes:
    """What the part of a stream with the fault in it gives byte by byte up to there."""
    found = bytearray()
    try:
        for place in range(len(part)):
            if len(found) >= limit:
                break
            found += decompressor.decompress(part[place : place + 1], limit - len(found))
    except zlib.error:
        pass
    return bytes(found)


def _lzw(data: bytes, parameters: pikepdf.Dictionary | None, limit: int) -> bytes:
    if parameters is not None and _number(parameters, "/EarlyChange", 1) != 1:
        raise Refusal("has a picture packed in a way that is not read here (LZW without early change)", "unsupported")
    return bytes(imagecodecs.lzw_decode(data, out=limit))


def _run_length(data: bytes, limit: int) -> bytes:
    """7.4.5; unlike TIFF's PackBits, 128 ends the data."""
    found, position = bytearray(), 0
    while position < len(data) and len(found) <= limit:
        length = data[position]
        if length == 128:
            break
        if length < 128:
            found += data[position + 1 : position + 2 + length]
            position += 2 + length
        else:
            found += data[position + 1 : position + 2] * (257 - length)
            position += 2
    return bytes(found[:limit])


def _number(parameters: pikepdf.Dictionary, key: str, default: int) -> int:
    value = parameters.get(key, default)
    if not isinstance(value, int) or not 0 <= value <= 1 << 24:
        raise Refusal("is damaged: a picture in it has impossible parameters", "unreadable")
    return int(value)
