"""How far a match is to be trusted: the score of the re-ranking as a probability.

A reference is good if its colours bring a picture nearer to the true ones than grey is, by mean CIEDE2000. The curve
was fitted on the grey halves of 140 photographs (of those for training in `sscn/training/photographs.csv`) with the
shipped network at 256 pixels, each after its other half, the first, third and tenth best, a middling and a random one
of 280 references: 837 pairs in all. The worst references do good now and then, hence the floor.
"""

import math

_FLOOR = 0.223
_SLOPE = 13.5
_MIDDLE = 0.300


def match_confidence(score: float) -> float:
    """The probability, 0..1, that colours after a reference with this score (`retrieval.rerank`) are nearer to the true
    ones than grey is; 0.5 at a score of 0.256."""
    return _FLOOR + (1 - _FLOOR) / (1 + math.exp(-_SLOPE * (score - _MIDDLE)))
