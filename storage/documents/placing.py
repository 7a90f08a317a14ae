"""Where an image lies on its page: transformation matrices (ISO 32000-1, 8.3) and what follows from them."""

import math

from storage.images.exif import sane_ppi

Matrix = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): x' = a x + c y + e, y' = b x + d y + f."""
Box = tuple[float, float, float, float]
"""Left, bottom, right, top in the units of user space."""

IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
UNIT: Box = (0.0, 0.0, 1.0, 1.0)
"""The square that every image fills before its matrix is applied."""

_FARTHEST = 1e7
_ORIENTATIONS = {
    ("right", "down"): 1,
    ("left", "down"): 2,
    ("left", "up"): 3,
    ("right", "up"): 4,
    ("down", "right"): 5,
    ("down", "left"): 6,
    ("up", "left"): 7,
    ("up", "right"): 8,
}
"""Where stored columns and stored rows run on the page as shown, and the Exif orientation that this is."""


def multiply(first: Matrix, then: Matrix) -> Matrix:
    """The matrix that applies ``first`` and ``then`` after it."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def inverse(matrix: Matrix) -> Matrix | None:
    """The matrix that takes it back; None if it flattens everything."""
    a, b, c, d, e, f = matrix
    determinant = a * d - b * c
    if not math.isfinite(determinant) or abs(determinant) < 1e-12:
        return None
    return (
        d / determinant,
        -b / determinant,
        -c / determinant,
        a / determinant,
        (c * f - d * e) / determinant,
        (b * e - a * f) / determinant,
    )


def bounds(matrix: Matrix, box: Box = UNIT) -> Box:
    """The upright box around a box that is transformed."""
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
    across = [a * x + c * y + e for x, y in corners]
    up = [b * x + d * y + f for x, y in corners]
    return (min(across), min(up), max(across), max(up))


def common(one: Box, other: Box) -> Box:
    """What two boxes have in common; without area if they do not meet."""
    left, bottom = max(one[0], other[0]), max(one[1], other[1])
    return (left, bottom, max(left, min(one[2], other[2])), max(bottom, min(one[3], other[3])))


def around(boxes: list[Box]) -> Box:
    """The box around all of them."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def area(box: Box) -> float:
    """In squares of the unit of user space."""
    return (box[2] - box[0]) * (box[3] - box[1])


def is_sane(matrix: Matrix) -> bool:
    """Whether a page could have meant it: finite, not flat, not out of all proportion."""
    return all(math.isfinite(part) and abs(part) < _FARTHEST for part in matrix) and inverse(matrix) is not None


def orientation(matrix: Matrix, rotate: int) -> int:
    """The Exif orientation of an image drawn with ``matrix`` on a page turned clockwise by ``rotate`` degrees.

    Small angles, as of a scan that was straightened by its matrix, do not count.
    """
    a, b, c, d = matrix[:4]
    across, down = (a, b), (-c, -d)  # an image's first row is at the top of the unit square
    for _ in range(rotate // 90 % 4):
        across, down = (across[1], -across[0]), (down[1], -down[0])
    ways = (_way(*across), _way(*down))
    if ways not in _ORIENTATIONS:  # heavily slanted; the longer axis decides
        ways = (ways[0], {"right": "down", "left": "up", "down": "left", "up": "right"}[ways[0]])
    return _ORIENTATIONS[ways]


def resolution(matrix: Matrix, width: int, height: int, unit: float) -> tuple[float, float] | None:
    """Pixels per inch along and across the rows; ``unit`` is the page's UserUnit, in 1/72 inch."""
    along, across = math.hypot(*matrix[:2]) * unit / 72, math.hypot(*matrix[2:4]) * unit / 72
    if not along or not across:
        return None
    return sane_ppi(width / along, height / across)


def _way(x: float, y: float) -> str:
    if abs(x) >= abs(y):
        return "right" if x >= 0 else "left"
    return "up" if y >= 0 else "down"
