"""Scans that were cut into strips or tiles: images that lie edge to edge at one resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from storage.documents.drawings import Drawing
from storage.documents.placing import Matrix, area, bounds, orientation
from storage.documents.stored_images import StoredImage

_MAX_TILES = 2000
_OFF_BY = 0.2
"""Pixels by which a tile may miss its place: documents give places with few decimals."""


@dataclass(frozen=True)
class Tile:
    """An image as a part of a picture: its first row and column there, and the orientation that it has in it."""

    image: StoredImage
    top: int
    left: int
    height: int
    width: int
    orientation: int


def find_tiles(
    parts: Sequence[tuple[Drawing, StoredImage]], matrix: Matrix, width: int, height: int
) -> tuple[Tile, ...]:
    """The images as tiles of a picture of so many pixels; empty where they do not fill it, each pixel once.

    ``matrix`` takes the unit square to the upright rectangle of default user space that the picture fills.
    """
    if len(parts) > _MAX_TILES or not _are_alike([image for _, image in parts]):
        return ()
    across, up = width / matrix[0], height / matrix[3]
    tiles: list[Tile] = []
    for drawing, image in parts:
        box, seen = bounds(drawing.matrix), drawing.box
        edges = ((box[0] - matrix[4]) * across, height - (box[3] - matrix[5]) * up)
        size = ((box[2] - box[0]) * across, (box[3] - box[1]) * up)
        way = orientation(drawing.matrix, 0)
        expected = (image.height, image.width) if way >= 5 else (image.width, image.height)
        left, top = round(edges[0]), round(edges[1])
        off = [abs(edges[0] - left), abs(edges[1] - top), abs(size[0] - expected[0]), abs(size[1] - expected[1])]
        slanted = area(box) * _straightness(drawing.matrix) > 1e-3 * area(box)
        if max(off) > _OFF_BY or area(seen) < 0.999 * area(box) or slanted or drawing.steps[-1].blended:
            return ()
        tiles.append(Tile(image, top, left, expected[1], expected[0], way))
    return tuple(tiles) if _fill(tiles, width, height) else ()


def _are_alike(images: list[StoredImage]) -> bool:
    """Whether all have samples of one kind and none has anything transparent."""
    first = images[0]
    for image in images:
        if image.space is None or first.space is None or image.is_stencil or "/ColorSpace" not in image.stream:
            return False
        if image.space.kind != first.space.kind or (image.bits == 16) != (first.bits == 16):
            return False
        if image.has_masked_colours or "/SMask" in image.stream or "/Mask" in image.stream:
            return False
    profile = first.profile
    return all(image.profile == profile for image in images[1:])


def _straightness(matrix: Matrix) -> float:
    """How much a matrix slants, as a share; 0 where edges are parallel to those of the page."""
    a, b, c, d = (abs(part) for part in matrix[:4])
    return min(max(b, c) / max(a, d, 1e-9), max(a, d) / max(b, c, 1e-9))


def _fill(tiles: list[Tile], width: int, height: int) -> bool:
    if sum(tile.width * tile.height for tile in tiles) != width * height:
        return False
    tops, lefts = np.array([tile.top for tile in tiles]), np.array([tile.left for tile in tiles])
    bottoms, rights = tops + [tile.height for tile in tiles], lefts + [tile.width for tile in tiles]
    if tops.min() < 0 or lefts.min() < 0 or bottoms.max() > height or rights.max() > width:
        return False
    for number in range(len(tiles)):
        beside = (lefts >= rights[number]) | (rights <= lefts[number])
        apart = beside | (tops >= bottoms[number]) | (bottoms <= tops[number])
        if np.count_nonzero(~apart) > 1:
            return False
    return True
