"""The database of an output folder that was used before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import UsageError
from flows.settings import default_database, sqlite_path
from storage.database import Database, open_database


@contextmanager
def open_existing(url: str | None, output: Path | None) -> Iterator[Database]:
    """Open the named database, else that of the output folder (default: the folder we are in). Never makes one.

    Raises:
        UsageError: there is none.
    """
    url = url or default_database(output or Path())
    file = sqlite_path(url)
    if file is not None and not file.exists():
        raise UsageError(
            f"there is no database {file}; name the output folder of a run with --output, or --database URL"
        )
    with open_database(url, create=False) as database:
        yield database
