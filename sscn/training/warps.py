"""Coordinate maps of training pairs: crops, turns, thin-plate splines, local flow, and their inverses.

Points are float32 tensors (2, S, S), x before y, in the convention of ``F.grid_sample`` with ``align_corners=False``:
-1 and 1 are the outer edges of a picture. Affine maps are 3 x 3 matrices, float64, on such points.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sscn.colour import to_linear

Matrix = NDArray[np.float64]
_LATTICE = 65
"""Smooth maps are computed on so many nodes a side, then interpolated."""
_STEPS = 16
"""Fixed-point steps of the inverse."""


@cache
def pixel_grid(size: int) -> Tensor:
    """Centres of the pixels of a picture ``size`` x ``size``: (2, size, size). Not to be written to."""
    line = (torch.arange(size, dtype=torch.float32) * 2 + 1) / size - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y])


def similarity(
    scale: float = 1.0,
    degrees: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    flip: tuple[bool, bool] = (False, False),
) -> Matrix:
    """Flip (x, y), scale, turn, then shift: affine map of a square picture."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = scale * turn @ np.diag([-1.0 if flip[0] else 1.0, -1.0 if flip[1] else 1.0])
    matrix[:2, 2] = shift
    return matrix


def inverse(matrix: Matrix) -> Matrix:
    """Inverse of an affine map."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def crop(height: int, width: int, side: float, centre: tuple[float, float]) -> Matrix:
    """Square of ``side`` pixels of a picture; ``centre`` 0..1 says where between the outermost places it lies."""
    matrix = np.diag([side / width, side / height, 1.0])
    matrix[0, 2] = (2 * centre[0] - 1) * (1 - side / width)
    matrix[1, 2] = (2 * centre[1] - 1) * (1 - side / height)
    return matrix


def transform(matrix: Matrix, points: Tensor) -> Tensor:
    """Points (2, S, S) through an affine map."""
    own = torch.from_numpy(matrix[:2].astype(np.float32))
    x, y = points[0], points[1]
    return torch.stack([own[0, 0] * x + own[0, 1] * y + own[0, 2], own[1, 0] * x + own[1, 1] * y + own[1, 2]])


def thin_plate(shifts: NDArray[Any], size: int) -> Tensor:
    """Thin-plate spline through given displacements.

    Args:
        shifts: (n, n, 2) displacement (x, y) of the points of a regular n x n grid over the picture.
        size: of the map.

    Returns:
        (2, size, size) displacement of every pixel.

    Source: Bookstein, Principal warps, IEEE PAMI 11 (1989).
    """
    lattice = _thin_plate_basis(shifts.shape[0]) @ shifts.reshape(-1, 2)
    nodes = torch.from_numpy(lattice.T.reshape(1, 2, _LATTICE, _LATTICE).astype(np.float32))
    return _from_lattice(nodes, size)


def smooth_flow(nodes: NDArray[Any], size: int) -> Tensor:
    """Displacement (2, size, size) interpolated bicubically from that of few nodes (2, k, k)."""
    coarse = torch.from_numpy(nodes.astype(np.float32))[None]
    return _from_lattice(F.interpolate(coarse, (_LATTICE, _LATTICE), mode="bicubic", align_corners=True), size)


@cache
def _thin_plate_basis(points: int) -> Matrix:
    """Matrix (lattice nodes, n * n) that takes displacements of control points to those of the lattice.

    A thin-plate spline is linear in the displacements, so its system is solved once for each grid.
    """
    line = np.linspace(-1, 1, points)
    controls = np.stack([axis.ravel() for axis in np.meshgrid(line, line)], axis=1)
    fine = np.linspace(-1, 1, _LATTICE)
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(fine, fine)], axis=1)
    affine = np.concatenate([np.ones((len(controls), 1)), controls], axis=1)
    system = np.block([[_kernel(controls, controls), affine], [affine.T, np.zeros((3, 3))]])
    values = np.concatenate([np.eye(len(controls)), np.zeros((3, len(controls)))])
    weights = np.linalg.solve(system, values)
    at_nodes = np.concatenate([_kernel(nodes, controls), np.ones((len(nodes), 1)), nodes], axis=1)
    return np.asarray(at_nodes @ weights, dtype=np.float64)


def _kernel(points: Matrix, controls: Matrix) -> Matrix:
    """r^2 log r^2 between all points and controls."""
    squared = ((points[:, None] - controls[None]) ** 2).sum(axis=2)
    return np.asarray(squared * np.log(np.maximum(squared, 1e-12)), dtype=np.float64)


def _from_lattice(nodes: Tensor, size: int) -> Tensor:
    # the outermost nodes are taken to lie on the outermost pixel centres: half a pixel from the edge, the map is smooth
    return F.interpolate(nodes, (size, size), mode="bilinear", align_corners=True)[0]


def undo(displacement: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Where x + displacement(x) meets ``points``.

    Fixed-point iteration; where the displacement is too steep for it, or the answer lies outside the picture, the
    second result says no.

    Args:
        displacement: (2, S, S).
        points: (2, S, S) smooth in its place.

    Returns:
        x (2, S, S), and whether it was found (1, S, S), bool.
    """
    size = points.shape[-1]
    half = max(2, size // 2)
    coarse = F.interpolate(points[None], (half, half), mode="bilinear", align_corners=True)
    x = coarse - _read(displacement, coarse[0])
    for _ in range(_STEPS):
        x = coarse - _read(displacement, x[0])
    places = F.interpolate(x, (size, size), mode="bilinear", align_corners=True)[0]
    wrong = torch.hypot(*(places + _read(displacement, places)[0] - points))[None]
    return places, (wrong < 1 / size) & inside(places)


def inside(points: Tensor) -> Tensor:
    """Whether points (2, S, S) lie between the pixel centres of a picture S x S: (1, S, S), bool."""
    return (points.abs() <= 1 - 1 / points.shape[-1]).all(dim=0, keepdim=True)


def _read(field: Tensor, points: Tensor) -> Tensor:
    return F.grid_sample(field[None], points.permute(1, 2, 0)[None], padding_mode="border", align_corners=False)


def sample(field: Tensor, points: Tensor) -> Tensor:
    """Read maps (C, H, W) bilinearly at points (2, S, S); mirrored where they run out: (C, S, S)."""
    grid = points.permute(1, 2, 0)[None]
    return F.grid_sample(field[None], grid, padding_mode="reflection", align_corners=False)[0]


def sample_photograph(photograph: NDArray[np.uint8], points: Tensor) -> Tensor:
    """Linear light (3, S, S), 0..1, of a photograph (H, W, 3) at points (2, S, S); mirrored where it runs out.

    Only the part that the points touch is read, and shrunk first where they lie further apart than its pixels, so that
    nothing aliases.
    """
    height, width = photograph.shape[:2]
    extent = torch.tensor([width, height]).view(2, 1, 1)
    mirrored = 1 - ((points + 1).remainder(4) - 2).abs()
    at = (mirrored + 1) / 2 * extent
    step = _step(points * extent / 2)
    margin = 2 + int(step)
    left, top = ((axis.min() - margin).floor().clamp_min(0).int().item() for axis in at)
    right, bottom = (min(int(axis.max()) + 1 + margin, most) for axis, most in zip(at, (width, height), strict=True))
    part = photograph[top:bottom, left:right]
    if step > 1.2:
        shrunk = (max(1, round((right - left) / step)), max(1, round((bottom - top) / step)))
        part = np.asarray(Image.fromarray(part).resize(shrunk, Image.Resampling.BILINEAR))
    corner = torch.tensor([left, top]).view(2, 1, 1)
    sides = torch.tensor([right - left, bottom - top]).view(2, 1, 1)
    return _read(to_linear(part).contiguous(), (at - corner) * 2 / sides - 1)[0]


def _step(pixels: Tensor) -> float:
    """Usual distance of neighbouring points (2, S, S)."""
    across, down = pixels[:, ::4].diff(dim=2), pixels[:, :, ::4].diff(dim=1)
    return float(torch.cat([torch.hypot(*across).flatten(), torch.hypot(*down).flatten()]).median())
