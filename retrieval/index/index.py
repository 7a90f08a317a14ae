"""The index as it is searched: a build, what has changed since, and the ten nearest of a query by exact products."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.index.content import Ids, changed_content, content_of
from retrieval.index.delta import Changed, Delta
from retrieval.index.flat import Mask, Vectors, exact_nearest
from retrieval.index.manifest import Manifest
from retrieval.index.readers import Positions
from retrieval.index.rows import DEAD, Rows
from storage.database.reference_vectors import ReferenceChanges

EXACT_AMONG = 50_000
"""So many allowed references are compared one by one, read from their files."""
_READ_TOGETHER = 8192
_ROUNDING = 1e-6
"""Products of unit vectors may differ by less than this in single precision."""
_WIDER = 4


@dataclass(frozen=True, slots=True)
class Hits:
    """What a query found, best first, equal products by id: ids (k,), inner products (k,), and the tags (k,) of the
    contents that the vectors were made of (`retrieval.index.content`)."""

    ids: Ids
    products: NDArray[np.float64]
    tags: NDArray[np.uint64]


class Base(Protocol):
    """The vectors of a build: `FlatVectors` or `IvfVectors`."""

    def __len__(self) -> int: ...
    def candidates(self, k: int) -> int: ...
    def nearest(self, queries: Vectors, count: int, mask: Mask | None) -> Positions: ...
    def read(self, positions: Positions) -> Vectors: ...


class VectorIndex:
    """Inner-product search over unit vectors, answering with the database's ids. It never changes.

    ``change`` is the library's last change that it knows, ``content`` the digest of what it answers from.
    """

    def __init__(
        self, manifest: Manifest, base: Base, rows: Rows, alive: Mask, delta: Delta, change: int, content: int
    ) -> None:
        self.manifest = manifest
        self.base, self.rows, self.alive, self.delta = base, rows, alive, delta
        self.change, self.content = change, content
        self._base_count = int(alive.sum())
        self._unhindered = self._base_count == len(alive)

    @classmethod
    def of_build(cls, manifest: Manifest, base: Base, rows: Rows) -> "VectorIndex":
        """The index as it was built."""
        alive = rows.ids != DEAD
        delta = Delta.empty(manifest.dimension)
        return cls(manifest, base, rows, alive, delta, manifest.change, int(manifest.content, 16))

    def __len__(self) -> int:
        return self._base_count + len(self.delta)

    @property
    def unsaved(self) -> int:
        """How many vectors and removals are in memory alone."""
        return len(self.delta) + self.manifest.count - self._base_count

    def with_changes(self, changes: list[ReferenceChanges]) -> "VectorIndex":
        """The index after these changes of the library, given in their order."""
        changed = Changed(changes)
        positions = self.rows.positions(changed.all)
        gone = positions[self.alive[positions]]
        alive = self.alive.copy()
        alive[gone] = False
        leaving = np.isin(self.delta.ids, changed.all)
        removed = content_of(self.rows.ids[gone], self.rows.digests(gone))
        removed += content_of(self.delta.ids[leaving], self.delta.digests[leaving])
        delta = self.delta.without(changed.all)
        if changed.vectors:
            delta = delta.with_references(changed.ids, changed.digests, np.stack(changed.vectors))
        content = changed_content(self.content, content_of(changed.ids, changed.digests), removed)
        return VectorIndex(self.manifest, self.base, self.rows, alive, delta, changes[-1].change, content)

    def search(self, queries: Vectors, k: int, among: Ids | None = None) -> list[Hits]:
        """The k nearest of every query; fewer come back where there are fewer.

        Products are summed again in double precision, one query at a time, so that they (and the order) do not
        depend on how many queries came together.

        Args:
            queries: (N, d) float32, unit length.
            k: how many, from 1.
            among: ids of the references that may be found; None for all.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        mask = None if among is None and self._unhindered else self._mask(among)
        allowed = None if among is None else np.isin(self.delta.ids, among)
        found: list[Hits | None] = [None] * len(queries)
        count, open_queries = self.base.candidates(k), np.arange(len(queries))
        while len(open_queries):
            some = queries[open_queries]
            in_base = self._in_base(some, count, mask, filtered=among is not None)
            in_delta = self.delta.search.nearest(some, min(count, len(self.delta)), allowed)
            for number, one, other in zip(open_queries.tolist(), in_base, in_delta, strict=True):
                found[number] = self._ranked(queries[number], one, other, k, count)
            open_queries = np.array([one for one in open_queries.tolist() if found[one] is None], np.int64)
            count *= _WIDER
        return [one for one in found if one is not None]

    def exact(self, queries: Vectors, k: int) -> list[Ids]:
        """The ids that `search` finds when every vector is compared, to hold it against."""
        in_base = exact_nearest(self._read(np.flatnonzero(self.alive)), queries, k)
        in_delta = self.delta.search.nearest(queries, min(k, len(self.delta)), None)
        found = [self._ranked(*one, k, len(self) + 1) for one in zip(queries, in_base, in_delta, strict=True)]
        return [one.ids for one in found if one is not None]

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors (M, d) of those of these references, given by rising id, that are in the index."""
        positions = self.rows.positions(ids)
        positions = positions[self.alive[positions]]
        in_delta = np.isin(self.delta.ids, ids)
        order = np.argsort(np.concatenate([self.rows.ids[positions], self.delta.ids[in_delta]]))
        return np.concatenate([self.base.read(positions), self.delta.vectors[in_delta]])[order]

    def _mask(self, among: Ids | None) -> Mask:
        if among is None:
            return self.alive
        mask = np.zeros(len(self.alive), bool)
        positions = self.rows.positions(np.asarray(among, np.int64))
        mask[positions] = self.alive[positions]
        return mask

    def _in_base(self, queries: Vectors, count: int, mask: Mask | None, *, filtered: bool) -> Positions:
        if filtered and mask is not None:
            positions = np.flatnonzero(mask)
            if len(positions) <= EXACT_AMONG:
                return exact_nearest(self._read(positions), queries, min(count, len(positions)))
        return self.base.nearest(queries, min(count, len(self.base)), mask)

    def _read(self, positions: Positions) -> Iterator[tuple[Positions, Vectors]]:
        for at in range(0, len(positions), _READ_TOGETHER):
            piece = positions[at : at + _READ_TOGETHER]
            yield piece, self.base.read(piece)

    def _ranked(self, query: Vectors, in_base: Positions, in_delta: Positions, k: int, count: int) -> Hits | None:
        """The k best of the candidates; None if others, that are not among them, may be as good as the last."""
        in_base, in_delta = in_base[in_base >= 0], in_delta[in_delta >= 0]
        vectors = np.concatenate([self.base.read(in_base), self.delta.vectors[in_delta]])
        products = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
        ids = np.concatenate([self.rows.ids[in_base], self.delta.ids[in_delta]])
        order = np.lexsort((ids, -products))[:k]
        if len(order) == k:
            for part in (products[: len(in_base)], products[len(in_base) :]):
                if len(part) >= count and part.min() >= products[order[-1]] - _ROUNDING:
                    return None
        tags = np.concatenate([self.rows.tags[in_base], self.delta.tags[in_delta]])
        return Hits(ids[order], products[order], tags[order])
