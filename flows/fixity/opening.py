"""The database of a verification, which may be one that nobody may write to; and an end of its chain, as noted."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import UsageError
from flows.existing import open_existing
from flows.settings import default_database, sqlite_path
from storage.database import Database
from storage.database.events import Head
from storage.database.read_only import open_read_only

_NOTED = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


@contextmanager
def open_to_verify(url: str | None, output: Path | None) -> Iterator[Database]:
    """Open the named database, else that of the output folder; where it may only be read, to read.

    Raises:
        UsageError: there is none.
    """
    file = sqlite_path(url or default_database(output or Path()))
    if file is not None and file.is_file() and os.access(file, os.R_OK) and not _may_be_written(file):
        with open_read_only(file) as database:
            yield database
        return
    with open_existing(url, output) as database:
        yield database


def parse_noted(text: str) -> Head:
    """An end of the chain of events, as verify prints it.

    Raises:
        UsageError: it is something else.
    """
    match = _NOTED.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--noted is a number, a colon and 64 hex digits, as verify prints them; not {text!r}")
    return Head(int(match[1]), match[2])


def _may_be_written(file: Path) -> bool:
    """Whether SQLite can write to the file, for which it makes others beside it."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)
