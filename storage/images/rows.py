"""Pictures row by row: what is too large for memory lies in a file without a name and is read in bands."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
"""Samples as ``uint8`` or ``uint16``, (H, W) or (H, W, channels)."""

IN_MEMORY_BYTES = 1 << 28
"""A picture of more bytes lies on disk while it is worked on."""
BAND_PIXELS = 1 << 20


class Rows(Protocol):
    """A picture that is asked for by rows: an ndarray, a ``Spool`` or one whose rows are computed when asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, channels)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a sample."""

    def __getitem__(self, rows: slice, /) -> Pixels:
        """The rows of a slice without a step."""


class Spool:
    """A picture in a file without a name, in memory or, from ``IN_MEMORY_BYTES`` on, on disk.

    It is written with ``put`` and read by slices of rows. The file is gone when nobody has it open any more; another
    process may be handed its ``descriptor``, and makes a spool of the same picture of it.

    Raises:
        OSError: there is no room for it.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike, descriptor: int | None = None) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * self.dtype.itemsize
        self._size = self._row_bytes * shape[0]
        if descriptor is None:
            descriptor = _unnamed_file(self._size)
            os.ftruncate(descriptor, self._size)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        if os.fstat(descriptor).st_size < self._size:
            raise ValueError("the file is too short for a picture of this size")

    @property
    def descriptor(self) -> int:
        """Of the open file; it is closed with this object."""
        return self._file.fileno()

    @property
    def is_in_memory(self) -> bool:
        """Whether it is small enough to be had whole."""
        return self._size <= IN_MEMORY_BYTES

    def put(self, top: int, rows: Pixels) -> None:
        """Write rows from row ``top`` on."""
        if rows.dtype != self.dtype or rows.shape[1:] != self.shape[1:] or top + rows.shape[0] > self.shape[0]:
            raise ValueError(f"rows {rows.shape} {rows.dtype} do not fit at {top} into {self.shape} {self.dtype}")
        data = np.ascontiguousarray(rows).data.cast("B")
        offset = top * self._row_bytes
        while data:
            written = os.pwrite(self.descriptor, data[: 1 << 30], offset)
            data, offset = data[written:], offset + written

    def __getitem__(self, rows: slice, /) -> Pixels:
        top, bottom, _ = rows.indices(self.shape[0])
        band = np.empty((max(0, bottom - top), *self.shape[1:]), self.dtype)
        view, offset = band.data.cast("B") if band.size else memoryview(b""), top * self._row_bytes
        while view:
            read = os.preadv(self.descriptor, [view[: 1 << 30]], offset)
            if not read:
                raise OSError("a picture's file became shorter")
            view, offset = view[read:], offset + read
        return band

    def whole(self) -> Rows:
        """The picture as an array without copying it, where it is in memory; else this object."""
        if not self.is_in_memory or not self._size:
            return cast(Rows, self)
        mapped = mmap.mmap(self.descriptor, self._size, mmap.MAP_SHARED, mmap.PROT_READ)
        return np.frombuffer(mapped, self.dtype).reshape(self.shape)


def bands(rows: Rows, pixels: int = BAND_PIXELS) -> Iterator[tuple[int, Pixels]]:
    """The picture from the top in bands of about so many pixels, each with its first row."""
    height = max(1, pixels // max(1, rows.shape[1]))
    for top in range(0, rows.shape[0], height):
        yield top, rows[top : min(top + height, rows.shape[0])]


def spooled(rows: Rows) -> Rows:
    """The same picture, every row of it asked for once and kept."""
    spool = Spool(rows.shape, rows.dtype)
    for top, band in bands(rows):
        spool.put(top, band)
    return spool.whole()


def whole(rows: Rows) -> Pixels:
    """All rows in memory."""
    return rows if isinstance(rows, np.ndarray) else rows[0 : rows.shape[0]]


def _unnamed_file(size: int) -> int:
    if size <= IN_MEMORY_BYTES:
        return os.memfd_create("picture", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())
