"""Values as bytes and descriptors, and back: nothing of a message is executed, and only known records come of it.

Not pickle, because the process at the other end may have been taken over by the file that it read.
A value is one byte that tells its kind, then its content; numbers are little-endian, lengths 32 bits.
"""

import dataclasses
import errno
import math
import mmap
import os
import re
import stat
import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.decoding.channel import MOST_BYTES, MOST_FILES
from storage.decoding.progress import working
from storage.decoding.registry import Registry, reference_to
from storage.images.rows import Spool

LARGE_BYTES = 1 << 20
"""Arrays from here on travel as a file that both processes have open."""
_DEEPEST = 32
_MOST_VALUES = 1 << 21
_MOST_DIMENSIONS = 8
_SAMPLE_TYPE = re.compile(r"[<>|][biuf][1248]")
_LENGTH = struct.Struct("<I")
_FLOAT = struct.Struct("<d")


class Unsendable(TypeError):  # noqa: N818 - the finding
    """A value of a kind that does not travel: a mistake of this program, not of a file."""


class BadMessage(ValueError):  # noqa: N818 - the finding
    """Bytes that ``pack`` has not written."""


@dataclasses.dataclass
class Packed:
    """A value ready to be sent. ``spools`` keeps the files of ``descriptors`` open until it is."""

    payload: bytes
    descriptors: list[int]
    spools: list[Spool]


def pack(value: object, registry: Registry) -> Packed:
    """None, bool, int, float, str, bytes, Path, datetime, numpy numbers and arrays, spools, the registry's records,
    and tuples, lists and dictionaries of these.

    Raises:
        Unsendable: there is something else in it, or too much.
    """
    packer = _Packer(registry)
    packer.add(value, 0)
    payload = b"".join(packer.parts)
    if len(payload) > MOST_BYTES or len(packer.spools) > MOST_FILES:
        raise Unsendable(f"{len(payload):,} bytes and {len(packer.spools)} pictures are too much to travel at once")
    return Packed(payload, [spool.descriptor for spool in packer.spools], packer.spools)


def unpack(payload: bytes, descriptors: list[int], registry: Registry) -> object:
    """The value that was packed. The descriptors belong to it from now on, also when this fails.

    Arrays come back read-only, large ones as mapped files; a ``Spool`` comes back as one.

    Raises:
        BadMessage: it is none.
    """
    unpacker = _Unpacker(payload, descriptors, registry)
    try:
        value = unpacker.take(0)
        if unpacker.at != len(payload) or unpacker.descriptors:
            raise BadMessage("there is more in the message than a value")
    except BadMessage:
        raise
    except MemoryError:
        raise
    except Exception as error:  # whatever a record's class or numpy say of nonsense
        if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE):
            raise
        raise BadMessage(f"{type(error).__name__}: {error}") from error
    finally:
        for descriptor in unpacker.descriptors:
            os.close(descriptor)
    return value


class _Packer:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.parts: list[bytes] = []
        self.spools: list[Spool] = []

    def add(self, value: object, depth: int) -> None:
        if depth > _DEEPEST:
            raise Unsendable("a value is nested too deeply to be sent")
        if isinstance(value, np.ndarray | np.generic):
            self._array(np.asarray(value), isinstance(value, np.generic))
        elif isinstance(value, Path):
            self._bytes(b"P", os.fsencode(value))
        elif type(value) in _PLAIN:
            kind, write = _PLAIN[type(value)]
            self._bytes(kind, write(value))
        elif isinstance(value, bool | None):
            self.parts.append({None: b"N", True: b"T", False: b"F"}[value])
        elif isinstance(value, Spool):
            self._file(b"S", value)
        elif type(value) in (tuple, list):
            self._several(b"U" if isinstance(value, tuple) else b"L", list(value), depth)  # type: ignore[call-overload]
        elif type(value) is dict:
            self._several(b"M", [part for item in value.items() for part in item], depth)
        else:
            self._record(value, depth)

    def _bytes(self, kind: bytes, content: bytes) -> None:
        self.parts += (kind, _LENGTH.pack(len(content)), content)

    def _several(self, kind: bytes, values: list[object], depth: int) -> None:
        self.parts += (kind, _LENGTH.pack(len(values)))
        for value in values:
            self.add(value, depth + 1)

    def _record(self, value: object, depth: int) -> None:
        reference = reference_to(type(value))
        if reference not in self._registry.records:
            raise Unsendable(f"{reference} does not travel to or from the decoder")
        self._bytes(b"R", reference.encode())
        names = _fields(type(value))
        self._several(b"U", [getattr(value, name) for name in names], depth)

    def _array(self, array: npt.NDArray[Any], is_number: bool) -> None:
        if not _SAMPLE_TYPE.fullmatch(array.dtype.str):
            raise Unsendable(f"arrays of {array.dtype} do not travel to or from the decoder")
        if array.nbytes > LARGE_BYTES:
            working(array.size)
            spool = Spool(array.shape, array.dtype)
            spool.put(0, array)
            self._file(b"G", spool)
        else:
            self._bytes(b"Z" if is_number else b"A", array.tobytes())
            self._shape(array.shape, array.dtype)

    def _file(self, kind: bytes, spool: Spool) -> None:
        self.parts.append(kind)
        self._shape(spool.shape, spool.dtype)
        self.spools.append(spool)

    def _shape(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.parts.append(struct.pack(f"<3sB{len(shape)}Q", dtype.str.encode(), len(shape), *shape))


class _Unpacker:
    def __init__(self, payload: bytes, descriptors: list[int], registry: Registry) -> None:
        self._payload, self._registry = memoryview(payload), registry
        self.descriptors = list(descriptors)
        self.at = 0
        self._values = 0

    def take(self, depth: int) -> object:
        self._values += 1
        if depth > _DEEPEST or self._values > _MOST_VALUES:
            raise BadMessage("nested too deeply or too many values")
        kind = bytes(self._next(1))
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _READERS:
            return _READERS[kind](bytes(self._next(self._length())))
        if kind in (b"U", b"L", b"M"):
            return self._several(kind, depth)
        if kind == b"R":
            return self._record(depth)
        if kind in (b"A", b"Z"):
            return self._array(is_number=kind == b"Z")
        if kind in (b"G", b"S"):
            return self._file(mapped=kind == b"G")
        raise BadMessage(f"no kind of value: {kind!r}")

    def _next(self, size: int) -> memoryview:
        part = self._payload[self.at : self.at + size]
        if len(part) != size:
            raise BadMessage("the message ends too early")
        self.at += size
        return part

    def _length(self) -> int:
        found: int = _LENGTH.unpack(self._next(_LENGTH.size))[0]
        return found

    def _several(self, kind: bytes, depth: int) -> object:
        count = self._length()
        values = [self.take(depth + 1) for _ in range(count)]
        if kind == b"M":
            return dict(zip(values[::2], values[1::2], strict=True))
        return tuple(values) if kind == b"U" else values

    def _record(self, depth: int) -> object:
        kind = self._registry.record(bytes(self._next(self._length())).decode())
        values = self.take(depth)
        names = _fields(kind)
        if not isinstance(values, tuple) or len(values) != len(names):
            raise BadMessage(f"not the fields of a {kind.__name__}")
        return kind(**dict(zip(names, values, strict=True)))

    def _array(self, *, is_number: bool) -> object:
        content = self._next(self._length())
        shape, dtype = self._shape()
        array = np.frombuffer(bytes(content), dtype)
        if is_number:
            return array.reshape(())[()]
        return array.reshape(shape)

    def _file(self, *, mapped: bool) -> object:
        shape, dtype = self._shape()
        descriptor = self.descriptors[0]
        size = math.prod(shape) * dtype.itemsize
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size < size or not (size and shape):
            raise BadMessage("a file does not hold the picture that it should")
        if not mapped:
            del self.descriptors[0]  # the spool closes it
            return Spool(shape, dtype, descriptor)
        return np.frombuffer(self._map(size), dtype).reshape(shape)

    def _map(self, size: int) -> mmap.mmap:
        content = mmap.mmap(self.descriptors[0], size, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(self.descriptors.pop(0))
        return content

    def _shape(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        text, dimensions = struct.unpack("<3sB", self._next(4))
        name = text.decode("ascii")
        if not _SAMPLE_TYPE.fullmatch(name) or dimensions > _MOST_DIMENSIONS:
            raise BadMessage("no array of samples")
        shape = struct.unpack(f"<{dimensions}Q", self._next(8 * dimensions))
        return tuple(int(side) for side in shape), np.dtype(name)


def _fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.init)


def _whole_number(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


_CONSTANTS = {b"N": None, b"T": True, b"F": False}
_PLAIN: dict[type, tuple[bytes, Callable[[Any], bytes]]] = {
    int: (b"I", _whole_number),
    float: (b"D", _FLOAT.pack),
    str: (b"C", lambda text: text.encode("utf-8", "surrogatepass")),
    bytes: (b"B", lambda content: content),
    datetime: (b"W", lambda when: when.isoformat().encode()),
}
_READERS: dict[bytes, Callable[[bytes], object]] = {
    b"I": lambda content: int.from_bytes(content, "little", signed=True),
    b"D": lambda content: _FLOAT.unpack(content)[0],
    b"C": lambda content: content.decode("utf-8", "surrogatepass"),
    b"B": lambda content: content,
    b"P": lambda content: Path(os.fsdecode(content)),
    b"W": lambda content: datetime.fromisoformat(content.decode()),
}
