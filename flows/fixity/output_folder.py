"""What lies in an output folder besides the copies: what is ours, and what no record tells of."""

import fcntl
import glob
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from flows.fixity.ledger import Ledger
from flows.reference_index import INDEX_FOLDER
from flows.report.gallery import gallery_folder
from flows.settings import DATABASE_NAME, sqlite_path
from storage.database import Database, expected_files
from storage.database.fixity import Checked
from storage.fixity import PARTIAL_SUFFIX
from storage.paths import path_to_text, text_to_path

_OF_SQLITE = ("", "-wal", "-shm", "-journal")  # https://www.sqlite.org/tempfiles.html

Find = Callable[[Checked], None]


def find_unknown(db: Database, output_root: str, ledger: Ledger, find: Find) -> None:
    """Find the files of an output folder that no record tells of, and folders that cannot be listed.

    Not the database and its backups, the galleries, this program's own folder, files that a living process is writing,
    and folders in it that are archives, reference libraries or output folders on record themselves.
    """
    try:
        output = text_to_path(output_root)
        if not output.is_dir():
            return  # that it is missing shows in its files
    except (OSError, ValueError):
        return
    own = {gallery_folder(output, 0).parent, output / Path(INDEX_FOLDER).parts[0]}
    others = {*expected_files.other_folders(db), *expected_files.output_roots(db)} - {output_root}
    walk = _Walk(output, own | {Path(_as_path(text)) for text in others}, _database_files(db, output))
    # first what is there, then what is on record: a copy is written before it is recorded
    ledger.set_present(walk.files())
    ledger.add_recorded(expected_files.recorded_outputs(db, output_root))
    for path in ledger.unknown():
        if not any(ledger.is_recorded(other) for other in walk.through_links(path)):
            find(Checked("output", "unknown", path_to_text(output / text_to_path(path))))
    for folder in walk.unlisted:
        find(Checked("output", "unreadable", path_to_text(folder)))


def is_at_work(output_root: str) -> bool:
    """Whether a run holds the output folder now; see `flows.output_lock`."""
    try:
        descriptor = os.open(text_to_path(output_root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False
    return _is_held(descriptor)


class _Walk:
    """One look through an output folder."""

    def __init__(self, output: Path, left_out: Collection[Path], database_files: Collection[Path]) -> None:
        self._output = output
        self._left_out = {os.fspath(folder) for folder in left_out}
        self._database_files = {os.fspath(file) for file in database_files}
        self._links: list[tuple[str, str]] = []
        self.unlisted: list[Path] = []
        """Folders that could not be looked into."""

    def files(self) -> Iterator[str]:
        """The files by their paths in the output folder, texts of `storage.paths`."""
        for folder, names, files in os.walk(self._output, onerror=self._note):
            kept = [name for name in sorted(names) if os.path.join(folder, name) not in self._left_out]  # noqa: PTH118
            names[:] = kept
            for name in kept:
                self._note_link(Path(folder, name))
            for name in files:
                path = Path(folder, name)
                if os.fspath(path) not in self._database_files and not _is_being_written(path):
                    yield path_to_text(path.relative_to(self._output))

    def through_links(self, path: str) -> Iterator[str]:
        """The other names that a file has by links to folders."""
        for link, target in self._links:
            if path.startswith(target):
                yield link + path[len(target) :]

    def _note(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # gone since its folder was listed
            self.unlisted.append(Path(error.filename))

    def _note_link(self, folder: Path) -> None:
        if not folder.is_symlink():
            return
        real, output = folder.resolve(), self._output.resolve()
        if real.is_relative_to(output):
            inside = path_to_text(real.relative_to(output))
            link = path_to_text(folder.relative_to(self._output))
            self._links.append((f"{link}/", "" if inside == "." else f"{inside}/"))


def _database_files(db: Database, output: Path) -> set[Path]:
    database = sqlite_path(db.url)
    files = [output / DATABASE_NAME, *([database] if database is not None else [])]
    of_sqlite = {file.with_name(file.name + ending) for file in files for ending in _OF_SQLITE}
    # `flows.database_care` makes a backup beside the database before it is upgraded
    return of_sqlite | {copy for file in files for copy in file.parent.glob(f"{glob.escape(file.stem)}.before-*.db")}


def _as_path(text: str) -> str:
    try:
        return os.fspath(text_to_path(text))
    except ValueError:
        return text


def _is_being_written(path: Path) -> bool:
    """Whether it is the partial file of a living process (`storage.fixity.atomic_write`)."""
    if not (path.name.startswith(".") and path.name.endswith(PARTIAL_SUFFIX)):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # it has its name by now
    except OSError:
        return False
    return _is_held(descriptor)


def _is_held(descriptor: int) -> bool:
    """Whether another process has the lock; the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks on this file system
        return False
    finally:
        os.close(descriptor)
    return False
