"""The samples of big-endian TIFF pages turned round, piece by piece and without loss."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np
import numpy.typing as npt

from storage.images.records import Refusal
from storage.images.source import Source

Numbers = npt.NDArray[np.uint64]

RAW, LZW, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 8, 32946, 32773
_BEST_RATIO = {LZW: 4096, PACKBITS: 65}
_PIECE = 3 << 18  # a multiple of every sample's bytes, 3 among them
_MAX_BLOCK_BYTES = 1 << 30
_LEVEL = 6


@dataclass(frozen=True)
class Turning:
    """How the samples of a big-endian page become little-endian, ``unit`` bytes each.

    Uncompressed samples stay so; LZW, PackBits and deflate (``compression``) are unpacked, to as many bytes as
    ``lengths`` says for each block, turned round, and packed with deflate. The differences that predictor 2 leaves are
    turned round like samples, without being summed up.
    """

    unit: int
    compression: int
    lengths: Numbers

    @property
    def new_compression(self) -> int:
        """The compression that the page has afterwards."""
        return RAW if self.compression == RAW else DEFLATE


def pieces(source: Source, offset: int, size: int, unit: int = 1) -> Iterator[bytes]:
    """Bytes of a file in pieces of less than a megabyte, every ``unit`` bytes turned round."""
    for start in range(0, size, _PIECE):
        yield _turned(source.read(offset + start, min(_PIECE, size - start)), unit)


def _turned(raw: bytes, unit: int) -> bytes:
    if unit == 1:
        return raw
    whole = len(raw) - len(raw) % unit
    return np.frombuffer(raw, np.uint8, whole).reshape(-1, unit)[:, ::-1].tobytes() + raw[whole:]


def packed_anew(source: Source, offset: int, count: int, turning: Turning, length: int) -> Iterator[bytes]:
    """A block with its samples turned round, packed with deflate, in pieces."""
    compressor = zlib.compressobj(_LEVEL)
    if turning.compression in (DEFLATE, OLD_DEFLATE):
        unpacked = _inflated(source, offset, count, length)
    else:
        unpacked = _unpacked(source, offset, count, length, turning.compression)
    for piece in unpacked:
        yield compressor.compress(_turned(piece, turning.unit))
    yield compressor.flush()


def _inflated(source: Source, offset: int, count: int, length: int) -> Iterator[bytes]:
    """Exactly ``length`` bytes in pieces: some writers fill the last strip up to full height."""
    decompressor = zlib.decompressobj()
    held = bytearray()
    left = length
    try:
        for packed in pieces(source, offset, count):
            while packed and left:
                found = decompressor.decompress(packed, min(left, _PIECE))
                packed = decompressor.unconsumed_tail
                left -= len(found)
                held += found
                while len(held) >= _PIECE:
                    yield bytes(held[:_PIECE])
                    del held[:_PIECE]
        if left:
            rest = decompressor.flush()[:left]
            left -= len(rest)
            held += rest
    except zlib.error as error:
        raise Refusal("is damaged: a part of the picture cannot be unpacked", "unreadable") from error
    if left:
        raise _too_short()
    yield bytes(held)


def _unpacked(source: Source, offset: int, count: int, length: int, compression: int) -> Iterator[bytes]:
    if length > count * _BEST_RATIO[compression]:
        raise _too_short()
    if length > _MAX_BLOCK_BYTES:
        raise Refusal("is too large to be copied; save it in strips of some megabytes", "too_large")
    decode = imagecodecs.lzw_decode if compression == LZW else imagecodecs.packbits_decode
    try:
        found = decode(source.read(offset, count), out=length)
    except RuntimeError as error:
        raise Refusal("is damaged: a part of the picture cannot be unpacked", "unreadable") from error
    if len(found) < length:
        raise _too_short()
    for start in range(0, length, _PIECE):
        yield bytes(found[start : start + _PIECE])


def _too_short() -> Refusal:
    return Refusal("is cut off or damaged: a part of the picture is too short", "truncated")
