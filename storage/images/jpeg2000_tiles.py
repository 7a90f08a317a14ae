"""The tiles of a JPEG 2000 codestream, each made a codestream of its own (ISO/IEC 15444-1, Annexes A and B).

OpenJPEG keeps some 20 bytes a pixel of what it decodes; by single tiles a large picture costs hardly more than itself.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import imagecodecs
import numpy as np

from storage.images.rows import Pixels
from storage.images.source import Source

_SOC, _EOC = b"\xff\x4f", b"\xff\xd9"
_SIZ, _TLM, _PLM, _PPM = 0xFF51, 0xFF55, 0xFF57, 0xFF60
_OF_ALL_TILES = frozenset({_TLM, _PLM})
"""Lists of where things lie, which are not needed and would be wrong."""


@dataclass(frozen=True)
class Grid:
    """Where picture and tiles lie on the reference grid (B.3); right and bottom are not included."""

    left: int
    top: int
    right: int
    bottom: int
    tile_left: int
    tile_top: int
    tile_width: int
    tile_height: int

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -((self.tile_left - self.right) // self.tile_width)

    @property
    def down(self) -> int:
        """Rows of tiles."""
        return -((self.tile_top - self.bottom) // self.tile_height)

    def box(self, tile: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a tile as far as it lies in the picture."""
        left = self.tile_left + tile % self.across * self.tile_width
        top = self.tile_top + tile // self.across * self.tile_height
        return (
            max(left, self.left),
            max(top, self.top),
            min(left + self.tile_width, self.right),
            min(top + self.tile_height, self.bottom),
        )


def can_be_divided(main_header: bytes) -> bool:
    """Whether the tiles of a codestream with this main header (from SOC to the first SOT) can stand alone."""
    return all(marker != _PPM for marker, _ in _segments(main_header))


def rows_of_tiles(
    source: Source, main_header: bytes, grid: Grid, parts: Sequence[Sequence[tuple[int, int]]]
) -> Iterator[Pixels]:
    """The picture from the top, one row of tiles at a time, (rows, W) or (rows, W, components).

    Args:
        source: of the codestream.
        parts: of each tile the beginnings and ends of its tile-parts in the source.

    Raises:
        RuntimeError, ValueError: the coded data are damaged.
    """

    def decoded(tile: int) -> Pixels:
        data = [source.read(start, end - start) for start, end in parts[tile]]
        found: Pixels = imagecodecs.jpeg2k_decode(_alone(main_header, grid, tile, data))
        left, top, right, bottom = grid.box(tile)
        if found.shape[:2] != (bottom - top, right - left):
            raise ValueError("a tile has another size than its place")
        return found

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for row in range(grid.down):
            first = row * grid.across
            yield np.concatenate([*pool.map(decoded, range(first, first + grid.across))], axis=1)


def _alone(main_header: bytes, grid: Grid, tile: int, parts: Sequence[bytes]) -> bytes:
    """One tile as a codestream; it stays where it is on the grid, on which wavelets and code-blocks depend."""
    pieces = [_SOC]
    for marker, body in _segments(main_header):
        if marker in _OF_ALL_TILES:
            continue
        if marker == _SIZ:
            left, top, right, bottom = grid.box(tile)
            corner = (
                grid.tile_left + tile % grid.across * grid.tile_width,
                grid.tile_top + tile // grid.across * grid.tile_height,
            )
            sizes = (right, bottom, left, top, grid.tile_width, grid.tile_height, *corner)
            body = body[:2] + struct.pack(">8I", *sizes) + body[34:]
        pieces.append(struct.pack(">HH", marker, len(body) + 2) + body)
    for part in parts:
        pieces.append(part[:4] + struct.pack(">HI", 0, len(part)) + part[10:])
    return b"".join([*pieces, _EOC])


def _segments(main_header: bytes) -> Iterator[tuple[int, bytes]]:
    position = len(_SOC)
    while position < len(main_header):
        marker, length = struct.unpack_from(">HH", main_header, position)
        yield marker, main_header[position + 4 : position + 2 + length]
        position += 2 + length
