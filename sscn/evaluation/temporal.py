"""Measures of consecutive film frames: do colours hold still where the film does?"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import jensenshannon

from sscn.evaluation.metrics import Lab
from sscn.evaluation.pictures8 import Picture8

CDC_STEPS = (1, 2, 4)
"""Frames apart."""
STILL = 2.0
"""Lab units: what changes less than that from frame to frame, in L*, a* and b*, holds still."""


def cdc(frames: Sequence[Picture8]) -> float:
    """Colour distribution consistency (Liu et al., "Temporally consistent video colorization", TCVC): lower is calmer.

    The Jensen-Shannon divergence, in nats, between the 256-bin histograms of each of R, G and B of frames 1, 2 and 4
    apart; the mean over the channels, the pairs of frames, and the three distances.

    Args:
        frames: more than 4, of one size.
    """
    histograms = [
        [np.bincount(frame[..., c].ravel(), minlength=256) / frame[..., c].size for c in range(3)] for frame in frames
    ]
    means = []
    for step in CDC_STEPS:
        pairs = zip(histograms, histograms[step:], strict=False)
        means.append(
            np.mean([jensenshannon(p, q) ** 2 for before, after in pairs for p, q in zip(before, after, strict=True)])
        )
    return float(np.mean(means))


def flicker(frames: Sequence[Lab], truth: Sequence[Lab]) -> float | None:
    """Mean absolute change of a* and b* from frame to frame where the true film holds still; None if it never does.

    Args:
        frames: Lab of the colorized frames, one after the other.
        truth: Lab of the true ones.
    """
    total, count = 0.0, 0
    for k in range(len(truth) - 1):
        still = (np.abs(truth[k + 1] - truth[k]) < STILL).all(axis=-1)
        change = np.abs(frames[k + 1] - frames[k])[still][:, 1:]
        total, count = total + float(change.sum()), count + change.size
    return total / count if count else None
