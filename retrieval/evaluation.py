"""How well references are found: the other half of the same scene, and pictures of the same kind.

Both are asked of grey pictures, in memory, by three ways of looking: the VGG's part of the embedding alone, the whole
embedding, and the embedding's candidates re-ranked by their parts, as searches do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import Descriptions, Embedder
from retrieval.rerank import CANDIDATES, scores
from sscn.pictures import Picture

Method = Literal["vgg", "embedding", "re-ranked"]
METHODS: tuple[Method, ...] = ("vgg", "embedding", "re-ranked")
DEPTH = 5
"""Places of a result that count for the second figure."""
_NEVER = -2.0
"""Below every score: what is not found."""

Scores = NDArray[np.float64]
Halved = TypeVar("Halved", bound=Picture)


@dataclass(frozen=True, slots=True)
class Found:
    """Of so many queries, the share (0..1) that was answered right by the first, and by the first five references.

    For kinds, that of right ones among the first, and among the first five references.
    """

    queries: int
    at_1: float
    at_5: float


def halves(picture: Halved) -> tuple[Halved, Halved]:
    """A picture (H, W) or (H, W, 3) cut in two across its long side."""
    height, width = picture.shape[:2]
    if width >= height:
        return picture[:, : width // 2], picture[:, width // 2 :]  # type: ignore[return-value]
    return picture[: height // 2], picture[height // 2 :]  # type: ignore[return-value]


def ranking(embedder: Embedder, method: Method, queries: Descriptions, references: Descriptions) -> Scores:
    """How well each reference fits each query, (Q, N); with ``re-ranked``, what is no candidate has less than any."""
    if method == "vgg":
        looks = [_unit(one.vectors[:, : embedder.look_dimension]) for one in (queries, references)]
        return np.asarray(looks[0] @ looks[1].T, np.float64)
    likeness = np.asarray(queries.vectors @ references.vectors.T, np.float64)
    if method == "embedding":
        return likeness
    ranked = np.full(likeness.shape, _NEVER)
    for query, row in enumerate(likeness):
        candidates = np.argsort(-row, kind="stable")[:CANDIDATES]
        fits = scores(row[candidates].clip(0, 1), queries.parts[query], references.parts[candidates])
        ranked[query, candidates] = fits
    return ranked


def recall_of_halves(embedder: Embedder, ways: Sequence[tuple[Descriptions, Descriptions]]) -> dict[Method, Found]:
    """How often a query finds the reference of its own number. A tie counts as not found.

    Args:
        ways: queries (the halves of N pictures) and references (the other halves of the same); one or both ways.
    """
    found: dict[Method, Found] = {}
    for method in METHODS:
        places = np.concatenate([_place_of_own(ranking(embedder, method, *way)) for way in ways])
        found[method] = Found(len(places), float(np.mean(places <= 1)), float(np.mean(places <= DEPTH)))
    return found


def precision_of_kinds(embedder: Embedder, pictures: Descriptions, kinds: Sequence[str]) -> dict[Method, Found]:
    """Each picture asks among all others; how many of those found are of its kind. What has no like does not ask."""
    labels = np.array(kinds)
    asking = np.array([(labels == kind).sum() > 1 for kind in kinds], bool)
    found: dict[Method, Found] = {}
    for method in METHODS:
        fits = ranking(embedder, method, pictures, pictures)
        np.fill_diagonal(fits, _NEVER - 1)
        order = np.argsort(-fits, axis=1, kind="stable")[asking, : min(DEPTH, len(kinds) - 1)]
        right = labels[order] == labels[asking][:, None]
        found[method] = Found(int(asking.sum()), float(right[:, 0].mean()), float(right.mean()))
    return found


def _place_of_own(fits: Scores) -> NDArray[np.int64]:
    """From 1: the place of the reference that has the query's own number."""
    own = np.diag(fits)[:, None]
    return np.asarray((fits >= own).sum(axis=1), np.int64)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
