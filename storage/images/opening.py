"""A file on its way to a reader: opened without following it into a pipe, its digest that of the bytes decoded."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from storage.decoding.progress import working
from storage.errors import UnreadableImage
from storage.fixity import sha256_bytes
from storage.images.records import Refusal
from storage.images.source import Source
from storage.paths import path_to_text

_HELD_BYTES = 1 << 28
"""A larger file is not held in memory but read where it is needed."""
_PART_BYTES = 1 << 22


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turns every failure of a reader into ``UnreadableImage`` with the file's name in it."""
    name = path_to_text(path.name)
    try:
        yield
    except UnreadableImage:
        raise
    except Refusal as refusal:
        raise UnreadableImage(f"{name} {refusal.detail}", refusal.error_type) from refusal
    except MemoryError as error:
        detail = "needs more memory than there is; run it on a larger machine"
        raise UnreadableImage(f"{name} {detail}", "too_large") from error
    except Exception as error:
        # Decoders raise whatever they like over damaged data; all of it means the same to an archivist.
        detail = "is damaged and cannot be decoded; copy it again from its source"
        raise UnreadableImage(f"{name} {detail}", "unreadable") from error


class OpenFile:
    """A file that is open: to look at its header, or to take it whole. Closed by ``opened``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._status = os.fstat(descriptor)
        self.source = Source(descriptor=descriptor)
        """The bytes where they are needed."""

    def content(self, most_bytes: int, *, in_pieces: bool = False) -> tuple[Source, str]:
        """The file's bytes, in memory unless they are many, and their digest.

        Args:
            most_bytes: a longer file is refused.
            in_pieces: leave the bytes on disk, as it is to be opened again and again (for its pages).

        Raises:
            Refusal: it is too long, or the disk does not give it.
        """
        if self._status.st_size > most_bytes:
            raise Refusal(f"is too large to be read ({self._status.st_size:,} bytes)", "too_large")
        try:
            if in_pieces or self._status.st_size > _HELD_BYTES:
                return self.source, self.digest()
            data = _read_all(self._descriptor)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise Refusal(f"could not be read to its end ({reason}); check the disk or share", "unreadable") from error
        return Source(data), sha256_bytes(data)

    def digest(self) -> str:
        """The file's SHA-256; of a file that has not changed since it is known already."""
        status = self._status
        return _digest(_Stable(self._descriptor, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)))

    def check_unchanged(self) -> None:
        """Raise ``Refusal`` if the file was written to since it was opened."""
        after = os.fstat(self._descriptor)
        if (self._status.st_size, self._status.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise Refusal("changed while it was read; try again when it is complete", "unreadable")


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a file.

    Raises:
        UnreadableImage: it is not there, may not be read, or is no file.
    """
    descriptor = _open(path)
    try:
        yield OpenFile(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadableImage(
            f"{path_to_text(path.name)} cannot be read ({reason}); check that it exists and may be read"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableImage(f"{path_to_text(path.name)} is not a file but a folder or device", "not_an_image")
    return descriptor


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


@dataclass(frozen=True)
class _Stable:
    """An open file, known by what tells that it is still the same."""

    descriptor: int = field(compare=False)
    identity: tuple[int, int, int, int]


@lru_cache(maxsize=8)
def _digest(file: _Stable) -> str:
    digest, position = hashlib.sha256(), 0
    while part := os.pread(file.descriptor, _PART_BYTES, position):
        working(0)
        digest.update(part)
        position += len(part)
    return digest.hexdigest()
