"""Exact search: every vector is compared."""

from collections.abc import Iterable

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.index.readers import Positions

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]

SPARE = 16
"""Candidates beyond those asked for, so that rounding in single precision cannot change who is in."""


class FlatVectors:
    """Vectors (n, d) in memory, compared one by one."""

    def __init__(self, vectors: Vectors) -> None:
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @staticmethod
    def candidates(k: int) -> int:
        """How many to take so that the k best are among them."""
        return k + SPARE

    def nearest(self, queries: Vectors, count: int, mask: Mask | None) -> Positions:
        """Positions (N, count) of the nearest by inner product, best first; -1 where there are no more.

        Args:
            queries: (N, d).
            count: at most as many as there are.
            mask: (n,) the positions that may be found; None for all.
        """
        if not len(self) or not len(queries):
            return np.full((len(queries), count), -1, np.int64)
        parameters = None if mask is None else faiss.SearchParameters(sel=selector(mask))
        _, found = self._index.search(np.ascontiguousarray(queries, np.float32), count, params=parameters)
        return np.asarray(found, np.int64)

    def read(self, positions: Positions) -> Vectors:
        """The vectors (N, d) at these positions."""
        return np.asarray(self._index.reconstruct_batch(positions), np.float32)


def exact_nearest(blocks: Iterable[tuple[Positions, Vectors]], queries: Vectors, count: int) -> Positions:
    """Positions (N, count) of the nearest among vectors that come in blocks with their positions; -1 where there are
    no more."""
    best = np.full((len(queries), count), -np.inf, np.float32)
    found = np.full((len(queries), count), -1, np.int64)
    rows = np.arange(len(queries))[:, None]
    for positions, vectors in blocks:
        products, numbers = faiss.knn(queries, vectors, min(count, len(vectors)), faiss.METRIC_INNER_PRODUCT)
        best = np.concatenate([best, products], axis=1)
        found = np.concatenate([found, positions[numbers]], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :count]
        best, found = best[rows, order], found[rows, order]
    return found


def selector(mask: Mask) -> "faiss.IDSelectorBitmap":
    """What tells FAISS which positions may be found."""
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
