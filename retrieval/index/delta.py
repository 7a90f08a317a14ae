"""What the database has and the build on disk has not yet: a few vectors in memory."""

import numpy as np
from numpy.typing import NDArray

from retrieval.index.content import DIGEST_BYTES, Digests, Ids, digests_of, tags_of
from retrieval.index.flat import FlatVectors, Vectors
from storage.database.reference_vectors import ReferenceChanges


class Delta:
    """References by rising id: ids (m,), digests (m, 32), vectors (m, d), and an exact search over them."""

    def __init__(self, ids: Ids, digests: Digests, vectors: Vectors) -> None:
        self.ids, self.digests, self.vectors = ids, digests, vectors
        self.tags: NDArray[np.uint64] = tags_of(digests)
        self.search = FlatVectors(vectors)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, dimension: int) -> "Delta":
        """Nothing."""
        return cls(np.empty(0, np.int64), np.empty((0, DIGEST_BYTES), np.uint8), np.empty((0, dimension), np.float32))

    def without(self, ids: Ids) -> "Delta":
        """The same less these references."""
        keep = ~np.isin(self.ids, ids)
        return self if keep.all() else Delta(self.ids[keep], self.digests[keep], self.vectors[keep])

    def with_references(self, ids: Ids, digests: Digests, vectors: Vectors) -> "Delta":
        """The same and these references, which are not among them yet."""
        if not len(ids):
            return self
        joined = np.concatenate([self.ids, ids])
        order = np.argsort(joined)
        digests = np.concatenate([self.digests, digests])
        vectors = np.concatenate([self.vectors, vectors])
        return Delta(joined[order], digests[order], vectors[order])


class Changed:
    """The end result of changes: all ids that were written, and those of them that are in use."""

    def __init__(self, changes: list[ReferenceChanges]) -> None:
        last: dict[int, tuple[str, Vectors] | None] = {}
        for one in changes:
            last.update(dict.fromkeys(one.gone.tolist()))
            active = one.active
            rows = zip(active.sha256s, active.vectors, strict=True)
            last.update(zip(active.ids.tolist(), rows, strict=True))
        in_use = {id_: row for id_, row in last.items() if row is not None}
        self.all = np.array(list(last), np.int64)
        self.ids = np.array(list(in_use), np.int64)
        self.digests = digests_of(sha256 for sha256, _ in in_use.values())
        self.vectors = [vector for _, vector in in_use.values()]
