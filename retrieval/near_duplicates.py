"""Near-duplicates: pictures that show nearly the same as one that the library has already.

A smaller copy, one saved again, brightened or cropped a little gives the same colours, so that searches hand out one
of them alone. The embedding alone cannot tell: measured on 60 photographs, copies saved at quality 60, of half the
size, cut by 3 % or brightened by a quarter have inner products down to 0.79, and views of one scene moved by a third up
to 0.90. The agreement of the parts can: 0.71 and more for all of those copies, at most 0.58 for such views, at most
0.47 for any two of 393 different photographs.

A group hangs on the one that was added first: each of the others is compared with that one, so that a long
row of pictures, each a little unlike the one before, makes no group.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index import IndexKeeper
from retrieval.parts import Parts, agreement
from retrieval.records import Reference
from storage.database import Database, reference_parts, reference_vectors, references

LIKENESS = 0.75
"""Least inner product of the embeddings."""
AGREEMENT = 0.7
"""Least agreement of the parts (`retrieval.parts`), which tells other pictures of the same kind apart."""
_LOOKED_AT = 8
"""References of the library that each new one is compared with; a group counts once, by its oldest."""
_HELD = 2000
"""New references compared one by one; with more of them, the index is brought up to date."""


class NearDuplicates:
    """Finds what pictures about to be added to a library nearly show again.

    Args:
        database: where the library is recorded.
        keeper: of its index, up to date.
        embedding_version: of the vectors.
        parts_version: of the parts.
    """

    def __init__(self, database: Database, keeper: IndexKeeper, embedding_version: str, parts_version: str) -> None:
        self._database, self._keeper = database, keeper
        self._embedding_version, self._parts_version = embedding_version, parts_version
        self._recent: list[tuple[int, NDArray[np.float32], Parts]] = []

    def find(self, vectors: Mapping[str, NDArray[np.float32]], parts: Mapping[str, Parts]) -> dict[str, int | str]:
        """What each picture is a near-duplicate of: the id of the oldest of a group, or the path of one given here.

        Args:
            vectors: (d,) by path, unit length.
            parts: (PARTS_BYTES,) by path; what has none is like no other.
        """
        texts = sorted(vectors.keys() & parts.keys())
        if not texts:
            return {}
        hits = self._keeper.index.search(np.stack([vectors[text] for text in texts]), _LOOKED_AT)
        close = [one.ids[one.products >= LIKENESS].tolist() for one in hits]
        oldest = self._oldest({id_ for ids in close for id_ in ids})
        known = self._described({group for group, _ in oldest.values()})
        found: dict[str, int | str] = {}
        first: list[tuple[str, NDArray[np.float32], Parts]] = []
        for text, ids in zip(texts, close, strict=True):
            groups = {oldest[id_][0] for id_ in ids if id_ in oldest and oldest[id_][1] != text}
            others = [(id_, *known[id_]) for id_ in sorted(groups & known.keys())]
            like = _most_alike(vectors[text], parts[text], [*others, *self._recent, *first])
            if like is None:
                first.append((text, vectors[text], parts[text]))
            else:
                found[text] = like
        return found

    def added(
        self, ids: Mapping[str, int], vectors: Mapping[str, NDArray[np.float32]], parts: Mapping[str, Parts]
    ) -> None:
        """References that were recorded and are like no other; by path as in `find`."""
        self._recent += [(id_, vectors[text], parts[text]) for text, id_ in ids.items() if text in parts]
        if len(self._recent) >= _HELD:
            self._keeper.refresh()
            self._recent.clear()

    def _oldest(self, ids: set[int]) -> dict[int, tuple[int, str]]:
        """By id of a reference in use: the oldest of its group, and its own path."""
        rows = references.get(self._database, ids)
        return {id_: (row.near_duplicate_of or id_, row.path) for id_, row in rows.items() if row.state == "active"}

    def _described(self, ids: set[int]) -> dict[int, tuple[NDArray[np.float32], Parts]]:
        """Vectors and parts of references, also of retired ones; those that lack one of this version are left out."""
        rows = references.get(self._database, ids)
        same = [id_ for id_, row in rows.items() if row.embedding_version == self._embedding_version]
        vectors = reference_vectors.of(self._database, same)
        parts = reference_parts.get(self._database, self._parts_version, same)
        return {id_: (vectors[id_], np.frombuffer(parts[id_], np.int8)) for id_ in vectors.keys() & parts.keys()}


def distinct(ordered: Iterable[Reference], k: int) -> list[Reference]:
    """The first k of references of different contents and groups."""
    found: list[Reference] = []
    seen: set[int | str] = set()
    for one in ordered:
        if one.sha256 not in seen and one.group not in seen:
            seen |= {one.sha256, one.group}
            found.append(one)
    return found[:k]


def _most_alike(
    vector: NDArray[np.float32], parts: Parts, others: Sequence[tuple[int | str, NDArray[np.float32], Parts]]
) -> int | str | None:
    """Which of the others a picture nearly shows again; of several the one most like it, then the first."""
    products = np.array([float(vector @ other) for _, other, _ in others])
    for number in map(int, np.argsort(-products, kind="stable")):
        if products[number] < LIKENESS:
            return None
        if float(agreement(parts, others[number][2][None])[0]) >= AGREEMENT:
            return others[number][0]
    return None
