"""Derivatives as PNG: 8 or 16 bit RGB, profile, resolution, Exif and XMP in their own chunks.

Rows are filtered by "Sub" and packed by libdeflate at level 1, which is three times as fast as zlib at its
fastest and packs as well as zlib does at its default with the same filter. As libdeflate wants all of it at once,
a picture that is too large for memory is left to zlib.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np

from storage.images.png import SIGNATURE, XMP_KEYWORD, chunk
from storage.images.rows import IN_MEMORY_BYTES, Pixels, Rows, bands, whole

DEFLATE_LEVEL = 1
_SUB_FILTER = 1
_PART_BYTES = 1 << 24


def write_png(
    path: Path, stored: Rows, *, icc: bytes, xmp: bytes, exif_block: bytes, ppi: tuple[float, float] | None
) -> None:
    """Write stored rows (H, W, 3), ``uint8`` or ``uint16``, and the metadata: same input, same bytes."""
    height, width = stored.shape[:2]
    with path.open("wb") as file:
        file.write(SIGNATURE)
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * stored.dtype.itemsize, 2, 0, 0, 0)))
        file.write(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9)))
        if ppi is not None:
            file.write(chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in ppi), 1)))
        file.write(chunk(b"eXIf", exif_block))
        file.write(chunk(b"iTXt", XMP_KEYWORD + bytes(5) + xmp))
        for packed in packed_rows(stored):
            for start in range(0, len(packed), _PART_BYTES):
                file.write(chunk(b"IDAT", bytes(packed[start : start + _PART_BYTES])))
        file.write(chunk(b"IEND", b""))


def packed_rows(stored: Rows) -> Iterator[memoryview]:
    """Rows (H, W, channels) as PNG stores them: one zlib stream of filtered rows, in pieces."""
    if int(np.prod(stored.shape, dtype=np.int64)) * stored.dtype.itemsize <= IN_MEMORY_BYTES:
        yield memoryview(imagecodecs.deflate_encode(_filtered(whole(stored)), level=DEFLATE_LEVEL, raw=False))
        return
    compressor = zlib.compressobj(DEFLATE_LEVEL)
    for _, band in bands(stored):
        yield memoryview(compressor.compress(_filtered(band)))
    yield memoryview(compressor.flush())


def _filtered(stored: Pixels) -> bytearray:
    """Rows as PNG wants them: the filter's number, then each byte less the one of the pixel to its left."""
    height = stored.shape[0]
    big_endian = stored if stored.itemsize == 1 else stored.astype(">u2")
    rows = np.ascontiguousarray(big_endian).view(np.uint8).reshape(height, -1)
    pixel = stored.shape[2] * stored.itemsize
    buffer = bytearray(height * (1 + rows.shape[1]))
    filtered = np.frombuffer(buffer, np.uint8).reshape(height, -1)
    filtered[:, 0] = _SUB_FILTER
    filtered[:, 1 : 1 + pixel] = rows[:, :pixel]
    np.subtract(rows[:, pixel:], rows[:, :-pixel], out=filtered[:, 1 + pixel :])
    return buffer
