"""The folder of an index: names of its files, the one writer at a time, and what is left over in it."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from retrieval.index.manifest import MANIFEST_NAME, IndexFile, Manifest, StaleIndex
from storage.fixity import atomic_write

_PREFIX = "references"
_LOCK_NAME = f"{_PREFIX}.lock"


@contextmanager
def writing(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Be the one that writes to the folder; False if another process is and we do not ``wait`` for its end.

    Readers need no lock: files never change, and the manifest is replaced whole. Where the folder or its file system
    has no locks, True; then two writers both write whole builds, and the last one's counts.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError:  # what is to be written will say what is wrong
        yield True
        return
    try:
        yield _locked(descriptor, wait)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class NewFile:
    """A file being written, with what the manifest says of it."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._name, self._file = name, file
        self._sha256 = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes; how many, as a file's own method says."""
        self._file.write(data)
        self._sha256.update(data)
        self._size += len(data)
        return len(data)

    @property
    def entry(self) -> IndexFile:
        """What was written so far."""
        return IndexFile(self._name, self._size, self._sha256.hexdigest())


@contextmanager
def new_file(folder: Path, ending: str) -> Iterator[NewFile]:
    """Write a file under a name that was never used; it is there whole after the block, or not at all."""
    name = f"{_PREFIX}-{secrets.token_hex(8)}.{ending}"
    with atomic_write(folder / name) as path, path.open("wb") as file:
        yield NewFile(name, file)


def open_checked(folder: Path, entry: IndexFile) -> BinaryIO:
    """Open a file that a manifest names, at its start, after all of its bytes were checked.

    Raises:
        FileNotFoundError: it is gone.
        StaleIndex: it cannot be read, or is not what was written.
    """
    path = folder / entry.name
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StaleIndex(f"{path} cannot be read ({error.strerror})") from error
    try:
        size = os.fstat(file.fileno()).st_size
        if size != entry.size_bytes:
            raise StaleIndex(f"{path} is incomplete ({size} of {entry.size_bytes} bytes)")
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            raise StaleIndex(f"{path} is damaged (sha256 differs)")
        file.seek(0)
    except OSError as error:
        file.close()
        raise StaleIndex(f"{path} cannot be read ({error.strerror})") from error
    except BaseException:
        file.close()
        raise
    return file


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove index files that the manifest does not name; only for who is `writing`. Who has them open reads on."""
    keep = {MANIFEST_NAME, _LOCK_NAME, *(one.name for one in manifest.files)}
    for path in folder.glob(f"{_PREFIX}*"):
        if path.name not in keep:
            path.unlink(missing_ok=True)
