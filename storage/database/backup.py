"""Backup of a provenance database into one SQLite file, and the way back into a database of either kind."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from storage.database import checking, events, schema, transfer
from storage.database.connection import PATIENCE_SECONDS, Database, open_database
from storage.database.engine import (
    check_encoding,
    check_sqlite_file,
    is_sqlite_file,
    make_engine,
    parse_url,
    reading,
    sqlite_url,
    writing,
)
from storage.database.errors import DatabaseError, describe, explain
from storage.database.events import Head, RecordFinding
from storage.fixity import atomic_write

_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Copied:
    """A database that was made from another.

    `rows` by table; `head` the end of its chain of events (None: none yet, or a schema that has none); `findings` the
    first records that are not as they were written, which is then so in the database that was copied as well.
    """

    schema: str
    rows: dict[str, int]
    head: Head | None
    findings: tuple[RecordFinding, ...]


def backup(url: str, file: Path, *, force: bool = False, patience_seconds: float = PATIENCE_SECONDS) -> Copied:
    """Copy a database, as it is at one moment, into a SQLite file; others may go on writing meanwhile.

    A database of an older version of this program is copied with the schema that it has. The file is complete,
    checked and on the disk, or not there at all. Tables that are not this program's go along only from SQLite.

    Args:
        force: write over a file that is there.

    Raises:
        DatabaseError: there is no such database, it is damaged, or the file cannot be written.
        SchemaError: it is not a database of this program, or of a newer version.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        check_sqlite_file(parsed, create=False)
    _check_target(file, parsed, force=force)
    with _engine(parsed, patience_seconds) as engine:
        source = Database(engine, patience_seconds=patience_seconds)
        with source.read() as session, atomic_write(file) as partial:
            connection = session.connection()
            version = _known_version(connection)
            if engine.dialect.name == "sqlite":
                rows = _copy_file(connection, partial)
            else:
                rows = _copy_into_file(connection, partial, version)
            with _engine(parse_url(sqlite_url(partial)), patience_seconds) as copy:
                _check_copy(copy, rows, describe(engine.url))
                head, findings = _look_at_chain(copy)
    return Copied(version, rows, head, findings)


def restore(file: Path, url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> Copied:
    """Put the content of a backup into an empty database; all of it, or nothing.

    The backup is only read. One of an older version is brought to this version's schema afterwards.

    Raises:
        DatabaseError: there is no such backup, it is damaged, or the database is not empty or cannot be used.
        SchemaError: the backup is of a newer version, or not of this program.
    """
    parsed = parse_url(url)
    _check_backup(file, parsed)
    is_new = parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()
    if parsed.get_backend_name() == "sqlite":
        check_sqlite_file(parsed, create=True)
    try:
        with (
            _engine(_read_only(file), patience_seconds) as source,
            Database(source, patience_seconds=patience_seconds).read() as session,
        ):
            connection = session.connection()
            version = _known_version(connection)
            _raise_if_damaged(connection, str(file))
            with _engine(parsed, patience_seconds) as engine:
                check_encoding(engine)
                _fill(engine, connection, version)
        with open_database(url, create=False, upgrade=True, patience_seconds=patience_seconds) as database:
            with database.read() as session:
                rows = transfer.counts(session.connection())
                head = events.head(session)
            return Copied(version, rows, head, tuple(islice(events.check(database), _FINDINGS)))
    except BaseException:
        if is_new:
            Path(parsed.database or "").unlink(missing_ok=True)
        raise


def _check_target(file: Path, source: sa.URL, *, force: bool) -> None:
    if not file.parent.is_dir():
        raise DatabaseError(f"the folder {file.parent} for the backup does not exist: create it first")
    if file.is_dir():
        raise DatabaseError(f"{file} is a folder: name a file in it for the backup")
    if not file.exists():
        return
    if source.get_backend_name() == "sqlite" and file.samefile(source.database or ""):
        raise DatabaseError(f"{file} is the database itself: name another file for the backup")
    if not force:
        raise DatabaseError(f"the file {file} is there already: name another one, or write over it with --force")
    if any(Path(f"{file}{ending}").exists() for ending in ("-wal", "-journal")):
        raise DatabaseError(f"the file {file} is in use as a database: name another one for the backup")


def _check_backup(file: Path, target: sa.URL) -> None:
    if not file.is_file():
        raise DatabaseError(f"there is no backup {file}: check the name")
    if not os.access(file, os.R_OK):
        raise DatabaseError(f"the backup {file} cannot be read: check the rights of the file")
    if not is_sqlite_file(file):
        raise DatabaseError(f"{file} is no backup: name a file that `archive-colorizer database backup` made")
    if target.get_backend_name() == "sqlite":
        other = Path(target.database or "")
        if other.exists() and other.samefile(file):
            raise DatabaseError(f"{file} is the backup itself: name another database to restore it into")


def _read_only(file: Path) -> sa.URL:
    """A database that somebody copied as it lay may ask for a log beside it; if there is none, none is made."""
    log = Path(f"{file}-wal")
    query = {"mode": "ro", "uri": "true"}
    if not log.exists() or not log.stat().st_size:
        query["immutable"] = "1"
    return sa.URL.create("sqlite", database=file.absolute().as_uri(), query=query)


@contextmanager
def _engine(url: sa.URL, patience_seconds: float) -> Iterator[Engine]:
    engine = make_engine(url, busy_seconds=patience_seconds)
    try:
        yield engine
    except DBAPIError as error:
        raise explain(error, engine.url) from error
    finally:
        engine.dispose()


def _known_version(connection: Connection) -> str:
    """The schema, if this program can copy it."""
    where = describe(connection.engine.url)
    if schema.standing(connection, where) == "empty":
        raise DatabaseError(f"{where} holds no records yet: check the name")
    version = schema.version(connection)
    assert version is not None
    return version


def _copy_file(source: Connection, partial: Path) -> dict[str, int]:
    """SQLite to SQLite, page by page. The read transaction is open, so that it is this moment's state."""
    rows = transfer.counts(source)
    driver = source.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    copy = sqlite3.connect(partial)
    try:
        driver.backup(copy)
        # A write-ahead log wants to make files beside it even to be read, which a backup's place may not allow.
        copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        raise explain(DBAPIError(None, None, error), source.engine.url) from error
    finally:
        copy.close()
    return rows


def _copy_into_file(source: Connection, partial: Path, version: str) -> dict[str, int]:
    """PostgreSQL to SQLite, row by row; then what arrived is held against what was read."""
    with _engine(parse_url(sqlite_url(partial)), 0) as engine, writing(engine).connect() as target:
        # The file is thrown away if anything fails, so that it needs no journal.
        _pragma(target, "foreign_keys=OFF", "journal_mode=OFF", "synchronous=OFF")
        with target.begin():
            schema.migrate(target, version)
            read = transfer.copy_rows(source, target)
        with target.begin():
            _check_same(read, transfer.content(target), "the backup")
    return {name: one.rows for name, one in read.items()}


def _fill(engine: Engine, source: Connection, version: str) -> None:
    """Everything in one transaction."""
    where = describe(engine.url)
    with writing(engine).connect() as target:
        if engine.dialect.name == "sqlite":
            _pragma(target, "foreign_keys=OFF")  # rows of one table refer to each other in any order
        with target.begin():
            schema.take_turns(target)
            if schema.standing(target, where) == "empty":
                schema.migrate(target, version)
            elif schema.version(target) != version or any(transfer.counts(target).values()):
                raise DatabaseError(f"{where} is in use already: restore into an empty database")
            read = transfer.copy_rows(source, target)
            _check_same(read, transfer.content(target), where)


def _pragma(connection: Connection, *settings: str) -> None:
    """Settings of SQLite that cannot change in a transaction."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    for setting in settings:
        driver.execute(f"PRAGMA {setting}")


def _check_same(read: dict[str, transfer.Content], arrived: dict[str, transfer.Content], where: str) -> None:
    different = [name for name, one in read.items() if arrived.get(name) != one]
    if different:
        raise DatabaseError(
            f"the rows of {', '.join(different)} did not arrive in {where} as they were read; nothing was kept"
        )


def _check_copy(copy: Engine, rows: dict[str, int], source: str) -> None:
    with reading(copy).connect() as connection:
        _raise_if_damaged(connection, source)
        if transfer.counts(connection) != rows:
            raise DatabaseError(f"the backup has not all rows of {source}; nothing was kept")


def _raise_if_damaged(connection: Connection, where: str) -> None:
    for problem in checking.sqlite_problems(connection):
        raise DatabaseError(f"{where} is damaged ({problem}): nothing was copied; take an earlier backup instead")


def _look_at_chain(copy: Engine) -> tuple[Head | None, tuple[RecordFinding, ...]]:
    database = Database(copy, patience_seconds=0)
    with database.read() as session:
        if schema.version(session.connection()) != schema.REVISIONS[-1]:
            return None, ()
        head = events.head(session)
    return head, tuple(islice(events.check(database), _FINDINGS))
