"""Random access to a file's bytes, from memory or from disk, with every read inside the file."""

import os
import zlib

from storage.images.records import Refusal


class Source:
    """The bytes of one file. ``read`` never gives fewer bytes than asked for."""

    def __init__(self, data: bytes | None = None, descriptor: int | None = None) -> None:
        self._data = data
        self._descriptor = descriptor
        if data is not None:
            self.size = len(data)
        elif descriptor is not None:
            self.size = os.fstat(descriptor).st_size
        else:
            raise ValueError("a source needs bytes or an open file")

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; raises ``Refusal`` "truncated" if they are not all there."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Refusal("is cut off before its end; copy it again from its source", "truncated")
        if self._data is not None:
            return self._data[offset : offset + length]
        assert self._descriptor is not None
        found = os.pread(self._descriptor, length, offset)
        while len(found) < length:  # one call gives 2 GB at most
            more = os.pread(self._descriptor, length - len(found), offset + len(found))
            if not more:
                raise Refusal("became shorter while it was read; try again when it is complete", "truncated")
            found += more
        return found

    def all(self) -> bytes:
        """The whole file."""
        return self._data if self._data is not None else self.read(0, self.size)


def inflate(data: bytes, limit: int) -> bytes | None:
    """Decompress zlib ``data`` of at most ``limit`` bytes; None if it is damaged or longer than that."""
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(data, limit)
    except zlib.error:
        return None
    return content if decompressor.eof else None
