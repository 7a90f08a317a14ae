"""A SQLite database that nobody may write to: on a medium for reading, or with the rights of somebody else."""

import os
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from storage.database.connection import PATIENCE_SECONDS, Database
from storage.database.engine import make_engine


def open_read_only(file: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> Database:
    """Open the file for reading; writing to it is an error of the database.

    Where its folder may not be written to and nobody has it open, SQLite is told that the file does not change: it
    could not make the files beside it with which readers and writers see each other
    (https://www.sqlite.org/wal.html, "Read-Only Databases").

    Raises:
        DatabaseError: it cannot be opened, or is no database of this program.
        SchemaError: its schema is older, newer or another program's.
    """
    query = {"uri": "true", "mode": "ro"}
    if not os.access(file.parent, os.W_OK | os.X_OK) and not file.with_name(f"{file.name}-wal").exists():
        query["immutable"] = "1"
    url = sa.URL.create("sqlite", database=f"file:{quote(os.fspath(file.absolute()))}", query=query)
    database = Database(make_engine(url, busy_seconds=patience_seconds), patience_seconds=patience_seconds)
    try:
        database._open(create=False, upgrade=False)
    except BaseException:
        database.close()
        raise
    return database
