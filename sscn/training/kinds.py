"""The kinds of training pairs: how a reference comes from the photograph of its target, or does not.

Every kind is a function that draws target and reference as linear light (3, S, S) and tells where each place of the
target lies in the reference. Source of the kinds "thin_plate" and "unrelated": Bai et al. 2022, supplement.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sscn.training.warps import (
    Matrix,
    crop,
    inside,
    inverse,
    pixel_grid,
    sample,
    sample_photograph,
    similarity,
    smooth_flow,
    thin_plate,
    transform,
    undo,
)

_HALVES = 0.5
"""Share of the crops elsewhere that do not overlap: the same scene, and no place of the one is in the other."""
_STILLS = 0.25
"""Share of the moments whose camera stands still."""
_NEWCOMERS = 0.3
"""Share of the passers-by that are not in the reference yet: what no match can know."""
_FAR = 4.0
"""Further than the width of a picture."""
Pixels = NDArray[np.uint8]
Random = np.random.Generator


class Scene(NamedTuple):
    """Target and reference before colours are changed."""

    target: Tensor
    """(3, S, S) linear light."""
    reference: Tensor
    """(3, S, S) linear light."""
    place: Tensor
    """(2, S, S) where each target pixel lies in the reference, -1..1."""
    visible: Tensor
    """(1, S, S) bool."""


@dataclass(frozen=True)
class Material:
    """What a pair may be made of."""

    photograph: Pixels
    other: Pixels
    """Any other photograph."""
    neighbour: Pixels
    """A photograph of something alike."""
    size: int


def thin_plate_scene(material: Material, random: Random) -> Scene:
    """The same picture, bent by a thin-plate spline, turned, mirrored, scaled."""
    points = int(random.integers(4, 7))
    reach = random.uniform(0.02, 0.12) * 4 / points
    bent = thin_plate(random.normal(0, reach, (points, points, 2)), material.size)
    flip = (random.random() < 0.4, random.random() < 0.05)
    move = similarity(_log_uniform(random, 0.75, 1.33), random.uniform(-20, 20), _shift(random, 0.15), flip)
    return _moved_scene(material, random, move, bent)


def elsewhere_scene(material: Material, random: Random) -> Scene:
    """Two crops of the same picture; in half of the cases they may overlap, in the others one is of each half."""
    if random.random() < _HALVES:
        target_crop, reference_crop = _crops_of_halves(material.photograph, random)
    else:
        target_crop = _random_crop(material.photograph, random, 0.4, 0.9)
        reference_crop = _random_crop(material.photograph, random, 0.4, 1.0)
    grid = pixel_grid(material.size)
    place = transform(inverse(reference_crop) @ target_crop, grid)
    return Scene(
        sample_photograph(material.photograph, transform(target_crop, grid)),
        sample_photograph(material.photograph, transform(reference_crop, grid)),
        place,
        inside(place),
    )


def motion_scene(material: Material, random: Random) -> Scene:
    """Two moments of a film: the camera pans, things stir, and often something passes in front."""
    stir = random.normal(0, 1, (2, 5, 5)) * random.uniform(0, 0.02)
    move = similarity(1 + random.normal(0, 0.03), random.normal(0, 2), _shift(random, 0.08))
    if random.random() < _STILLS:
        stir, move = np.zeros_like(stir), similarity()
    scene = _moved_scene(material, random, move, smooth_flow(stir, material.size))
    return _with_passer_by(scene, material, random) if random.random() < 0.6 else scene


def neighbour_scene(material: Material, random: Random) -> Scene:
    """A photograph of something alike."""
    return _two_photographs(material.photograph, material.neighbour, material.size, random)


def unrelated_scene(material: Material, random: Random) -> Scene:
    """Any other photograph, or the same deformed beyond recognition."""
    if random.random() < 0.5:
        return _two_photographs(material.photograph, material.other, material.size, random)
    grid = pixel_grid(material.size)
    torn = _tiles(grid, random) + thin_plate(random.normal(0, random.uniform(0.3, 0.6), (5, 5, 2)), material.size)
    target = transform(_random_crop(material.photograph, random), grid)
    reference = transform(_random_crop(material.photograph, random), torn)
    return _without_places(
        sample_photograph(material.photograph, target), sample_photograph(material.photograph, reference)
    )


SCENES: Mapping[str, Callable[[Material, Random], Scene]] = {
    "thin_plate": thin_plate_scene,
    "elsewhere": elsewhere_scene,
    "motion": motion_scene,
    "neighbour": neighbour_scene,
    "unrelated": unrelated_scene,
}


def _random_crop(photograph: Pixels, random: Random, smallest: float = 0.5, largest: float = 1.0) -> Matrix:
    """Square of some part of the short side, anywhere, in half of the cases mirrored."""
    height, width = photograph.shape[:2]
    side = min(height, width) * random.uniform(smallest, largest)
    place = crop(height, width, side, (random.random(), random.random()))
    return np.asarray(place @ similarity(flip=(random.random() < 0.5, False)), dtype=np.float64)


def _crops_of_halves(photograph: Pixels, random: Random) -> tuple[Matrix, Matrix]:
    """A square of each half of the long side, in random order; one of them perhaps mirrored."""
    height, width = photograph.shape[:2]
    long = max(height, width)
    side = min(height, width, long / 2) * random.uniform(0.6, 1.0)
    room = long / 2 - side
    crops = []
    for begin in random.permutation([0.0, long / 2]):
        along, across = (begin + random.uniform(0, room)) / (long - side), random.random()
        crops.append(crop(height, width, side, (along, across) if width >= height else (across, along)))
    mirror = similarity(flip=(random.random() < 0.5, False))
    return crops[0], np.asarray(crops[1] @ mirror, dtype=np.float64)


def _moved_scene(material: Material, random: Random, move: Matrix, displacement: Tensor) -> Scene:
    """Reference pixel x shows what the target shows at move(x + displacement(x))."""
    grid = pixel_grid(material.size)
    frame = _random_crop(material.photograph, random)
    place, found = undo(displacement, transform(inverse(move), grid))
    return Scene(
        sample_photograph(material.photograph, transform(frame, grid)),
        sample_photograph(material.photograph, transform(frame @ move, grid + displacement)),
        place,
        found,
    )


def _with_passer_by(scene: Scene, material: Material, random: Random) -> Scene:
    """A cut-out of another photograph before both pictures, moved otherwise than the ground."""
    grid = pixel_grid(material.size)
    outline = _outline(random)
    extent = random.uniform(0.15, 0.45)
    at_target = similarity(extent, random.uniform(-30, 30), _shift(random, 0.7))
    own_motion = similarity(1 + random.normal(0, 0.04), random.normal(0, 5), _shift(random, 0.3))
    if random.random() < _NEWCOMERS:
        own_motion = similarity(shift=(_FAR, 0.0)) @ own_motion
    at_reference = own_motion @ at_target
    texture = _random_crop(material.other, random, 0.3, 0.8)
    on_target, on_reference = (transform(inverse(at), grid) for at in (at_target, at_reference))
    cover_target, cover_reference = (_cover(points, outline) for points in (on_target, on_reference))
    target, reference = (
        ground + cover * (sample_photograph(material.other, transform(texture, points.clamp(-1.5, 1.5))) - ground)
        for ground, points, cover in (
            (scene.target, on_target, cover_target),
            (scene.reference, on_reference, cover_reference),
        )
    )
    of_object = transform(at_reference, on_target)
    is_object = cover_target > 0.5
    place = torch.where(is_object, of_object, scene.place)
    hidden = sample(cover_reference, scene.place) > 0.02
    on_ground = scene.visible & (cover_target < 0.02) & ~hidden
    on_object = (cover_target > 0.98) & (sample(cover_reference, of_object) > 0.98) & inside(of_object)
    return Scene(target, reference, place, on_ground | on_object)


def _outline(random: Random) -> Tensor:
    """Radius of an ellipse or a lumpy blob at 64 angles, about 1."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = 1 / np.hypot(np.cos(angles), np.sin(angles) * random.uniform(1.0, 1.8))
    if random.random() < 0.6:
        for wave in range(2, 7):
            radius = radius + random.normal(0, 0.25 / wave) * np.cos(wave * angles + random.uniform(0, 2 * np.pi))
    return torch.from_numpy(radius.clip(0.25, 1.4).astype(np.float32))


def _cover(points: Tensor, outline: Tensor) -> Tensor:
    """Opacity (1, S, S) of the object whose own coordinates are ``points``: soft over a pixel or two."""
    turn = torch.atan2(points[1], points[0]) / (2 * torch.pi) % 1 * len(outline)
    low = turn.floor()
    share = turn - low
    index = low.long() % len(outline)
    edge = outline[index] * (1 - share) + outline[(index + 1) % len(outline)] * share
    softness = 2.5 * float(torch.hypot(*(points[:, 0, 1] - points[:, 0, 0])))
    return ((edge - torch.hypot(points[0], points[1])) / softness + 0.5).clamp(0, 1)[None]


def _two_photographs(ours: Pixels, theirs: Pixels, size: int, random: Random) -> Scene:
    grid = pixel_grid(size)
    target, reference = (
        sample_photograph(pixels, transform(_random_crop(pixels, random), grid)) for pixels in (ours, theirs)
    )
    return _without_places(target, reference)


def _without_places(target: Tensor, reference: Tensor) -> Scene:
    size = target.shape[-1]
    return Scene(target, reference, torch.zeros(2, size, size), torch.zeros(1, size, size, dtype=torch.bool))


def _tiles(grid: Tensor, random: Random) -> Tensor:
    """Points of a picture whose 3 x 3 .. 6 x 6 tiles have changed places."""
    count = int(random.integers(3, 7))
    order = torch.from_numpy(random.permutation(count * count))
    cell = ((grid + 1) / 2 * count).floor().clamp(0, count - 1)
    moved = order[(cell[1] * count + cell[0]).long()]
    return grid + (torch.stack([moved % count, moved // count]) - cell) * (2 / count)


def _shift(random: Random, reach: float) -> tuple[float, float]:
    return random.uniform(-reach, reach), random.uniform(-reach, reach)


def _log_uniform(random: Random, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))
