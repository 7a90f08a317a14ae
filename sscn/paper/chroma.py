"""How chroma is scaled and counted inside the paper's network."""

from torch import Tensor

AB_SCALE = 110.0
"""a*, b* of this size are 1 inside the network."""
BINS = 23
"""Bins along a* and along b*: -110, -100, .. 110."""
BIN_WIDTH = 10.0


def ab_bins(ab: Tensor) -> Tensor:
    """a*, b* (N, 2, h, w) -> number of the nearest bin, int64 (N, h, w), 0..528; outside the range, the outermost."""
    middle = BINS // 2
    bins = (ab / BIN_WIDTH).round().clamp(-middle, middle).long() + middle
    return bins[:, 0] * BINS + bins[:, 1]
