"""Whether an index is what the database says, and how many of the true neighbours it finds."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from retrieval.index.content import Ids, changed_content, content_of, digests_of
from retrieval.index.flat import Vectors
from retrieval.index.index import VectorIndex
from storage.database import Database, reference_vectors

NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """What was found.

    `agrees` says that ids, contents and vectors are those of the database. `recall` is the part of the ten nearest of
    `sample` references (themselves left out) that is found; the seconds are those of a query, all asked together,
    in the index and by comparing every vector. `lists` and `probes` are 0 for a flat index. `unsaved` vectors and
    removals are in memory alone. `disk_bytes` is the size of its files.
    """

    references: int
    kind: Literal["flat", "ivf"]
    lists: int
    probes: int
    unsaved: int
    disk_bytes: int
    agrees: bool
    sample: int
    recall: float
    seconds: float
    exact_seconds: float


def check_index(
    index: VectorIndex, database: Database, library: str, embedding_version: str, sample: int = 200
) -> IndexCheck:
    """Hold an index against its database and against exact search.

    Args:
        index: as it was refreshed just now.
        database: where the library is recorded.
        library: its root as it is recorded.
        embedding_version: of the vectors in the index.
        sample: references that recall is measured with.
    """
    ids, vectors = _sample(index, sample)
    recall, seconds, exact_seconds = 1.0, 0.0, 0.0
    if len(ids):
        start = time.perf_counter()
        found = index.search(vectors, NEIGHBOURS + 1)
        seconds = (time.perf_counter() - start) / len(ids)
        start = time.perf_counter()
        truth = index.exact(vectors, NEIGHBOURS + 1)
        exact_seconds = (time.perf_counter() - start) / len(ids)
        wanted = [set(right.tolist()) - {own} for right, own in zip(truth, ids.tolist(), strict=True)]
        hits = sum(len(right & set(one.ids.tolist())) for right, one in zip(wanted, found, strict=True))
        recall = hits / sum(map(len, wanted)) if any(wanted) else 1.0
    lists = index.manifest.lists
    return IndexCheck(
        references=len(index),
        kind=index.manifest.kind,
        lists=0 if lists is None else lists.lists,
        probes=0 if lists is None else lists.probes,
        unsaved=index.unsaved,
        disk_bytes=sum(file.size_bytes for file in index.manifest.files),
        agrees=_agrees(index, database, library, embedding_version),
        sample=len(ids),
        recall=recall,
        seconds=seconds,
        exact_seconds=exact_seconds,
    )


def _sample(index: VectorIndex, sample: int) -> tuple[Ids, Vectors]:
    """Some references of the build, the same ones every time: ids (N,), vectors (N, d)."""
    alive = np.flatnonzero(index.alive)
    chosen = np.sort(np.random.default_rng(0).permutation(alive)[:sample])
    return index.rows.ids[chosen], index.base.read(chosen)


def _agrees(index: VectorIndex, database: Database, library: str, embedding_version: str) -> bool:
    content, count = 0, 0
    for some in reference_vectors.active(database, library, embedding_version):
        content = changed_content(content, content_of(some.ids, digests_of(some.sha256s)), 0)
        count += len(some.ids)
        if not np.array_equal(index.vectors(some.ids), some.vectors):
            return False
    return (content, count) == (index.content, len(index))
