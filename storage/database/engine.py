"""Engines: which URLs are understood, and how SQLite and PostgreSQL are set up."""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from storage.database.errors import DatabaseError, describe
from storage.database.types import to_json

IMMEDIATE = "archive_colorizer_immediate"
"""Execution option of connections whose transactions write: BEGIN IMMEDIATE on SQLite."""

BUSY_SECONDS = "archive_colorizer_busy_seconds"
"""Execution option: how long SQLite waits for a lock, where it is not as long as `make_engine` was told."""

_SQLITE_HEADER = b"SQLite format 3\0"
_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
# https://www.postgresql.org/docs/current/libpq-connect.html: a server that vanished without a word (its machine lost
# power, a cable was pulled) shows after half a minute, not after the two hours that are usual
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 10, "keepalives_count": 2, "tcp_user_timeout": 30_000}
_USAGE = "use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"


def sqlite_url(path: Path) -> str:
    """The database URL of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def parse_url(text: str) -> sa.URL:
    """A database URL as SQLAlchemy takes it; SQLite files become absolute.

    What follows `sqlite:///` is the file's path to its last letter (`?` and `%` are letters like others),
    since archives have such names.

    Raises:
        DatabaseError: no such kind of database, or not a URL at all.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise DatabaseError(f"the database is given by a URL, but there is no '://' in it: {_USAGE}")
    if scheme in ("sqlite", "sqlite+pysqlite"):
        name = rest[1:]
        if not rest.startswith("/") or name in ("", ":memory:"):
            raise DatabaseError(f"the database URL names no file: {_USAGE}")
        return sa.URL.create("sqlite", database=str(Path(name).absolute()))
    if scheme not in _POSTGRESQL:
        raise DatabaseError(f"'{scheme}' is not a kind of database this program can use: {_USAGE}")
    try:
        return sa.make_url(f"postgresql+psycopg://{rest}")
    except (sa.exc.ArgumentError, ValueError):
        raise DatabaseError(f"the database URL cannot be understood: {_USAGE}") from None


def check_sqlite_file(url: sa.URL, *, create: bool) -> None:
    """Look at the file before SQLite does, whose messages do not say what to do.

    Raises:
        DatabaseError: no such file or folder, not writable, or not a database.
    """
    file = Path(url.database or "")
    if not file.parent.is_dir():
        raise DatabaseError(f"the folder {file.parent} for the database does not exist: create it first")
    if not file.exists():
        if not create:
            raise DatabaseError(f"there is no database {file}: check the name, or make a run first")
        if not os.access(file.parent, os.W_OK | os.X_OK):
            raise DatabaseError(f"the folder {file.parent} cannot be written to: check its rights")
        return
    if file.is_dir():
        raise DatabaseError(f"{file} is a folder, not a database file: name a file in it")
    if not os.access(file, os.R_OK | os.W_OK):
        raise DatabaseError(f"the database {file} cannot be read and written: check the rights of the file")
    if file.stat().st_size and not is_sqlite_file(file):
        raise DatabaseError(f"{file} is not a database file: name another file, or move this one away")


def is_sqlite_file(file: Path) -> bool:
    """Whether a file begins as those of SQLite do."""
    with file.open("rb") as stream:
        return stream.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER


def make_engine(url: sa.URL, *, busy_seconds: float) -> Engine:
    """An engine whose transactions mean the same on both databases; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url,
            json_serializer=to_json,
            connect_args={"timeout": busy_seconds, "check_same_thread": False},
            max_overflow=20,
        )
        _set_up_sqlite(engine, busy_seconds)
        return engine
    connect_args: dict[str, Any] = {"application_name": "archive-colorizer", "connect_timeout": 10, **_KEEPALIVE}
    return sa.create_engine(
        url,
        json_serializer=to_json,
        pool_pre_ping=True,
        connect_args={name: value for name, value in connect_args.items() if name not in url.query},
    )


def writing(engine: Engine) -> Engine:
    """The engine for transactions that write (the same connections)."""
    return engine.execution_options(**{IMMEDIATE: True})


def reading(engine: Engine) -> Engine:
    """The engine for transactions that only read: all statements of one see the same state."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def check_encoding(engine: Engine) -> None:
    """See that the database can hold any text.

    Raises:
        DatabaseError: it is a PostgreSQL database of another encoding than UTF-8.
    """
    if engine.dialect.name == "sqlite":
        return
    with engine.connect() as connection:
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        where = describe(engine.url)
        raise DatabaseError(
            f"{where} keeps text as {encoding}, which cannot hold every file name: create it with encoding UTF8"
        )


def _set_up_sqlite(engine: Engine, busy_seconds: float) -> None:
    # The driver must not begin transactions by itself, or DDL and reads would not be in them
    # (https://docs.sqlalchemy.org/en/20/dialects/sqlite.html, "Serializable isolation / Savepoints").
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")

    # A transaction that reads and then writes must take the lock at its start: later it is refused at once.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        busy = options.get(BUSY_SECONDS, busy_seconds)
        if connection.info.get(BUSY_SECONDS, busy_seconds) != busy:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={int(1000 * busy)}")
            connection.info[BUSY_SECONDS] = busy
        immediate = options.get(IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
