"""The index: exact, in a fixed order, and never believed unless it is whole and belongs to the database."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.index import INDEX_NAME, RECORD_NAME, StaleIndex, VectorIndex, index_version, load_index

IDS = np.array([7, 3, 900_000_000_001, 12, 5], np.int64)


@pytest.fixture
def vectors() -> np.ndarray:
    found = np.random.default_rng(3).normal(size=(5, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_finds_what_brute_force_finds(vectors: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    many = rng.normal(size=(500, 16)).astype(np.float32)
    ids = rng.permutation(10_000)[:500].astype(np.int64)
    found, products = VectorIndex.build(ids, many).search(vectors, 10)
    exact = vectors.astype(np.float64) @ many.astype(np.float64).T
    for row, (row_ids, row_products) in enumerate(zip(found, products, strict=True)):
        order = np.argsort(-exact[row])[:10]
        np.testing.assert_array_equal(row_ids, ids[order])
        np.testing.assert_allclose(row_products, exact[row][order], atol=1e-9)


def test_equal_products_come_in_the_order_of_ids(vectors: np.ndarray) -> None:
    same = np.repeat(vectors[:1], 5, axis=0)
    found, _ = VectorIndex.build(IDS, same).search(vectors[:1], 4)
    np.testing.assert_array_equal(found[0], [3, 5, 7, 12])


def test_a_search_does_not_depend_on_its_batch() -> None:
    rng = np.random.default_rng(5)
    index = VectorIndex.build(np.arange(400), rng.normal(size=(400, 256)).astype(np.float32))
    queries = rng.normal(size=(60, 256)).astype(np.float32)
    ids, products = index.search(queries, 7)
    for query, row_ids, row_products in zip(queries, ids, products, strict=True):
        alone_ids, alone_products = index.search(query[None], 7)
        np.testing.assert_array_equal(alone_ids[0], row_ids)
        np.testing.assert_array_equal(alone_products[0], row_products)


def test_asking_for_more_than_there_is(vectors: np.ndarray) -> None:
    assert len(VectorIndex.build(IDS, vectors).search(vectors[:1], 50)[0][0]) == 5
    empty = VectorIndex.build(IDS[:0], vectors[:0])
    assert [len(ids) for ids in empty.search(vectors, 3)[0]] == [0] * 5


def test_comes_back_from_disk(vectors: np.ndarray, tmp_path: Path) -> None:
    VectorIndex.build(IDS, vectors).save(tmp_path, "v1", "model")
    index = load_index(tmp_path, "v1", "model", 16)
    np.testing.assert_array_equal(index.ids, IDS)
    assert index.search(vectors[2:3], 1)[0][0].tolist() == [900_000_000_001]
    assert sorted(path.name for path in tmp_path.iterdir()) == [INDEX_NAME, RECORD_NAME]


@pytest.mark.parametrize("version", [("v2", "model"), ("v1", "other model")])
def test_an_index_of_other_vectors_is_stale(vectors: np.ndarray, tmp_path: Path, version: tuple[str, str]) -> None:
    VectorIndex.build(IDS, vectors).save(tmp_path, "v1", "model")
    with pytest.raises(StaleIndex, match="changed"):
        load_index(tmp_path, *version, 16)


@pytest.mark.parametrize("name", [INDEX_NAME, RECORD_NAME])
def test_every_truncation_is_noticed(vectors: np.ndarray, tmp_path: Path, name: str) -> None:
    VectorIndex.build(IDS, vectors).save(tmp_path, "v1", "model")
    data = (tmp_path / name).read_bytes()
    for length in range(0, len(data) - 2, 7):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(StaleIndex):
            load_index(tmp_path, "v1", "model", 16)


def test_every_flipped_byte_of_the_index_is_noticed(vectors: np.ndarray, tmp_path: Path) -> None:
    VectorIndex.build(IDS, vectors).save(tmp_path, "v1", "model")
    data = bytearray((tmp_path / INDEX_NAME).read_bytes())
    for position in range(len(data)):
        data[position] ^= 0x10
        (tmp_path / INDEX_NAME).write_bytes(data)
        with pytest.raises(StaleIndex, match="damaged"):
            load_index(tmp_path, "v1", "model", 16)
        data[position] ^= 0x10


def test_a_record_beside_another_index_is_noticed(vectors: np.ndarray, tmp_path: Path) -> None:
    VectorIndex.build(IDS, vectors).save(tmp_path, "v1", "model")
    record = (tmp_path / RECORD_NAME).read_bytes()
    VectorIndex.build(IDS[:4], vectors[:4]).save(tmp_path, "v2", "model")
    (tmp_path / RECORD_NAME).write_bytes(record)  # as after a crash between the two files
    with pytest.raises(StaleIndex):
        load_index(tmp_path, "v1", "model", 16)


def test_the_version_hangs_on_ids_contents_and_model_alone() -> None:
    version = index_version("model", [(1, "a" * 64), (2, "b" * 64)])
    assert version == index_version("model", [(2, "b" * 64), (1, "a" * 64)])
    assert version != index_version("model", [(1, "b" * 64), (2, "a" * 64)])
    assert version != index_version("model", [(1, "a" * 64), (3, "b" * 64)])
    assert version != index_version("other", [(1, "a" * 64), (2, "b" * 64)])
