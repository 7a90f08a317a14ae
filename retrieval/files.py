"""Which files are offered to a library, and under which path each is recorded."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import RetrievalError
from storage.paths import path_to_text, text_to_path
from storage.walk import FoundFile, Problem, walk_archive


@dataclass(frozen=True, slots=True)
class Offered:
    """A file offered as a reference; ``text`` is its path relative to the library, ``named`` that it was
    itself given, not found in a folder; ``problem`` is the (error type, message) of what cannot be a
    picture."""

    path: Path
    text: str
    size_bytes: int | None = None
    mtime_ns: int | None = None
    named: bool = False
    problem: tuple[str, str] | None = None


def text_of(path: Path, root: Path) -> str:
    """A file's path as it is recorded: relative to the library's root, with ``..`` for what lies outside."""
    return path_to_text(os.path.relpath(path, root))


def path_of(text: str, root: Path) -> Path:
    """The file that was recorded as ``text``."""
    return Path(os.path.normpath(root / text_to_path(text)))


def find_files(paths: Iterable[Path], root: Path) -> Iterator[Offered]:
    """The pictures among ``paths`` and in the folders among them, each once, in a fixed order.

    Raises:
        RetrievalError: one of the paths does not exist.
    """
    seen: set[str] = set()
    for path in paths:
        for offered in _below(path.resolve(), root) if path.is_dir() else [_one(path, root)]:
            if offered.text not in seen:
                seen.add(offered.text)
                yield offered


def _one(path: Path, root: Path) -> Offered:
    try:
        status = path.stat()
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise RetrievalError(
            f"{path_to_text(path)} cannot be read ({reason}); check the path of the reference"
        ) from error
    # Only the folder is resolved: a link to a picture is known by its own name.
    place = path.parent.resolve() / path.name
    return Offered(place, text_of(place, root), status.st_size, status.st_mtime_ns, named=True)


def _below(folder: Path, root: Path) -> Iterator[Offered]:
    for entry in walk_archive(folder):
        if isinstance(entry, FoundFile):
            text = text_of(entry.path, root)
            if entry.kind == "film":
                problem = ("unsupported", f"{text} is a film; a reference must be a picture")
                yield Offered(entry.path, text, entry.size_bytes, entry.mtime_ns, problem=problem)
            elif entry.kind == "page":
                problem = ("unsupported", f"{text} is a document; a reference must be a picture")
                yield Offered(entry.path, text, entry.size_bytes, entry.mtime_ns, problem=problem)
            else:
                yield Offered(entry.path, text, entry.size_bytes, entry.mtime_ns)
        elif isinstance(entry, Problem):
            yield Offered(entry.path, text_of(entry.path, root), problem=(entry.error_type, entry.message))
