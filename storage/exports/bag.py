"""BagIt bags (RFC 8493), made and validated with the Library of Congress' `bagit`.

A bag is put together beside its place and gets its name when it is whole and valid. Every file is compared with the
digest that is on record of it while it is copied.
"""

import errno
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.database.types import storable
from storage.errors import StorageError
from storage.fixity import PARTIAL_SUFFIX, sha256_file
from storage.paths import path_to_text

CHECKSUMS = ("sha256", "sha512")
_PIECE = 1 << 20
_VERSION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class FileNotInBag(StorageError):  # noqa: N818 - the name is the finding
    """A file cannot be put into a bag, or is not what is on record; the message is the reason alone."""


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag that is whole and valid; `sha256` is that of its manifest-sha256.txt, which names all its payload."""

    path: Path
    files: int
    bytes: int
    sha256: str


def payload_name(text: str) -> str:
    r"""A path, as text of `storage.paths`, as it is called in a bag; `storage.paths.text_to_path` leads back.

    Manifests are lines, in which readers cut blanks at the end and take ``%`` for an escape (RFC 8493, 2.1.3), so
    besides what is no printable UTF-8 these are written as ``\xHH``.
    """
    return "/".join(_without_end_blanks(part.replace("%", "\\x25")) for part in text.split("/"))


class BagWriter:
    """A bag in the making; use as a context manager, which leaves nothing behind unless `finish` was called.

    Args:
        target: the folder that the bag becomes; what is there must be empty.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._names: dict[str, tuple[str, str | None]] = {}  # by normalized name: text and digest

    def __enter__(self) -> Self:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(self._target)
        self._folder = self._target.parent / f".{self._target.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
        self._folder.mkdir()
        self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, source: Path, text: str, sha256: str) -> str:
        """Copy a file to the payload path `text` (of `storage.paths`, without data/); its path in the bag, as text.

        The same path with the same digest is copied once.

        Raises:
            FileNotInBag: it is missing, unreadable, another file than the digest says, or its name has no place.
            OSError: the bag cannot be written.
        """
        place, name, is_new = self._take(text, sha256)
        if is_new:
            try:
                found = _copy(source, place)
                if found != sha256:
                    raise FileNotInBag(f"it is not the file on record any more (SHA-256 {found}, recorded {sha256})")
            except FileNotInBag:
                with suppress(OSError):
                    place.unlink()
                self._give_back(name)
                raise
        return f"data/{name}"

    def add_frames(self, frames: list[Path], text: str, sha256: str) -> str:
        """Copy the frames of a film into the payload folder `text`, as `add` does.

        Args:
            frames: in the order of their numbers.
            sha256: that of the list of their digests, see `storage.film.digest`.
        """
        folder, name, is_new = self._take(text, sha256)
        if not is_new:
            return f"data/{name}"
        try:
            listing = hashlib.sha256()
            for frame in frames:
                frame_name = path_to_text(frame.name)
                digest = _copy(frame, folder / payload_name(frame_name))
                listing.update(f"{digest}  {frame_name}\n".encode())
            if listing.hexdigest() != sha256:
                raise FileNotInBag(f"its frames are not those on record any more (recorded {sha256})")
        except FileNotInBag:
            shutil.rmtree(folder, ignore_errors=True)
            self._give_back(name)
            raise
        return f"data/{name}"

    def made(self, text: str) -> Path:
        """Where a file that is made for the bag is to be written."""
        place, _, _ = self._take(text, None)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def finish(self, info: Mapping[str, str]) -> Bag:
        """Make the manifests, validate the whole bag and give it its name.

        Args:
            info: for bag-info.txt; Payload-Oxum is added.

        Raises:
            StorageError: the bag is not valid, or another has taken its place.
            OSError: it cannot be written.
        """
        import bagit

        clean = {name: " ".join(storable(value).split()) for name, value in info.items()}
        try:
            with _quiet(logging.getLogger("bagit")):
                bag = bagit.make_bag(str(self._folder), clean, checksums=list(CHECKSUMS))
                # bagit writes version 0.97; names are such that nothing else differs in 1.0, the version of the RFC
                (self._folder / "bagit.txt").write_text(_VERSION, encoding="utf-8")
                bag.save()
                bagit.Bag(str(self._folder)).validate()
        except bagit.BagError as error:
            raise StorageError(
                f"{path_to_text(self._target)}: the bag did not come out valid ({error}); export it again"
            ) from error
        octets, _, files = bag.info["Payload-Oxum"].partition(".")
        sha256 = sha256_file(self._folder / "manifest-sha256.txt")
        _sync(self._folder)  # before the name says that all is there
        try:
            self._folder.rename(self._target)
        except OSError as error:
            raise StorageError(
                f"{path_to_text(self._target)}: something has come there meanwhile; name another folder"
            ) from error
        return Bag(self._target, int(files), int(octets), sha256)

    def _take(self, text: str, sha256: str | None) -> tuple[Path, str, bool]:
        """Where a payload path lies in the bag, its name there, and whether it is new."""
        parts = text.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise FileNotInBag("its path on record leads out of its folder")
        for name in (payload_name(text), _ascii(payload_name(text))):
            # bagit takes names that differ only in their Unicode normalization for the same
            taken = self._names.setdefault(unicodedata.normalize("NFC", name), (text, sha256))
            if taken[0] == text and taken[1] != sha256:
                raise FileNotInBag("another file of this name is in the bag already")
            if taken[0] == text:
                place = self._folder / name
                return place, name, not place.exists()
        raise FileNotInBag("two others of nearly this name are in the bag already")

    def _give_back(self, name: str) -> None:
        del self._names[unicodedata.normalize("NFC", name)]


def _without_end_blanks(part: str) -> str:
    kept = part.rstrip()
    return kept + _escaped(part[len(kept) :])


def _ascii(text: str) -> str:
    return "".join(sign if sign.isascii() else _escaped(sign) for sign in text)


def _escaped(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8"))


def _copy(source: Path, target: Path) -> str:
    """Copy a file; the SHA-256 of what was copied. What is wrong with `source` is a `FileNotInBag`."""
    try:
        # not blocking: the name may lead to a pipe by now
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotInBag("it is not a file")
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = target.open("xb")
        except OSError as error:
            raise _unwritable(error) from error
        digest = hashlib.sha256()
        with copy:
            while piece := _read(file.read):
                digest.update(piece)
                copy.write(piece)
    return digest.hexdigest()


def _read(read: Callable[[int], bytes]) -> bytes:
    try:
        return read(_PIECE)
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> FileNotInBag:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return FileNotInBag("it is missing")
    return FileNotInBag(f"it cannot be read ({getattr(error, 'strerror', None) or error})")


def _unwritable(error: OSError) -> Exception:
    """What is wrong with the name of one file, or with the place of the whole bag."""
    if error.errno == errno.ENAMETOOLONG:
        return FileNotInBag("its name is too long once it is written so that a bag can hold it")
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return FileNotInBag("another file of this name is in the bag already")
    return error


def _sync(folder: Path) -> None:
    """Bring everything below a folder to the disk."""
    for place, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(place, name) for name in names), Path(place)):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
                    raise
            finally:
                os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove what killed exports to this place left behind."""
    for left in target.parent.glob(f".{escape(target.name)}.*{PARTIAL_SUFFIX}"):
        try:
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            pass  # another export is at work there
        finally:
            os.close(descriptor)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Its lines and tracebacks are for programmers; what matters comes as an exception."""
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
