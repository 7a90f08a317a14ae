"""The pixels of a TIFF page: strips and tiles decompressed into exactly the bytes they should give."""

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import imagecodecs
import numpy as np

from storage.decoding.progress import working
from storage.images import jpeg, tiff
from storage.images.records import Pixels, Refusal, Samples
from storage.images.source import Source

_PARALLEL_FROM_BYTES = 1 << 24
_BAND_BYTES = 1 << 25
"""Decoded bytes of a band, about."""


@dataclass(frozen=True)
class _Block:
    """One strip or tile: where it lies in the file and in the picture."""

    number: int
    plane: int
    top: int
    left: int
    rows: int


def bands(source: Source, storage: tiff.Storage) -> Iterator[Samples]:
    """The samples of a page as stored, from the top, in bands of whole strips or rows of tiles.

    Raises ``Refusal`` if any strip or tile is not whole.
    """
    storage = _in_handy_strips(storage)
    depth = np.uint16 if storage.bits == 16 else np.uint8
    row_bytes = storage.width * storage.samples * np.dtype(depth).itemsize
    block_rows = max(1, _BAND_BYTES // (row_bytes * storage.block_height))
    height = block_rows * storage.block_height
    is_parallel = storage.compression != tiff.RAW and row_bytes * storage.height >= _PARALLEL_FROM_BYTES
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) if is_parallel else nullcontext() as pool:
        for top in range(0, storage.height, height):
            picture = np.empty((min(height, storage.height - top), storage.width, storage.samples), depth)
            working(picture.shape[0] * picture.shape[1])
            placed = partial(_place, source, storage, picture, top)
            blocks = _blocks(storage, top, picture.shape[0])
            for _ in pool.map(placed, blocks) if pool is not None else map(placed, blocks):
                pass
            yield _colours(picture, storage)


def _in_handy_strips(storage: tiff.Storage) -> tiff.Storage:
    """Uncompressed strips cut into shorter ones, so that a picture in one strip can be read in bands too."""
    row_bits = storage.width * storage.bits * (storage.samples if storage.planes == 1 else 1)
    row_bytes = (row_bits + 7) // 8
    rows = max(1, _BAND_BYTES // 4 // row_bytes)
    if storage.compression != tiff.RAW or storage.tiled or storage.block_height <= rows:
        return storage
    strips = -(-storage.height // storage.block_height)
    if strips > 1:
        rows = _divisor(storage.block_height, rows)
    offsets: list[int] = []
    counts: list[int] = []
    for number, (offset, count) in enumerate(zip(storage.offsets, storage.counts, strict=True)):
        if number >= strips * storage.planes:
            break
        whole = min(storage.block_height, storage.height - number % strips * storage.block_height)
        for top in range(0, whole, rows):
            offsets.append(offset + top * row_bytes)
            counts.append(max(0, min(min(rows, whole - top) * row_bytes, count - top * row_bytes)))
    return replace(storage, block_height=rows, offsets=tuple(offsets), counts=tuple(counts))


def _divisor(height: int, most: int) -> int:
    """The greatest number of rows up to ``most`` that cuts a strip evenly."""
    return next(rows for rows in range(min(most, height), 0, -1) if height % rows == 0)


def _blocks(storage: tiff.Storage, top: int, height: int) -> Iterator[_Block]:
    """The strips or tiles of a band of rows."""
    across = -(-storage.width // storage.block_width)
    down = -(-storage.height // storage.block_height)
    for plane in range(storage.planes):
        for place in range(top // storage.block_height, -(-(top + height) // storage.block_height)):
            first = place * storage.block_height
            rows = storage.block_height if storage.tiled else min(storage.block_height, storage.height - first)
            for column in range(across):
                number = (plane * down + place) * across + column
                yield _Block(number, plane, first, column * storage.block_width, rows)


def _place(source: Source, storage: tiff.Storage, picture: Pixels, top: int, block: _Block) -> None:
    """Decode one strip or tile into its place in the band that begins at row ``top``."""
    samples = _samples(_segment(source, storage, block), storage, block)
    rows = min(samples.shape[0], storage.height - block.top)
    columns = min(samples.shape[1], storage.width - block.left)
    channels = slice(None) if storage.planes == 1 else slice(block.plane, block.plane + 1)
    below = block.top - top
    picture[below : below + rows, block.left : block.left + columns, channels] = samples[:rows, :columns]


def _segment(source: Source, storage: tiff.Storage, block: _Block) -> bytes:
    segment = source.read(storage.offsets[block.number], storage.counts[block.number])
    if storage.fill_order == 2 and storage.bits < 8 and storage.compression in tiff.FAX | {tiff.RAW}:
        return bytes(imagecodecs.bitorder_decode(segment))
    return segment


def _samples(segment: bytes, storage: tiff.Storage, block: _Block) -> Pixels:
    """One block as (rows, columns, samples): native byte order, predictor undone, bits spread to bytes."""
    samples = storage.samples if storage.planes == 1 else 1
    shape = (block.rows, storage.block_width, samples)
    if storage.compression == tiff.JPEG:
        return _jpeg(segment, storage, shape)
    if storage.compression in tiff.FAX:
        return _fax(segment, storage, shape)
    row_bytes = (shape[1] * samples * storage.bits + 7) // 8
    raw = _decompress(segment, storage.compression, block.rows * row_bytes)
    if storage.bits < 8:
        packed = np.frombuffer(raw, np.uint8).reshape(block.rows, row_bytes)
        return _spread_bits(packed, storage.bits)[:, : shape[1], np.newaxis]
    stored = np.frombuffer(raw, f"{storage.layout.order}u{storage.bits // 8}").reshape(shape)
    values: Pixels = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if storage.predictor == 2:
        values = imagecodecs.delta_decode(np.ascontiguousarray(values), axis=1)
    return values


def _decompress(segment: bytes, compression: int, length: int) -> bytes | bytearray:
    """Exactly ``length`` bytes, never more in memory; raises ``Refusal`` if the segment gives fewer."""
    if compression == tiff.RAW:
        raw: bytes | bytearray = segment[:length]
    elif compression == tiff.LZW:
        raw = imagecodecs.lzw_decode(segment, out=length)
    elif compression == tiff.PACKBITS:
        raw = imagecodecs.packbits_decode(segment, out=length)
    else:
        raw = _inflate(segment, length)
    if len(raw) < length:
        raise Refusal("is cut off or damaged: a part of the picture is too short", "truncated")
    return raw


def _inflate(segment: bytes, length: int) -> bytes | bytearray:
    try:
        raw: bytes | bytearray = imagecodecs.deflate_decode(segment, out=length)
    except RuntimeError:
        # Some writers fill the last strip up to full height. zlib, slower, stops where it is told to.
        raw = zlib.decompressobj().decompress(segment, length)
    return raw


def _jpeg(segment: bytes, storage: tiff.Storage, shape: tuple[int, int, int]) -> Pixels:
    # The stream has a size of its own; it is believed only where it agrees with the page's.
    if not jpeg.ends_properly(segment):
        raise Refusal("is cut off or damaged: a part of the picture is too short", "truncated")
    width, height = jpeg.frame_size(segment)
    if width != shape[1] or not shape[0] <= height <= storage.block_height:
        raise Refusal("is damaged: its parts do not have the size they should", "unreadable")
    if storage.photometric == tiff.YCBCR:
        stored, wanted = "YCBCR", "RGB"
    elif shape[2] == 1:
        stored = wanted = "GRAYSCALE"
    else:
        stored = wanted = {3: "RGB", 4: "CMYK"}[shape[2]]
    found = imagecodecs.jpeg8_decode(segment, tables=storage.jpeg_tables, colorspace=stored, outcolorspace=wanted)
    samples: Pixels = found.reshape(height, width, -1)
    if samples.shape[2] != shape[2]:
        raise Refusal("is damaged: its parts do not have the channels they should", "unreadable")
    return samples[: shape[0]]


def _fax(segment: bytes, storage: tiff.Storage, shape: tuple[int, int, int]) -> Pixels:
    height, width = shape[:2]
    if storage.compression == tiff.CCITT_T6:
        found = imagecodecs.ccittfax4_decode(segment, height, width)
    elif storage.compression == tiff.CCITT_T4:
        found = imagecodecs.ccittfax3_decode(segment, height, width, t4options=storage.t4_options)
    else:
        found = imagecodecs.ccittrle_decode(segment, height, width)
    samples: Pixels = np.asarray(found).reshape(height, width, 1)
    return samples


def _spread_bits(packed: Pixels, bits: int) -> Pixels:
    """(rows, bytes) of packed samples as (rows, samples), one sample a byte, high bits first."""
    if bits == 1:
        return np.unpackbits(packed, axis=1)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    spread = (packed[:, :, np.newaxis] >> shifts) & ((1 << bits) - 1)
    return spread.reshape(packed.shape[0], -1)


def _colours(picture: Pixels, storage: tiff.Storage) -> Samples:
    """Samples by what they mean: grey with black at 0, palette looked up, alpha apart."""
    top = (1 << storage.bits) - 1
    if storage.photometric == tiff.PALETTE:
        table = np.array(storage.palette, np.uint32).reshape(3, -1).T
        if table.max() > 255:  # some writers give the palette 8 bits instead of the 16 of the standard
            table >>= 8
        return Samples(table.astype(np.uint8)[picture[..., 0]], "rgb")
    alpha, premultiplied = None, False
    for place, meaning in enumerate(storage.extra_samples[: storage.samples - storage.colours]):
        if meaning in (1, 2):
            alpha, premultiplied = picture[..., storage.colours + place], meaning == 1
            break
    if storage.colours > 1:
        space = "cmyk" if storage.photometric == tiff.SEPARATED else "rgb"
        colour = np.ascontiguousarray(picture[..., : storage.colours])
        return Samples(colour, "cmyk" if space == "cmyk" else "rgb", alpha, premultiplied)
    grey = np.ascontiguousarray(picture[..., 0])
    if storage.bits < 8:
        grey = (grey * (255 // top)).astype(np.uint8)
        top = 255
    if storage.photometric == tiff.WHITE_IS_ZERO:
        np.subtract(top, grey, out=grey, casting="unsafe")
    return Samples(grey, "grey", alpha, premultiplied)
