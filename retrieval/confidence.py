"""How far a match is to be trusted: the score of the re-ranking as a probability.

A logistic curve, fitted on 282 photographs (those for training in `sscn/training/photographs.csv`), both ways: right
were the other halves of the same scenes, wrong the best of 20 other photographs drawn at random, one of each for every
half. So 0.5 says that a reference with this score is as often of the same scene as the best that a small library
without anything alike has to offer.
"""

import math

_SLOPE = 25.3
_MIDDLE = 0.239
"""The score at which both are equally likely."""


def match_confidence(score: float) -> float:
    """The probability, 0..1, that a reference with this score (`retrieval.rerank`) is a good one for its target."""
    return 1 / (1 + math.exp(-_SLOPE * (score - _MIDDLE)))
