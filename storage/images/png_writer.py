"""Derivatives as PNG: 8 or 16 bit RGB, profile, resolution, Exif and XMP in their own chunks.

Rows are filtered by "Sub" and packed at zlib's fastest, which with this filter packs nearly as well as its default.
Bands of rows are packed by a few threads; each begins anew (Z_FULL_FLUSH), so that what they give is one stream.
"""

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from storage.images.png import SIGNATURE, XMP_KEYWORD, chunk
from storage.images.rows import Pixels, Rows, bands

DEFLATE_LEVEL = 1
_SUB_FILTER = 1
_HEADER = b"\x78\x01"
_AHEAD = 4
"""Bands that wait to be packed, at the most."""


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
            file.write(chunk(b"IDAT", packed))
        file.write(chunk(b"IEND", b""))


def packed_rows(stored: Rows) -> Iterator[bytes]:
    """Rows (H, W, channels) as PNG stores them: one zlib stream (RFC 1950) of filtered rows, in pieces."""
    check = zlib.adler32(b"")
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        waiting: deque[tuple[bytearray, Future[bytes]]] = deque()

        def next_packed() -> bytes:
            nonlocal check
            filtered, future = waiting.popleft()
            check = zlib.adler32(filtered, check)
            return future.result()

        yield _HEADER
        for _, band in bands(stored):
            filtered = _filtered(band)
            waiting.append((filtered, pool.submit(_packed, filtered)))
            if len(waiting) == _AHEAD:
                yield next_packed()
        while waiting:
            yield next_packed()
    yield zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -15).flush() + struct.pack(">I", check)


def _packed(filtered: bytearray) -> bytes:
    compressor = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -15)
    return compressor.compress(filtered) + compressor.flush(zlib.Z_FULL_FLUSH)


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
