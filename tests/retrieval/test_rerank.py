"""The second look: parts that match count, whatever order the embedding gave."""

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

from retrieval.records import Match, Reference
from retrieval.rerank import PartsReranker
from sscn.efficientnet import load_efficientnet
from storage.fixity import sha256_file


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
        found.append(Match(Reference(rank, path, sha256_file(path), 100, 100), 0.2, rank))
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


def test_a_reference_that_cannot_be_used_is_left_out(reranker, matches):
    """However well its vector fits: gone, damaged, or another picture by now."""
    folder = matches[0].reference.path.parent
    gone = Match(Reference(9, folder / "gone.png", "gone", 1, 1), 0.9, 1)
    damaged = folder / "damaged.png"
    damaged.write_bytes(bytes(1000))
    broken = Match(Reference(10, damaged, sha256_file(damaged), 1, 1), 0.9, 2)
    swapped = Match(Reference(11, folder / "coffee.png", "another digest", 1, 1), 0.9, 3)
    ranked = reranker.rerank(samples.chelsea(), [gone, broken, swapped, *matches])
    assert {match.reference.id for match in ranked} == {1, 2, 3}
    assert [match.rank for match in ranked] == [1, 2, 3]


def test_the_order_repeats(reranker, matches):
    assert reranker.rerank(samples.coffee(), matches) == reranker.rerank(samples.coffee(), matches)
