"""The nearest-neighbour index: a versioned build from the vectors in the database, which are the truth.

Two files lie in the index folder: the FAISS index, and a JSON file that says what it was built from and what
its bytes hash to. Whatever does not agree with the database, or with itself, is built again; nothing is ever
answered from an index that was not checked.
"""

import hashlib
import json
import logging
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from storage.errors import StorageError
from storage.fixity import atomic_write

log = logging.getLogger(__name__)

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

INDEX_NAME = "references.faiss"
RECORD_NAME = "references.json"
_SPARE = 16
"""Candidates taken from FAISS beyond those asked for, so that rounding in its sums cannot change who is
in."""


def index_version(embedding_version: str, references: Iterable[tuple[int, str]]) -> str:
    """Hex digest of what an index answers from: the embedding and every (id, sha256), in the order of ids."""
    digest = hashlib.sha256(embedding_version.encode())
    for reference_id, sha256 in sorted(references):
        digest.update(struct.pack("<q", reference_id))
        digest.update(sha256.encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """What lies beside the index file: what it was built from, and the digests of its bytes and of its
    ids."""

    index_version: str
    embedding_version: str
    count: int
    dimension: int
    index_sha256: str
    ids_sha256: str


class VectorIndex:
    """Exact inner-product search over unit vectors, answering with the database's ids."""

    def __init__(self, flat: "faiss.IndexIDMap2") -> None:
        self._index = flat

    @classmethod
    def build(cls, ids: Ids, vectors: Vectors) -> "VectorIndex":
        """An index over vectors (N, d) float32 with ids (N,)."""
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        if len(ids):
            index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(ids, np.int64))
        return cls(index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    @property
    def ids(self) -> Ids:
        """The ids in the index (N,), in the order in which they were added."""
        return np.asarray(faiss.vector_to_array(self._index.id_map), np.int64)

    def search(self, queries: Vectors, k: int) -> tuple[list[Ids], list[NDArray[np.float64]]]:
        """The k nearest of every query, best first; equal products in the order of ids.

        Products are summed again in double precision, one query at a time, so that they (and the order) do
        not depend on how many queries came together.

        Args:
            queries: (N, d) float32, unit length.
            k: how many; fewer come back from a smaller index.

        Returns:
            ids and inner products, one pair of arrays for each query.
        """
        found_ids: list[Ids] = []
        found_products: list[NDArray[np.float64]] = []
        if not len(self) or not len(queries) or k < 1:
            return [np.empty(0, np.int64)] * len(queries), [np.empty(0, np.float64)] * len(queries)
        queries = np.ascontiguousarray(queries, np.float32)
        _, candidates = self._index.search(queries, min(k + _SPARE, len(self)))
        for query, row in zip(queries, candidates, strict=True):
            ids = np.asarray(row, np.int64)
            vectors = self._index.reconstruct_batch(ids).astype(np.float64)
            products = (vectors * query.astype(np.float64)).sum(axis=1)
            order = np.lexsort((ids, -products))[:k]
            found_ids.append(ids[order])
            found_products.append(products[order])
        return found_ids, found_products

    def save(self, folder: Path, version: str, embedding_version: str) -> None:
        """Write the index and its record, each to a temporary file that is then renamed.

        Raises:
            OSError or StorageError: the folder cannot be written to.
        """
        folder.mkdir(parents=True, exist_ok=True)
        data: bytes = faiss.serialize_index(self._index).tobytes()
        record = IndexRecord(
            index_version=version,
            embedding_version=embedding_version,
            count=len(self),
            dimension=self.dimension,
            index_sha256=hashlib.sha256(data).hexdigest(),
            ids_sha256=_ids_digest(self.ids),
        )
        # The record comes last: a crash between the two leaves a record that does not fit, so a rebuild.
        with atomic_write(folder / INDEX_NAME) as path:
            path.write_bytes(data)
        with atomic_write(folder / RECORD_NAME) as path:
            path.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


class StaleIndex(Exception):  # noqa: N818 - the name is the finding
    """The index on disk cannot be used as it stands; the first argument says why, in one line."""


def load_index(folder: Path, version: str, embedding_version: str, dimension: int) -> VectorIndex:
    """Read the index of ``folder``, if it is whole and was built from exactly what ``version`` stands for.

    Raises:
        StaleIndex: it is missing, damaged, or of other vectors.
    """
    try:
        record = IndexRecord(**json.loads((folder / RECORD_NAME).read_text(encoding="utf-8")))
        if (record.index_version, record.embedding_version) != (version, embedding_version):
            raise StaleIndex("the references have changed since it was built")
        data = (folder / INDEX_NAME).read_bytes()
    except FileNotFoundError as error:
        raise StaleIndex("there is none yet") from error
    except OSError as error:
        raise StaleIndex(f"it cannot be read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise StaleIndex("its record is damaged") from error
    if hashlib.sha256(data).hexdigest() != record.index_sha256:
        raise StaleIndex("its file is damaged or incomplete")
    try:
        raw = faiss.deserialize_index(np.frombuffer(data, np.uint8))
    except RuntimeError as error:
        raise StaleIndex("another version of FAISS wrote it") from error
    if not isinstance(raw, faiss.IndexIDMap2) or raw.d != dimension:
        raise StaleIndex("it is of another kind")
    index = VectorIndex(raw)
    if len(index) != record.count or _ids_digest(index.ids) != record.ids_sha256:
        raise StaleIndex("its ids do not agree with its record")
    return index


def save_or_log(index: VectorIndex, folder: Path, version: str, embedding_version: str) -> None:
    """Keep the index on disk if that can be done; without it, it is built again next time."""
    try:
        index.save(folder, version, embedding_version)
    except (OSError, StorageError) as error:
        log.warning("%s: the search index cannot be kept there (%s); it is held in memory only", folder, error)


def _ids_digest(ids: Ids) -> str:
    return hashlib.sha256(np.ascontiguousarray(ids, "<i8").tobytes()).hexdigest()
