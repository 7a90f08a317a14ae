"""The evaluation's own arithmetic, on descriptions made by hand."""

import numpy as np
import pytest

from retrieval import Embedder
from retrieval.embedding import Descriptions
from retrieval.evaluation import halves, precision_of_kinds, ranking, recall_of_halves
from retrieval.parts import PARTS_BYTES
from retrieval.rerank import CANDIDATES


def described(embedder: Embedder, directions: list[int], noise: float = 0.0) -> Descriptions:
    """Vectors along the axes named, in the VGG's part and in the rest; parts that all agree."""
    random = np.random.default_rng(0)
    vectors = noise * random.standard_normal((len(directions), embedder.dimension))
    for row, direction in enumerate(directions):
        vectors[row, direction] += 1
        vectors[row, embedder.look_dimension + direction] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Descriptions(vectors.astype(np.float32), np.zeros((len(directions), PARTS_BYTES), np.int8))


def test_recall_counts_what_comes_first_and_what_comes_among_five(real_embedder: Embedder) -> None:
    right = described(real_embedder, list(range(10)))
    found = recall_of_halves(real_embedder, [(right, right), (right, right)])
    assert {(one.queries, one.at_1, one.at_5) for one in found.values()} == {(20, 1.0, 1.0)}
    wrong = described(real_embedder, [*range(1, 10), 0], noise=0.01)
    found = recall_of_halves(real_embedder, [(described(real_embedder, list(range(10)), noise=0.01), wrong)])
    assert found["vgg"].at_1 == found["embedding"].at_1 == 0


def test_a_tie_counts_as_not_found(real_embedder: Embedder) -> None:
    same = described(real_embedder, [0] * 6)
    found = recall_of_halves(real_embedder, [(same, same)])
    assert {(one.at_1, one.at_5) for one in found.values()} == {(0.0, 0.0)}


def test_precision_counts_the_first_and_the_first_five(real_embedder: Embedder) -> None:
    pictures = described(real_embedder, [0, 0, 0, 1, 1, 2], noise=0.01)
    found = precision_of_kinds(real_embedder, pictures, ["cat", "cat", "cat", "dog", "dog", "owl"])
    for one in found.values():
        assert one.queries == 5  # there is no other owl
        assert one.at_1 == 1
        assert one.at_5 == pytest.approx((3 * 2 + 2 * 1) / (5 * 5))


def test_what_is_no_candidate_is_not_ranked(real_embedder: Embedder) -> None:
    many = described(real_embedder, [0] * (CANDIDATES + 20), noise=0.05)
    query = described(real_embedder, [0])
    ranked = ranking(real_embedder, "re-ranked", query, many)[0]
    likeness = ranking(real_embedder, "embedding", query, many)[0]
    candidates = ranked > -1
    assert candidates.sum() == CANDIDATES
    assert likeness[candidates].min() >= likeness[~candidates].max()


def test_halves_lie_on_both_sides_of_the_long_side() -> None:
    wide = np.arange(2 * 5).reshape(2, 5).astype(np.uint8)
    first, second = halves(wide)
    assert (first.shape, second.shape) == ((2, 2), (2, 3))
    high = np.zeros((7, 3, 3), np.uint16)
    assert [half.shape for half in halves(high)] == [(3, 3, 3), (4, 3, 3)]
