"""What the places of a picture look like, in few bytes: by this the candidates of a search are compared once more.

The picture, squashed to a square as for the embedding, is cut into a grid. Each place is described by what both
networks see there, reduced by maps that were fitted once (`retrieval/weights`) to a short vector of whole numbers.
Beside that lies the distribution of the luminance.

Products of whole numbers of this size add up exactly in float32, in whatever order: two pictures agree equally on every
machine, among however many others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.features import GRID, PLACES, Features
from retrieval.luminance import Prepared
from retrieval.whitening import PARTS_SHA256, Whitening

Parts = NDArray[np.int8]
"""(N, PARTS_BYTES), one row a picture."""

SEMANTIC_CODE, VGG_CODE = 64, 16
"""Whole numbers that describe a place, those from the semantic network first, then those from the VGG."""
CODE = SEMANTIC_CODE + VGG_CODE
VGG_WEIGHT = 0.3
"""The VGG's share of a place next to the semantic network's, as a factor on its unit vector."""
_SCALE = 300
"""Of the unit vectors whose components these numbers are; what is larger than 127 is cut off."""
QUANTILES = 20
"""Of L*, 0..100, at the middles of as many equal parts of the picture."""
PARTS_BYTES = PLACES * CODE + QUANTILES
RECIPE = f"parts{GRID}x{GRID}x{CODE}w{VGG_WEIGHT:g}-{PARTS_SHA256[:8]}"
"""Short name of how parts are made from features."""


@dataclass(frozen=True, slots=True)
class PartsCoder:
    """Features -> parts. With a VGG of the user's own the shipped map does not fit it: its numbers stay zero."""

    maps: tuple[Whitening, Whitening]
    """Of the VGG's features of places, and of the semantic network's."""
    own_vgg: bool

    def code(self, features: Features, prepared: Sequence[Prepared]) -> Parts:
        """The parts (N, PARTS_BYTES) of N pictures."""
        rows = []
        for look, meaning, square in zip(features.place_looks, features.place_meanings, prepared, strict=True):
            weight = 0.0 if self.own_vgg else VGG_WEIGHT
            both = [_unit(self.maps[1].project(meaning)), weight * _unit(self.maps[0].project(look))]
            codes = np.rint(_SCALE * _unit(np.concatenate(both, axis=1))).clip(-127, 127)
            levels = np.percentile(square, (np.arange(QUANTILES) + 0.5) * (100 / QUANTILES))
            rows.append(np.concatenate([codes.ravel(), np.rint(levels)]).astype(np.int8))
        return np.stack(rows)


def agreement(target: Parts, references: Parts) -> NDArray[np.float64]:
    """How well the places of each reference match the target's, 0..1.

    Every place of the target looks for its like in the reference and the other way round: the mean square of the best
    cosines, so that few good matches count for more than many middling ones.

    Args:
        target: (PARTS_BYTES,)
        references: (N, PARTS_BYTES)

    Returns:
        (N,)
    """
    own = target[: PLACES * CODE].reshape(PLACES, CODE).astype(np.float32)
    others = references[:, : PLACES * CODE].reshape(-1, CODE).astype(np.float32)
    products = (others @ own.T).reshape(len(references), PLACES, PLACES)
    best = np.concatenate([products.max(axis=1), products.max(axis=2)], axis=1).clip(0, _SCALE**2) / _SCALE**2
    return np.asarray(np.square(best, dtype=np.float64).mean(axis=1))


def tone_distance(target: Parts, references: Parts) -> NDArray[np.float64]:
    """Earth mover's distance (N,) between the distributions of L*, in units of L*: their quantiles' mean difference."""
    own = target[PLACES * CODE :].astype(np.float64)
    return np.asarray(np.abs(references[:, PLACES * CODE :] - own).mean(axis=1), np.float64)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, 1e-12)
    return unit
