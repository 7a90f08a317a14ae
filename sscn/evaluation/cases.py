"""The cases: which target is colorized with which reference. The same every time, for the same photographs."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sscn.evaluation.deformation import bend, with_contrast, with_gamma
from sscn.evaluation.photographs import PhotographSet
from sscn.evaluation.pictures8 import Picture8

Kind = Literal["film", "halves", "warped", "same kind", "unrelated", "luminance gap"]
KINDS: tuple[Kind, ...] = ("film", "halves", "warped", "same kind", "unrelated", "luminance gap")

DRAW = 16
"""The unrelated reference is the least alike of so many drawn photographs."""


@dataclass(frozen=True)
class Pair:
    """One target with its true colours, and one reference."""

    kind: Kind
    variant: str
    """What within the kind: the clip, the half, the change of light."""
    name: str
    reference_name: str
    truth: Picture8
    """sRGB (H, W, 3). Methods are given its luminance alone."""
    reference: Picture8
    """sRGB (H', W', 3)."""


def pairs_of_photograph(photographs: PhotographSet, index: int) -> Iterator[Pair]:
    """All pairs whose target is photograph ``index``: as many as ``pair_count`` says."""
    truth, name = photographs.read(index), photographs.names[index]
    first, second = _halves(truth)
    yield Pair("halves", "first", name, "its second half", first, second)
    yield Pair("halves", "second", name, "its first half", second, first)

    bent = bend(truth, _random(name, "warped"))
    yield Pair("warped", "", name, "itself, warped", truth, bent)
    lights = (
        ("bright", "itself, warped, gamma 0.5", with_gamma(bent, 0.5)),
        ("dark", "itself, warped, gamma 2", with_gamma(bent, 2)),
        ("flat", "itself, warped, half the contrast", with_contrast(bent, 0.5)),
    )
    for variant, reference_name, reference in lights:
        yield Pair("luminance gap", variant, name, reference_name, truth, reference)

    others = _others(photographs, index)
    for kind, other in others.items():
        yield Pair(kind, "", name, photographs.names[other], truth, photographs.read(other))


def pair_count(photographs: PhotographSet) -> int:
    """Pairs that each photograph makes; a set of one or two has too few others."""
    return 6 + min(2, len(photographs) - 1)


def _halves(picture: Picture8) -> tuple[Picture8, Picture8]:
    """Cut across the long side."""
    height, width = picture.shape[:2]
    if width >= height:
        return picture[:, : width // 2], picture[:, width // 2 :]
    return picture[: height // 2], picture[height // 2 :]


def _others(photographs: PhotographSet, index: int) -> dict[Kind, int]:
    """The photograph most like ``index``, and one that is unlike it."""
    others: dict[Kind, int] = {}
    likeness = photographs.features @ photographs.features[index]
    candidates = np.delete(np.arange(len(photographs)), index)
    if len(candidates) >= 1:
        others["same kind"] = int(candidates[likeness[candidates].argmax()])
    if len(candidates) >= 2:
        random = _random(photographs.names[index], "unrelated")
        drawn = random.choice(candidates, min(DRAW, len(candidates)), replace=False)
        others["unrelated"] = int(drawn[likeness[drawn].argmin()])
    return others


def _random(name: str, purpose: str) -> np.random.Generator:
    """Chance that depends on the photograph's name alone, so that a limited evaluation is a part of the whole one."""
    digest = hashlib.sha256(f"{purpose}/{name}".encode(errors="surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
