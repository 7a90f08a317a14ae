"""Which kind of index fits how many vectors, and when what is new is written down."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """How indexes are made; every figure is a measured one.

    `flat_up_to`: vectors that are searched one by one, exactly; more go into inverted lists (IVF) of 8-bit codes, whose
    best are compared again by their stored vectors.
    `training_per_list`: vectors that each list's centre is the mean of, about.
    `recall`, `far_recall`: of the ten and of the hundred nearest, the parts that enough lists are probed to find.
    `sample`: vectors of the library by which recall is measured.
    `merged_share`: changes, as a part of the vectors, from which on they are written into the build.
    `retrained_growth`: from so many times the vectors that the lists were trained for, they are trained anew.
    `dead_share`: of the positions, from which on a large build is made without them.
    """

    flat_up_to: int = 30_000
    training_per_list: int = 40
    recall: float = 0.998
    far_recall: float = 0.97
    sample: int = 400
    merged_share: float = 0.01
    retrained_growth: float = 3.0
    dead_share: float = 0.2

    def lists(self, vectors: int) -> int:
        """About four times the root of the vectors, a power of two."""
        return int(2 ** round(math.log2(4 * math.sqrt(vectors))))
