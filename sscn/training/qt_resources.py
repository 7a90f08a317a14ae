"""Files inside Qt resource collections (.rcc), as ``rcc --binary`` writes them.

Format: Qt's qresource.cpp and rcc.cpp, versions 1 to 3. A header (``qres``, version, offsets of tree, data and names;
all numbers big-endian) and a tree of fixed-size nodes; files may be stored as they are or deflated.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from sscn.errors import SscnError

MAGIC = b"qres"
_DEFLATED, _FOLDER, _ZSTD = 0x01, 0x02, 0x04


class ResourceFile(NamedTuple):
    """One file of a collection."""

    path: str
    """Inside the collection, with ``/``."""
    content: bytes


def resource_files(collection: bytes) -> Iterator[ResourceFile]:
    """All files of a collection, in the order of its tree.

    Raises:
        SscnError: not a resource collection, a damaged one, or a file packed with zstd.
    """
    if collection[:4] != MAGIC:
        raise SscnError("this is not a Qt resource collection")
    try:
        yield from _Collection(collection).walk(0, "")
    except (struct.error, IndexError, UnicodeDecodeError, zlib.error, RecursionError) as error:
        raise SscnError("this Qt resource collection is damaged") from error


class _Collection:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.version, self.tree, self.data, self.names = struct.unpack_from(">4I", raw, 4)
        self.node_bytes = 14 if self.version < 2 else 22  # since version 2 a node ends with a time stamp

    def walk(self, node: int, parent: str) -> Iterator[ResourceFile]:
        at = self.tree + node * self.node_bytes
        name, flags = struct.unpack_from(">IH", self.raw, at)
        path = f"{parent}/{self._name(name)}" if node else ""
        if flags & _FOLDER:
            count, first = struct.unpack_from(">2I", self.raw, at + 6)
            if first <= node and count:
                raise IndexError("a folder that holds itself")
            for child in range(first, first + count):
                yield from self.walk(child, path)
        else:
            (offset,) = struct.unpack_from(">I", self.raw, at + 10)
            yield ResourceFile(path.lstrip("/"), self._content(offset, flags))

    def _name(self, offset: int) -> str:
        (length,) = struct.unpack_from(">H", self.raw, self.names + offset)
        start = self.names + offset + 6
        return self.raw[start : start + 2 * length].decode("utf-16-be")

    def _content(self, offset: int, flags: int) -> bytes:
        (length,) = struct.unpack_from(">I", self.raw, self.data + offset)
        start = self.data + offset + 4
        if start + length > len(self.raw):
            raise IndexError("a file that ends behind the collection")
        stored = self.raw[start : start + length]
        if flags & _ZSTD:
            raise SscnError("this Qt resource collection is packed with zstd, which is not supported")
        return zlib.decompress(stored[4:]) if flags & _DEFLATED else stored
