"""Walking an archive folder: what is a master, what is a broken claim, what is neither."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from storage.paths import path_to_text
from storage.signatures import (
    FILM_SUFFIXES,
    SIGNATURE_BYTES,
    SUFFIXES,
    Kind,
    describe_content,
    signature_of,
    unread_picture,
)

_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin"})


@dataclass(frozen=True)
class FoundFile:
    """A file whose content is a photograph, a page or a film; ``relative`` is its place in the archive."""

    path: Path
    relative: PurePosixPath
    size_bytes: int
    mtime_ns: int
    kind: Kind
    format: str


@dataclass(frozen=True)
class Problem:
    """Something in the archive that needs a person; ``message`` is one line for that person."""

    path: Path
    relative: PurePosixPath
    error_type: str
    message: str


@dataclass(frozen=True)
class Ignored:
    """A file or folder that neither is nor claims to be a picture or film."""

    path: Path
    relative: PurePosixPath


Entry = FoundFile | Problem | Ignored
_Identity = tuple[int, int]


@dataclass(frozen=True)
class _Folder:
    path: str
    relative: PurePosixPath
    parents: frozenset[_Identity]  # device and inode of this folder and of all that contain it


def walk_archive(root: Path) -> Iterator[Entry]:
    """Everything under ``root``, folder by folder, in the order of the raw bytes of the names.

    Files are told by their first bytes; each is opened at most once, and only if it is a regular file.
    Symbolic links are followed; one that leads back into a folder that contains it is reported once and not
    entered.
    Never raises for what lies in the archive; a ``root`` that cannot be listed is a ``Problem`` itself.
    """
    top = PurePosixPath()
    opened = _enter(os.fspath(root), top, frozenset())
    if isinstance(opened, Problem):
        yield opened
        return
    # A stack of iterators instead of recursion: archives nest deeper than Python's recursion limit.
    stack = [iter(opened)]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
            continue
        name, is_link, folder = item
        result = _look_at(name, is_link, folder)
        if isinstance(result, _Folder):
            entered = _enter(result.path, result.relative, folder.parents)
            if isinstance(entered, Problem):
                yield entered
            else:
                stack.append(iter(entered))
        else:
            yield result


def _enter(
    path: str, relative: PurePosixPath, parents: frozenset[_Identity]
) -> list[tuple[str, bool, _Folder]] | Problem:
    """The sorted entries of a folder, or the problem that keeps it shut."""
    try:
        status = os.stat(path)  # noqa: PTH116 - Path objects for 50,000 entries cost more than the walk
        identity = (status.st_dev, status.st_ino)
        if identity in parents:
            return _loop(path, relative)
        folder = _Folder(path, relative, parents | {identity})
        with os.scandir(path) as entries:
            names = [(entry.name, entry.is_symlink()) for entry in entries]
    except OSError as error:
        what = "folder" if relative.parts else "archive folder"
        message = (
            f"{what} {path_to_text(relative if relative.parts else path)} cannot be listed "
            f"({_reason(error)}); check that it exists and may be read"
        )
        return Problem(Path(path), relative, "unreadable", message)
    names.sort(key=lambda entry: os.fsencode(entry[0]))
    return [(name, is_link, folder) for name, is_link in names]


def _look_at(name: str, is_link: bool, folder: _Folder) -> Entry | _Folder:
    path = os.path.join(folder.path, name)  # noqa: PTH118
    relative = folder.relative / name
    if name.startswith(".") or name.lower() in _LITTER:
        return Ignored(Path(path), relative)
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        return _stat_problem(path, relative, is_link, error)
    if stat.S_ISDIR(status.st_mode):
        return _Folder(path, relative, folder.parents)
    claims = os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122
    if not stat.S_ISREG(status.st_mode):
        if not claims:
            return Ignored(Path(path), relative)
        message = f"{path_to_text(relative)} is not an image: it is a pipe, socket or device; remove it"
        return Problem(Path(path), relative, "not_an_image", message)
    return _identify(path, relative, claims)


def _identify(path: str, relative: PurePosixPath, claims: bool) -> Entry:
    """Open a regular file once and tell by its first bytes what it is."""
    try:
        # O_NONBLOCK: should the file have been swapped for a pipe since, opening it must not hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            head = os.read(descriptor, SIGNATURE_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not claims and relative.suffix:
            return Ignored(Path(path), relative)
        message = f"{path_to_text(relative)} cannot be read ({_reason(error)}); check its access rights"
        return Problem(Path(path), relative, "unreadable", message)
    signature = signature_of(head)
    if signature is not None:
        return FoundFile(Path(path), relative, status.st_size, status.st_mtime_ns, signature.kind, signature.format)
    refused = unread_picture(head)
    if refused is not None:
        message = f"{path_to_text(relative)} is {refused}, which is not read here; convert it to TIFF or PNG"
        return Problem(Path(path), relative, "unsupported", message)
    if not claims:
        return Ignored(Path(path), relative)
    if not head:
        message = f"{path_to_text(relative)} is empty; copy it again from its source or remove it"
        return Problem(Path(path), relative, "empty", message)
    is_film = relative.suffix.lower() in FILM_SUFFIXES
    message = (
        f"{path_to_text(relative)} is not {'a film' if is_film else 'an image'}: it contains {describe_content(head)}; "
        f"replace it by the real file, or remove the suffix {relative.suffix} from its name"
    )
    return Problem(Path(path), relative, "not_a_film" if is_film else "not_an_image", message)


def _stat_problem(path: str, relative: PurePosixPath, is_link: bool, error: OSError) -> Problem:
    if error.errno == errno.ELOOP:
        return _loop(path, relative)
    if is_link and error.errno in (errno.ENOENT, errno.ENOTDIR):
        target = path_to_text(os.readlink(path))  # noqa: PTH115
        message = f"{path_to_text(relative)} is a link to {target}, which is missing; mend or remove the link"
        return Problem(Path(path), relative, "dangling_link", message)
    message = f"{path_to_text(relative)} cannot be looked at ({_reason(error)}); check its access rights"
    return Problem(Path(path), relative, "unreadable", message)


def _loop(path: str, relative: PurePosixPath) -> Problem:
    message = f"{path_to_text(relative)} is a link that leads back to a folder it lies in; remove the link"
    return Problem(Path(path), relative, "link_loop", message)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
