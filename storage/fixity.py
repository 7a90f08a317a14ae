"""Fixity: digests of files, and writing a file so that it is there whole or not at all."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_SUFFIX = ".archive-colorizer-partial"


def sha256_bytes(data: bytes | memoryview) -> str:
    """The SHA-256 digest (FIPS 180-4) of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 digest of a file's content, read in pieces; raises ``OSError`` if it cannot be read."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path in ``path``'s folder; on a clean exit it becomes ``path``, durably.

    Folders are made, durably too, where they are missing. The temporary file exists, is empty and is locked for
    as long as the block runs, so that ``sweep_partial_files`` of another run leaves it alone. When the block ends
    it is synced to disk, renamed over ``path`` and the folder is synced; when the block raises it is removed.
    """
    _make_folder(path.parent)
    partial = path.parent / _partial_name(path)
    # Mode 0666 less the umask: the finished file has the rights of any other file its owner makes.
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
    try:
        _try_lock(descriptor)
        yield partial
        os.fsync(descriptor)
        partial.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def move_file(source: Path, target: Path) -> None:
    """Rename a file within its file system, durably; folders are made where they are missing."""
    _make_folder(target.parent)
    source.replace(target)
    _sync_folder(target.parent)


def sweep_partial_files(root: Path) -> int:
    """Remove what a killed run left half-written anywhere under ``root``; return how many files that were.

    Symbolic links are not followed, and files that a living process is still writing are kept.
    """
    removed = 0
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(".") and name.endswith(PARTIAL_SUFFIX):
                removed += _remove_if_abandoned(Path(folder, name))
    return removed


def _remove_if_abandoned(partial: Path) -> bool:
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # gone meanwhile, or not ours to remove
    try:
        if not _try_lock(descriptor):
            return False
        partial.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Whether no other process holds the file; true as well on file systems without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _partial_name(path: Path) -> str:
    """``.NAME.RANDOM.archive-colorizer-partial``, with NAME cut to what the file system's names may hold."""
    ending = f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
    try:
        longest = os.pathconf(path.parent, "PC_NAME_MAX")
    except (OSError, ValueError):
        longest = 255
    stem = path.name
    while len(os.fsencode(stem)) > longest - 1 - len(ending):
        stem = stem[:-1]
    return f".{stem}{ending}"


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, and sync every folder that got a new one in it."""
    missing = []
    above = folder
    while above != above.parent and not above.exists():
        missing.append(above)
        above = above.parent
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    """Sync a folder as far as it can be done: what was done in it has happened, whatever this says."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # a folder may be written to and not be read
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot sync a folder
    finally:
        os.close(descriptor)
