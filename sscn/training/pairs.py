"""Pairs of a grey target and a coloured reference with known truth, made of single photographs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sscn import colour
from sscn.errors import SscnError
from sscn.training.damage import damaged
from sscn.training.jitter import ColourJitter, exposed, in_gamut
from sscn.training.kinds import SCENES, Material
from sscn.training.photographs import Photographs

KINDS = ("thin_plate", "elsewhere", "motion", "neighbour", "unrelated")
DEFAULT_MIX: Mapping[str, float] = MappingProxyType(
    {"thin_plate": 0.1, "elsewhere": 0.35, "motion": 0.3, "neighbour": 0.05, "unrelated": 0.2}
)
"""Share of each kind. The fifth of unrelated pairs is the paper's (Bai et al. 2022, supplement)."""
DAMAGED_SHARE = 0.45
EXPOSED_SHARE = 0.5


class TrainingPair(NamedTuple):
    """A pair, or a batch of them (every field with a leading N). All pictures S x S, float32 but for ``kind``."""

    luminance: Tensor
    """(1, S, S) L* 0..100 of the target as the network sees it, perhaps damaged."""
    truth: Tensor
    """(2, S, S) true a*, b* of the target."""
    clean_luminance: Tensor
    """(1, S, S) L* 0..100 of the target without the damage."""
    reference: Tensor
    """(3, S, S) L*, a*, b* of the reference."""
    place: Tensor
    """(2, S, S) where each target pixel lies in the reference, x and y; -1 and 1 are its outer edges
    (``F.grid_sample``, ``align_corners=False``). Meaningless where not visible."""
    visible: Tensor
    """(1, S, S) 1 where that place exists and shows the same thing, else 0."""
    related: Tensor
    """() 1 if the reference says something about the target, else 0."""
    kind: Tensor
    """() int64, index into ``KINDS``."""


class PairDataset(Dataset[TrainingPair]):
    """Pairs made of photographs; pair ``index`` depends on the seed and the index alone, in any process."""

    def __init__(
        self,
        photographs: Photographs,
        *,
        seed: int,
        size: int = 256,
        mix: Mapping[str, float] = DEFAULT_MIX,
        length: int = 100_000,
        neighbours: Sequence[int] | None = None,
    ) -> None:
        """
        Args:
            photographs: to learn from.
            seed: 0 or more.
            size: of all pictures, in pixels.
            mix: share of each kind, in any unit; a kind that is not named does not come.
            length: pairs of an epoch.
            neighbours: for each photograph the number of the one most like it; without it, any other.

        Raises:
            SscnError: a mix of unknown kinds or of nothing, or not one neighbour for each photograph.
        """
        unknown = sorted(set(mix) - set(KINDS))
        if unknown or min(mix.values(), default=0) < 0 or sum(mix.values()) <= 0:
            raise SscnError(
                f"the mix of training pairs is wrong{': ' + ', '.join(unknown) if unknown else ''}; "
                f"give shares of 0 or more to some of {', '.join(KINDS)}"
            )
        if neighbours is not None and len(neighbours) != len(photographs):
            raise SscnError(f"{len(neighbours)} neighbours were given for {len(photographs)} training photographs")
        self.photographs = photographs
        self.seed = seed
        self.size = size
        self.length = length
        self.neighbours = neighbours
        shares = np.array([mix.get(kind, 0.0) for kind in KINDS])
        self._shares = shares / shares.sum()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrainingPair:
        """Pair ``index``.

        Raises:
            SscnError: a photograph has become unreadable.
        """
        if not 0 <= index < self.length:
            raise IndexError(index)
        random = np.random.default_rng([self.seed, index])
        kind = int(random.choice(len(KINDS), p=self._shares))
        scene = SCENES[KINDS[kind]](self._material(random), random)
        jitter = ColourJitter.drawn(random)
        gamma = float(np.exp(random.uniform(np.log(0.5), np.log(2.0)))) if random.random() < EXPOSED_SHARE else 1.0
        target = in_gamut(jitter(colour.linear_to_lab(scene.target)))
        reference = in_gamut(exposed(jitter(colour.linear_to_lab(scene.reference)), gamma))
        clean = target[:1].clamp(0, 100)
        return TrainingPair(
            luminance=damaged(clean, random) if random.random() < DAMAGED_SHARE else clean.clone(),
            truth=target[1:].contiguous(),
            clean_luminance=clean,
            reference=reference,
            place=scene.place,
            visible=scene.visible.float(),
            related=torch.tensor(0.0 if KINDS[kind] == "unrelated" else 1.0),
            kind=torch.tensor(kind),
        )

    def _material(self, random: np.random.Generator) -> Material:
        count = len(self.photographs)
        number = int(random.integers(count))
        other = (number + 1 + int(random.integers(max(1, count - 1)))) % count
        neighbour = self.neighbours[number] if self.neighbours is not None else other
        return Material(self.photographs[number], self.photographs[other], self.photographs[neighbour], self.size)
