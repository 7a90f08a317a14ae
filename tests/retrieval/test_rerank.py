"""The second look: parts that match count, whatever order the embedding gave."""

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

from retrieval.records import Match, Reference
from retrieval.rerank import PartsReranker
from sscn.efficientnet import load_efficientnet


@pytest.fixture(scope="module")
def reranker() -> PartsReranker:
    return PartsReranker(load_efficientnet(), remembered=2)


@pytest.fixture
def matches(tmp_path):
    """Right halves of three scenes as references, all with the same score from the embedding."""
    found = []
    for rank, (name, picture) in enumerate(
        [("cat", samples.chelsea()), ("coffee", samples.coffee()), ("rocket", samples.rocket())], start=1
    ):
        path = tmp_path / f"{name}.png"
        Image.fromarray(picture[:, picture.shape[1] // 2 :]).save(path)
        found.append(Match(Reference(rank, path, name * 8, 100, 100), 0.2, rank))
    return found


@pytest.mark.parametrize(
    ("name", "picture"), [("cat", samples.chelsea()), ("coffee", samples.coffee()), ("rocket", samples.rocket())]
)
def test_the_other_half_comes_first(reranker, matches, name, picture):
    left = np.asarray(Image.fromarray(picture[:, : picture.shape[1] // 2]).convert("L"))
    ranked = reranker.rerank(left, matches)
    assert ranked[0].reference.path.stem == name
    assert [match.rank for match in ranked] == [1, 2, 3]
    assert sorted(match.reference.id for match in ranked) == [1, 2, 3]
    scores = [match.score for match in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_reference_that_is_gone_comes_last(reranker, matches):
    gone = Match(Reference(9, matches[0].reference.path.with_name("gone.png"), "gone", 1, 1), 0.2, 1)
    assert reranker.rerank(samples.chelsea(), [gone, *matches])[-1].reference.id == 9


def test_the_order_repeats(reranker, matches):
    assert reranker.rerank(samples.coffee(), matches) == reranker.rerank(samples.coffee(), matches)
