"""The index: exact where it is small, nearly so where it is large, and the same answer however a query is asked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.index.build import Source, build, continued, load, save
from retrieval.index.content import content_of, digests_of, index_version
from retrieval.index.index import VectorIndex
from retrieval.index.manifest import Anchors
from retrieval.index.plan import IndexPlan
from storage.database.reference_vectors import ReferenceChanges, ReferenceVectors
from storage.fixity import sha256_bytes

DIMENSION = 64
SMALL = IndexPlan()
LARGE = IndexPlan(flat_up_to=5_000, sample=200)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def mixed(count: int, seed: int) -> np.ndarray:
    """Vectors that lie in loose groups, as those of pictures do."""
    kinds = unit(np.random.default_rng(0).normal(size=(80, DIMENSION)))
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([0.5] * 3, size=count).astype(np.float32)
    vectors = np.einsum("nk,nkd->nd", shares, kinds[rng.integers(0, len(kinds), (count, 3))])
    return unit(unit(vectors) + rng.normal(size=vectors.shape) * 0.5 / np.sqrt(DIMENSION))


def rows(ids: np.ndarray, vectors: np.ndarray) -> ReferenceVectors:
    return ReferenceVectors(ids, tuple(sha256_bytes(vector.tobytes()) for vector in vectors), vectors)


def changes(change: int, ids: np.ndarray, vectors: np.ndarray, gone: list[int]) -> list[ReferenceChanges]:
    return [ReferenceChanges(change, rows(ids, vectors), np.array(gone, np.int64))]


def anchors(ids: np.ndarray) -> Anchors:
    return Anchors(tuple(ids[-1:].tolist()), "")


def built(folder: Path, ids: np.ndarray, vectors: np.ndarray, plan: IndexPlan = SMALL) -> VectorIndex:
    def chunks() -> Iterator[ReferenceVectors]:
        for start in range(0, len(ids), 1000):
            yield rows(ids[start : start + 1000], vectors[start : start + 1000])

    folder.mkdir(exist_ok=True)
    manifest = build(folder, Source("/library", "model", vectors.shape[1], 1, anchors), chunks(), plan)
    save(folder, manifest)
    return load(folder, manifest)


def brute_force(queries: np.ndarray, ids: np.ndarray, vectors: np.ndarray, k: int) -> list[list[int]]:
    products = queries.astype(np.float64) @ vectors.astype(np.float64).T
    return [ids[np.lexsort((ids, -row))[:k]].tolist() for row in products]


def recall(
    index: VectorIndex, queries: np.ndarray, expected: list[list[int]], among: np.ndarray | None = None
) -> float:
    found = index.search(queries, len(expected[0]), among)
    hits = sum(len(set(one.ids.tolist()) & set(right)) for one, right in zip(found, expected, strict=True))
    return hits / sum(map(len, expected))


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return mixed(30_000, 1)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return mixed(60, 2)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray) -> VectorIndex:
    return built(tmp_path_factory.mktemp("large"), 3 * np.arange(len(vectors)) + 7, vectors, LARGE)


def test_a_small_one_finds_what_brute_force_finds(tmp_path: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    ids = np.arange(500) + 900_000_000_001
    index = built(tmp_path, ids, vectors[:500])
    assert index.manifest.kind == "flat"
    found = index.search(queries, 10)
    assert [one.ids.tolist() for one in found] == brute_force(queries, ids, vectors[:500], 10)
    exact = queries[:1].astype(np.float64) @ vectors[found[0].ids - ids[0]].astype(np.float64).T
    np.testing.assert_allclose(found[0].products, exact[0], atol=1e-12)


def test_a_large_one_finds_nearly_all(large: VectorIndex, vectors: np.ndarray, queries: np.ndarray) -> None:
    assert large.manifest.kind == "ivf"
    assert large.manifest.lists is not None
    assert large.manifest.lists.probes < large.manifest.lists.lists, "else nothing is saved"
    assert large.manifest.lists.recall >= LARGE.recall
    expected = brute_force(queries, large.rows.ids, vectors, 10)
    assert recall(large, queries, expected) >= 0.99
    assert [one.tolist() for one in large.exact(queries, 10)] == expected
    itself = large.search(vectors[:50], 1)
    assert [one.ids[0] for one in itself] == large.rows.ids[:50].tolist()


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_a_search_does_not_depend_on_its_batch(
    large: VectorIndex, tmp_path: Path, vectors: np.ndarray, queries: np.ndarray, kind: str
) -> None:
    index = large if kind == "ivf" else built(tmp_path, np.arange(400), vectors[:400])
    together = index.search(queries, 7)
    for query, expected in zip(queries, together, strict=True):
        (alone,) = index.search(query[None], 7)
        np.testing.assert_array_equal(alone.ids, expected.ids)
        np.testing.assert_array_equal(alone.products, expected.products)


def test_the_same_vectors_make_the_same_index(large: VectorIndex, tmp_path: Path, vectors: np.ndarray) -> None:
    again = built(tmp_path, large.rows.ids, vectors, LARGE)
    assert again.manifest.lists is not None
    assert large.manifest.lists is not None
    assert again.manifest.lists.file.sha256 == large.manifest.lists.file.sha256
    assert again.content == large.content


def test_equal_products_come_in_the_order_of_ids(tmp_path: Path, vectors: np.ndarray) -> None:
    ids = np.arange(1, 201)
    index = built(tmp_path, ids, np.repeat(vectors[:1], 200, axis=0))
    assert index.search(vectors[:1], 4)[0].ids.tolist() == [1, 2, 3, 4]
    index = index.with_changes(changes(2, ids[100:] + 500, np.repeat(vectors[:1], 100, axis=0), [1, 3]))
    assert index.search(vectors[:1], 4)[0].ids.tolist() == [2, 4, 5, 6]


def test_asking_for_more_than_there_is(tmp_path: Path, vectors: np.ndarray, queries: np.ndarray) -> None:
    index = built(tmp_path, np.arange(5), vectors[:5])
    assert len(index.search(queries[:1], 50)[0].ids) == 5
    empty = built(tmp_path, np.empty(0, np.int64), vectors[:0])
    assert [len(one.ids) for one in empty.search(queries[:3], 3)] == [0] * 3


@pytest.mark.parametrize("survivors", [1, 30, 3_000, 20_000])
@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_a_filter_keeps_the_recall(
    large: VectorIndex,
    tmp_path: Path,
    vectors: np.ndarray,
    queries: np.ndarray,
    kind: str,
    survivors: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retrieval.index.index.EXACT_AMONG", 5_000)
    index = large if kind == "ivf" else built(tmp_path, large.rows.ids, vectors)
    chosen = np.sort(np.random.default_rng(survivors).permutation(len(vectors))[:survivors])
    expected = brute_force(queries, large.rows.ids[chosen], vectors[chosen], 10)
    among = np.concatenate([large.rows.ids[chosen], [5, 10**12]])  # some of which there are none
    found = recall(index, queries, expected, among)
    assert found >= 0.99 if kind == "ivf" and survivors > 5_000 else found == 1
    assert all(np.isin(one.ids, large.rows.ids[chosen]).all() for one in index.search(queries, 10, among))


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_changes_are_seen_in_memory_and_then_on_disk(
    tmp_path: Path, vectors: np.ndarray, queries: np.ndarray, kind: str
) -> None:
    """New ones, retired ones, one that came back with another vector; the sum of contents follows."""
    plan = LARGE if kind == "ivf" else SMALL
    index = built(tmp_path, np.arange(1, 6_001), vectors[:6_000], plan)
    new_ids = np.array([9_001, 9_002, 77])
    index = index.with_changes(changes(2, new_ids, vectors[6_000:6_003], [5, 6, 123_456]))
    index = index.with_changes(changes(3, np.array([5]), vectors[4:5], [9_002]))
    kept = np.setdiff1d(np.arange(1, 6_001), [6, 77])
    ids = np.concatenate([kept, [9_001, 77]])
    expected = np.concatenate([vectors[kept - 1], vectors[[6_000, 6_002]]])
    for _ in range(2):
        assert index.manifest.kind == kind
        assert (len(index), index.change) == (6_000, 3)
        assert index.content == content_of(ids, digests_of(rows(ids, expected).sha256s))
        assert recall(index, queries, brute_force(queries, ids, expected, 10)) >= (1 if kind == "flat" else 0.99)
        for id_, vector in ((9_001, vectors[6_000]), (77, vectors[6_002]), (5, vectors[4])):
            assert index.search(vector[None], 1)[0].ids.tolist() == [id_]
        for gone in (6, 9_002):
            assert index.search(queries, 6_000, np.array([gone]))[0].ids.tolist() == []
        assert index.unsaved in (6, 0)  # three new, three hidden; or all written down
        manifest = continued(tmp_path, index, anchors)
        save(tmp_path, manifest)
        index = load(tmp_path, manifest)


def test_many_small_additions_stay_few_files(tmp_path: Path, vectors: np.ndarray) -> None:
    index = built(tmp_path, np.arange(6_000), vectors[:6_000], LARGE)
    for number in range(12):
        place = 6_000 + number
        index = index.with_changes(changes(2 + number, np.array([place]), vectors[place : place + 1], []))
        manifest = continued(tmp_path, index, anchors)
        save(tmp_path, manifest)
        index = load(tmp_path, manifest)
    assert len(index.manifest.vectors) <= 8
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"references.json", *(one.name for one in index.manifest.files)}
    np.testing.assert_array_equal(index.base.read(np.arange(6_012)), vectors[:6_012])


def test_who_has_an_index_open_reads_on_when_it_is_replaced(tmp_path: Path, vectors: np.ndarray) -> None:
    index = built(tmp_path, np.arange(6_000), vectors[:6_000], LARGE)
    before = index.search(vectors[:20], 5)
    built(tmp_path, np.arange(5), vectors[:5])
    after = index.search(vectors[:20], 5)
    assert [one.ids.tolist() for one in after] == [one.ids.tolist() for one in before]


def test_the_version_hangs_on_ids_contents_and_model_alone(vectors: np.ndarray) -> None:
    a, b = digests_of(["a" * 64]), digests_of(["b" * 64])
    both = content_of(np.array([1, 2]), np.concatenate([a, b]))
    version = index_version("model", both)
    assert version == index_version("model", content_of(np.array([2, 1]), np.concatenate([b, a])))
    assert version != index_version("model", content_of(np.array([1, 2]), np.concatenate([b, a])))
    assert version != index_version("model", content_of(np.array([1, 3]), np.concatenate([a, b])))
    assert version != index_version("other", both)
    assert len(version) == 64


def test_growth_asks_for_more_lists() -> None:
    plan = IndexPlan()
    assert [plan.lists(count) for count in (60_000, 250_000, 1_000_000)] == [1024, 2048, 4096]
