"""Rows: which reference lies at which position of the index."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from retrieval.index.content import DIGEST_BYTES, Digests, Ids, tags_of
from retrieval.index.readers import Positions, RowFile

DEAD = -1
"""The id at a position whose reference is no longer in use."""
_ROW = np.dtype([("id", "<i8"), ("sha256", "u1", (DIGEST_BYTES,))])


class Rows:
    """Ids (n,) and tags (n,) in memory, 16 to 20 bytes a position; whole digests are read from the file."""

    def __init__(self, file: BinaryIO, positions: int) -> None:
        self._file = RowFile(file, _ROW.itemsize)
        self.ids: Ids = np.empty(positions, np.int64)
        self.tags: NDArray[np.uint64] = np.empty(positions, np.uint64)
        for start, block in self._file.blocks():
            rows = np.frombuffer(block, _ROW)
            self.ids[start : start + len(rows)] = rows["id"]
            self.tags[start : start + len(rows)] = tags_of(rows["sha256"])
        rising = bool((np.diff(self.ids) > 0).all())
        self._order: NDArray[np.int32] | None = None if rising else np.argsort(self.ids).astype(np.int32)

    def positions(self, ids: Ids) -> Positions:
        """Where these ids lie, rising; those that are not in the index are left out."""
        ids = np.unique(ids[ids > DEAD])
        if not len(self.ids) or not len(ids):
            return np.empty(0, np.int64)
        found = np.searchsorted(self.ids, ids, sorter=self._order)
        found = np.minimum(found, len(self.ids) - 1)
        if self._order is not None:
            found = self._order[found].astype(np.int64)
        return np.sort(found[self.ids[found] == ids].astype(np.int64))

    def digests(self, positions: Positions) -> Digests:
        """sha256 (N, 32) of the contents at these positions."""
        data = self._file.read(positions)
        found: Digests = np.frombuffer(data, _ROW)["sha256"].reshape(len(positions), DIGEST_BYTES)
        return found


def encode_rows(ids: Ids, digests: Digests) -> bytes:
    """Rows as they lie in the file."""
    rows = np.empty(len(ids), _ROW)
    rows["id"], rows["sha256"] = ids, digests
    return rows.tobytes()
