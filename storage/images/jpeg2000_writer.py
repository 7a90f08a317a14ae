"""Derivatives as JP2 (ISO/IEC 15444-1): lossless, tile after tile, profile, resolution and metadata in boxes.

Large pictures are cut into tiles whose places and sizes are multiples of what code-blocks and wavelet levels
need to start afresh; so a tile is coded the same wherever it lies, and each is coded as a picture of its own.
"""

import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np

from storage.images.jpeg2000_boxes import EXIF_UUID, IPTC_UUID, SIGNATURE, XMP_UUID
from storage.images.records import Pixels
from storage.images.rows import Rows

_ONE_TILE_PIXELS = 1 << 22
"""A picture of no more pixels is one tile."""
_TILE = 1024
_LEVELS = 4
"""Of the wavelet; 1024 / 2**4 is the side of a code-block, so that code-blocks and tiles begin together."""
_LEAST_SIDE = 8
"""The encoder halves no side further than to so many samples."""
_MAX_TILES = 65_535
_MAX_LONG = (1 << 32) - 1
_START, _TILE_PART, _DATA, _END = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_TILE_PART_BYTES = 12


def write_jpeg2000(
    path: Path,
    stored: Rows,
    *,
    icc: bytes,
    xmp: bytes,
    iptc: bytes | None,
    exif_block: bytes | None,
    ppi: tuple[float, float] | None,
) -> None:
    """Write stored rows (H, W, 3), ``uint8`` or ``uint16``, and the metadata; the same input, the same bytes.

    The wavelet is the reversible 5/3 and the colour transform the reversible one: samples come back bit for bit.
    ``icc`` must be a matrix profile of RGB, the only kind that JP2 allows (I.5.3.3). Of the rows as many are asked
    for at a time as a row of tiles has.
    """
    if len(stored.shape) != 3 or stored.shape[2] != 3 or stored.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels {stored.shape} {stored.dtype} are not RGB of 8 or 16 bits")
    height, width = stored.shape[:2]
    bits = 8 * stored.dtype.itemsize
    with path.open("wb") as file:
        file.write(SIGNATURE)
        file.write(_box(b"ftyp", b"jp2 " + bytes(4) + b"jp2 "))
        file.write(_box(b"jp2h", _image_header(height, width, bits) + _colour(icc) + _resolution(ppi)))
        for identifier, content in ((XMP_UUID, xmp), (EXIF_UUID, exif_block), (IPTC_UUID, iptc)):
            if content:
                file.write(_box(b"uuid", identifier + content))
        # The length is known at the end only; room for a long one is left where it could be needed.
        long = height * width * 3 * stored.dtype.itemsize > _MAX_LONG // 2
        start = file.tell()
        file.write(struct.pack(">I4sQ", 1, b"jp2c", 0) if long else struct.pack(">I4s", 0, b"jp2c"))
        _write_codestream(file, stored)
        length = file.tell() - start
        file.seek(start + 8 if long else start)
        file.write(struct.pack(">Q" if long else ">I", length))


def _write_codestream(file: BinaryIO, stored: Rows) -> None:
    height, width = stored.shape[:2]
    if height * width <= _ONE_TILE_PIXELS:
        levels, tile_height, tile_width = _levels(height, width), height, width
    else:
        levels = min(_LEVELS, _levels(height, width))
        tile_height, tile_width = _tile_side(height, levels), _tile_side(width, levels)
    if -(-height // tile_height) * -(-width // tile_width) > _MAX_TILES:
        raise ValueError(f"a picture of {width} x {height} pixels has more tiles than JPEG 2000 allows")
    common: bytes | None = None
    for number, codestream in enumerate(_coded_tiles(stored, tile_height, tile_width, levels)):
        header, data = _parts(codestream)
        if common is None:
            common = header
            file.write(_START + _size(height, width, tile_height, tile_width, 8 * stored.dtype.itemsize) + header)
        if header != common:
            raise RuntimeError("the JPEG 2000 encoder codes tiles of one picture in different ways")
        file.write(_TILE_PART + struct.pack(">HHIBB", 10, number, _TILE_PART_BYTES + len(data), 0, 1))
        file.write(data)
    file.write(_END)


def _levels(height: int, width: int) -> int:
    """Wavelet levels, 5 at the most, that the encoder can give a tile of this size."""
    return max(0, min(5, (min(height, width) // _LEAST_SIDE).bit_length() - 1))


def _tile_side(side: int, levels: int) -> int:
    """The least multiple of 1024 that leaves no tile at the edge too narrow for the wavelet's levels."""
    tile = _TILE
    while 0 < side % tile < _LEAST_SIDE << levels and tile < side:
        tile += _TILE
    return min(tile, side)


def _coded_tiles(stored: Rows, tile_height: int, tile_width: int, levels: int) -> Iterator[bytes]:
    """The tiles in order, each a codestream of its own; a row of tiles is in memory at a time."""

    def encode(part: Pixels) -> bytes:
        return bytes(
            imagecodecs.jpeg2k_encode(
                np.ascontiguousarray(part),
                level=0,
                codecformat="j2k",
                colorspace="SRGB",
                reversible=True,
                mct=True,
                resolutions=levels + 1,
                numthreads=1,
            )
        )

    height, width = stored.shape[:2]
    threads = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for top in range(0, height, tile_height):
            band = stored[top : min(top + tile_height, height)]
            lefts = list(range(0, width, tile_width))
            for first in range(0, len(lefts), 2 * threads):
                some = lefts[first : first + 2 * threads]
                yield from pool.map(encode, (band[:, left : left + tile_width] for left in some))


def _parts(codestream: bytes) -> tuple[bytes, bytes]:
    """How a picture of one tile is coded (COD, QCD) and its tile-part's data from SOD on, out of its codestream."""
    position, common = len(_START), b""
    while codestream[position : position + 2] != _TILE_PART:
        end = position + 2 + int.from_bytes(codestream[position + 2 : position + 4], "big")
        if codestream[position : position + 2] in (b"\xff\x52", b"\xff\x5c"):
            common += codestream[position:end]
        position = end
    length = int.from_bytes(codestream[position + 6 : position + 10], "big")
    data = codestream[position + _TILE_PART_BYTES : position + length]
    if not data.startswith(_DATA) or codestream[position + length :] != _END:
        raise RuntimeError("the JPEG 2000 encoder made more than one tile-part")
    return common, data


def _size(height: int, width: int, tile_height: int, tile_width: int, bits: int) -> bytes:
    """The SIZ segment (A.5.1) of three components without subsampling."""
    sizes = struct.pack(">8IH", width, height, 0, 0, tile_width, tile_height, 0, 0, 3)
    return b"\xff\x51" + struct.pack(">HH", 38 + 9, 0) + sizes + bytes((bits - 1, 1, 1)) * 3


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _image_header(height: int, width: int, bits: int) -> bytes:
    return _box(b"ihdr", struct.pack(">IIHBBBB", height, width, 3, bits - 1, 7, 0, 0))


def _colour(icc: bytes) -> bytes:
    return _box(b"colr", b"\2\0\0" + icc)


def _resolution(ppi: tuple[float, float] | None) -> bytes:
    """The capture resolution (I.5.3.7.1), pixels a metre, down before across."""
    if ppi is None:
        return b""
    (above_y, below_y, power_y), (above_x, below_x, power_x) = (_scaled_fraction(value) for value in reversed(ppi))
    content = struct.pack(">HHHHbb", above_y, below_y, above_x, below_x, power_y, power_x)
    return _box(b"res ", _box(b"resc", content))


def _scaled_fraction(ppi: float) -> tuple[int, int, int]:
    """Pixels an inch as numerator, denominator and power of ten of pixels a metre, as near as 16 bits allow."""
    wanted = Fraction(ppi) * 5000 / 127
    best, error = (1, 1, 0), abs(wanted - 1)
    for power in range(12):
        value = wanted / 10**power
        # The larger of the two parts has to be limited, and that is all that can be limited.
        turned = value > 1
        found = (1 / value if turned else value).limit_denominator(65_535)
        if not found:
            continue
        found = 1 / found if turned else found
        away = abs(found * 10**power - wanted)
        if away < error:
            best, error = (found.numerator, found.denominator, power), away
    return best
