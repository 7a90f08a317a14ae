"""The second look: parts that match count, whatever order the embedding gave; they are kept in the database."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data as samples

from retrieval.errors import RetrievalError
from retrieval.parts import PARTS_BYTES
from retrieval.records import Match, Reference
from retrieval.rerank import Reranker
from storage.database import Database, open_database, reference_parts, references
from storage.database.records import ReferenceRecord
from storage.fixity import sha256_file
from tests.storage.database.postgresql import fresh_database, running_server

from .conftest import CountingEmbedder

SCENES = {"cat": samples.chelsea(), "coffee": samples.coffee(), "rocket": samples.rocket()}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open database of either kind."""
    if request.param == "sqlite":
        with open_database(f"sqlite:///{tmp_path / 'provenance.db'}") as opened:
            yield opened
        return
    with fresh_database(request.getfixturevalue("server"), "test_rerank") as url, open_database(url) as opened:
        yield opened


@pytest.fixture
def matches(tmp_path: Path, database: Database) -> list[Match]:
    """Right halves of the scenes as references, all with the same score from the embedding."""
    return recorded(database, tmp_path)


def recorded(database: Database, folder: Path) -> list[Match]:
    """The right halves as files and rows without parts, as a library from before has them."""
    found = []
    for rank, (name, picture) in enumerate(SCENES.items(), start=1):
        path = folder / f"{name}.png"
        Image.fromarray(picture[:, picture.shape[1] // 2 :]).save(path)
        record = ReferenceRecord(
            library=str(folder),
            path=path.name,
            sha256=sha256_file(path),
            width=100,
            height=100,
            embedding_version="any",
            embedding=np.zeros(3, np.float32),
        )
        id_ = references.upsert(database, [record])[path.name]
        found.append(Match(Reference(id_, path, record.sha256, 100, 100), 0.2, rank))
    return found


def left_half(name: str) -> NDArray[np.uint8]:
    picture = SCENES[name]
    return np.asarray(Image.fromarray(picture[:, : picture.shape[1] // 2]).convert("L"))


@pytest.mark.parametrize("name", SCENES)
def test_the_other_half_comes_first(
    database: Database, embedder: CountingEmbedder, matches: list[Match], name: str
) -> None:
    ranked = Reranker(database, embedder).rerank(embedder.describe([left_half(name)]), [matches], 3)
    assert ranked[0].reference.path.stem == name
    assert [match.rank for match in ranked] == [1, 2, 3]
    assert sorted(match.reference.id for match in ranked) == sorted(match.reference.id for match in matches)
    for values in ([match.score for match in ranked], [match.confidence for match in ranked]):
        assert values == sorted(values, reverse=True)
        assert all(0 <= value <= 1 for value in values)
        assert values[0] > values[1]


def test_parts_that_are_missing_are_made_once_and_kept(
    either: Database, embedder: CountingEmbedder, tmp_path: Path
) -> None:
    matches = recorded(either, tmp_path)
    described = embedder.describe([left_half("cat")])
    before = embedder.embedded
    first = Reranker(either, embedder).rerank(described, [matches], 3)
    assert embedder.embedded == before + 3
    kept = reference_parts.get(either, embedder.parts_version, [match.reference.id for match in matches])
    assert {len(row) for row in kept.values()} == {PARTS_BYTES}
    assert PARTS_BYTES <= 4096
    for match in matches:  # what is on record is enough: the pictures are not looked at
        match.reference.path.unlink()
    assert Reranker(either, embedder).rerank(described, [matches], 3) == first
    assert embedder.embedded == before + 3


def test_parts_of_another_version_are_made_anew(
    database: Database, embedder: CountingEmbedder, matches: list[Match]
) -> None:
    ids = [match.reference.id for match in matches]
    reference_parts.record(database, "an older version", {one: bytes(7) for one in ids})
    assert len(Reranker(database, embedder).rerank(embedder.describe([left_half("cat")]), [matches], 3)) == 3
    assert set(reference_parts.get(database, embedder.parts_version, ids)) == set(ids)


def test_a_reference_whose_parts_cannot_be_made_is_left_out(
    database: Database, embedder: CountingEmbedder, matches: list[Match]
) -> None:
    """However well its vector fits: gone, damaged, or another picture by now."""
    gone, damaged, swapped = [match.reference.path for match in matches]
    gone.unlink()
    damaged.write_bytes(bytes(1000))
    Image.fromarray(SCENES["coffee"]).save(swapped)
    assert Reranker(database, embedder).rerank(embedder.describe([left_half("cat")]), [matches], 3) == []
    Image.fromarray(SCENES["cat"][:, SCENES["cat"].shape[1] // 2 :]).save(gone)
    ranked = Reranker(database, embedder).rerank(embedder.describe([left_half("cat")]), [matches], 3)
    assert [(match.reference.path, match.rank) for match in ranked] == [(gone, 1)]


def test_the_order_does_not_depend_on_the_company(
    database: Database, embedder: CountingEmbedder, matches: list[Match]
) -> None:
    described = embedder.describe([left_half("coffee")])
    reranker = Reranker(database, embedder)
    together = {match.reference.id: match.score for match in reranker.rerank(described, [matches], 3)}
    assert together == {match.reference.id: match.score for match in reranker.rerank(described, [matches[::-1]], 3)}
    for match in matches:
        (alone,) = reranker.rerank(described, [[match]], 3)
        assert alone.score == together[match.reference.id]


def test_targets_that_share_a_reference_share_the_score(
    database: Database, embedder: CountingEmbedder, matches: list[Match]
) -> None:
    reranker = Reranker(database, embedder)
    names = ("cat", "rocket")
    alone = [reranker.rerank(embedder.describe([left_half(name)]), [matches], 3) for name in names]
    together = reranker.rerank(embedder.describe([left_half(name) for name in names]), [matches, matches], 3)
    for match in together:
        scores = [one.score for ranked in alone for one in ranked if one.reference.id == match.reference.id]
        assert match.score == pytest.approx(sum(scores) / 2)
    assert {match.reference.path.stem for match in together[:2]} == set(names)
    # who was found for one frame alone counts as little for the other as the last that was found for it
    apart = reranker.rerank(embedder.describe([left_half(name) for name in names]), [matches[:1], matches[1:]], 3)
    assert {match.reference.id for match in apart} == {match.reference.id for match in matches}


def test_how_many_come_back(database: Database, embedder: CountingEmbedder, matches: list[Match]) -> None:
    reranker, described = Reranker(database, embedder), embedder.describe([left_half("cat")])
    every = reranker.rerank(described, [matches], 9)
    assert len(every) == 3
    assert reranker.rerank(described, [matches], 1) == every[:1]
    assert reranker.rerank(described, [[]], 3) == []
    with pytest.raises(RetrievalError, match="1 or more"):
        reranker.rerank(described, [matches], 0)
