"""Rows of equal length read from files at any position, without mapping the files into memory.

What is read by `pread` stays in the system's cache, where it makes room for others, and is no memory of the process.
"""

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import RetrievalError

Positions = NDArray[np.int64]

_BLOCK_BYTES = 1 << 24


class RowFile:
    """A file of rows, closed when nothing uses it any more."""

    def __init__(self, file: BinaryIO, row_bytes: int) -> None:
        self._file = file
        self._row_bytes = row_bytes
        self._descriptor = file.fileno()
        self.rows = os.fstat(self._descriptor).st_size // row_bytes

    def __del__(self) -> None:
        self._file.close()

    def read(self, positions: Positions) -> bytearray:
        """The rows at these positions, one after the other.

        Raises:
            RetrievalError: the file ends too early, or the disk fails.
        """
        size = self._row_bytes
        data = bytearray(len(positions) * size)
        if not len(positions):
            return data
        view = memoryview(data)
        # what lies side by side is read together
        starts = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) != 1)
        ends = [*starts[1:].tolist(), len(positions)]
        for start, end, position in zip(starts.tolist(), ends, positions[starts].tolist(), strict=True):
            self._fill(view[start * size : end * size], position * size)
        return data

    def blocks(self) -> Iterator[tuple[int, bytearray]]:
        """All rows from the first to the last in large pieces, each with the position of its first row."""
        step = max(1, _BLOCK_BYTES // self._row_bytes)
        for start in range(0, self.rows, step):
            data = bytearray(min(step, self.rows - start) * self._row_bytes)
            self._fill(memoryview(data), start * self._row_bytes)
            yield start, data

    def _fill(self, view: memoryview, offset: int) -> None:
        while len(view):
            try:
                got = os.preadv(self._descriptor, [view], offset)
            except OSError as error:
                raise RetrievalError(f"{self._file.name} cannot be read ({error.strerror}); check the disk") from error
            if got == 0:
                raise RetrievalError(f"{self._file.name} ends too early; run `references rebuild`")
            view, offset = view[got:], offset + got


class VectorFiles:
    """Vectors (n, d) float32 in one file or in several that continue each other."""

    def __init__(self, files: Sequence[BinaryIO], dimension: int) -> None:
        self.dimension = dimension
        self._files = [RowFile(file, 4 * dimension) for file in files]
        self._starts = np.cumsum([0, *(file.rows for file in self._files)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, positions: Positions) -> NDArray[np.float32]:
        """The vectors (N, d) at these positions."""
        if len(self._files) == 1:
            return self._as_vectors(self._files[0].read(positions))
        found = np.empty((len(positions), self.dimension), np.float32)
        number = np.searchsorted(self._starts, positions, side="right") - 1
        for one in np.unique(number).tolist():
            here = number == one
            found[here] = self._as_vectors(self._files[one].read(positions[here] - self._starts[one]))
        return found

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """All vectors in order, in pieces of some megabytes, each with the position of its first one."""
        for first, file in zip(self._starts.tolist(), self._files, strict=False):
            for start, data in file.blocks():
                yield first + start, self._as_vectors(data)

    def _as_vectors(self, data: bytearray) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = (
            np.frombuffer(data, "<f4").reshape(-1, self.dimension).astype(np.float32, copy=False)
        )
        return vectors
