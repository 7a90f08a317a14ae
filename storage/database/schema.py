"""Which schema a database has, and bringing it to this program's: Alembic run from code, only when needed."""

import contextlib
import sqlite3
import threading
from collections.abc import Collection
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from storage.database.engine import writing
from storage.database.errors import DatabaseError, SchemaError, describe
from storage.database.events import seal_what_is_not

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""All schemas ever released, oldest first. Kept here so that opening a database does not load Alembic."""

VERSION_TABLE = "alembic_version"
_LOCK_KEY = 0x41726368436F6C01  # any fixed 64-bit number will do for PostgreSQL's advisory lock
_alembic_lock = threading.Lock()  # Alembic's context is one per process

Standing = Literal["empty", "older", "current"]


def judge(version: str | None, tables: Collection[str], where: str, revisions: tuple[str, ...] = REVISIONS) -> Standing:
    """How a database stands to this program, from its version (None: no version table) and its tables.

    Raises:
        SchemaError: made by a newer program, or by another one.
    """
    if version in revisions:
        return "current" if version == revisions[-1] else "older"
    if version is None:
        if not set(tables) - {VERSION_TABLE}:
            return "empty"
        raise SchemaError(f"{where} holds the tables of another program: give this program a database of its own")
    if len(version) == 4 and version.isdigit() and version > revisions[-1]:
        raise SchemaError(
            f"{where} was made by a newer version of this program (schema {version},"
            f" this one knows {revisions[-1]}): update archive-colorizer"
        )
    raise SchemaError(f"{where} belongs to another program: give this program a database of its own")


def standing(connection: Connection, where: str) -> Standing:
    """How the connected database stands to this program; see `judge`."""
    return judge(version(connection), sa.inspect(connection).get_table_names(), where)


def version(connection: Connection) -> str | None:
    """The revision that the connected database says it has; None if it says nothing."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return found


def ensure(engine: Engine, *, create: bool, upgrade: bool) -> None:
    """See that the database has this program's schema, making or migrating it where that is allowed.

    Raises:
        SchemaError: the schema is older (and `upgrade` is False), newer, or another program's.
        DatabaseError: the database is empty and `create` is False.
    """
    where = describe(engine.url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite" and create:
            _use_write_ahead_log(connection)
        found = standing(connection, where)
        revision = version(connection)
        if found == "older" and not upgrade:
            upgrade = _holds_no_records(connection)
    if found == "current":
        return
    if found == "empty" and not create:
        raise DatabaseError(f"{where} holds no records yet: check the name, or make a run first")
    if found == "older" and not upgrade:
        raise SchemaError(
            f"{where} was made by an older version of this program (schema {revision}, this one needs"
            f" {REVISIONS[-1]}): run `archive-colorizer database upgrade`, which makes a backup first"
        )
    _migrate(engine, where)


def _holds_no_records(connection: Connection) -> bool:
    counts = (connection.scalar(sa.text(f"SELECT count(*) FROM {t}")) for t in ("run", "item", "reference"))
    return not any(counts)


def _use_write_ahead_log(connection: Connection) -> None:
    """Let readers and the writer not wait for each other; the file keeps this setting.

    The switch needs the file for itself for a moment and does not wait for it. If another process is just
    opening the same file, that one makes the switch.
    """
    driver = _sqlite(connection)
    if driver.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with contextlib.suppress(sqlite3.OperationalError):
            driver.execute("PRAGMA journal_mode=WAL")


def _migrate(engine: Engine, where: str) -> None:
    """Bring the schema to the newest revision in one transaction, or leave it as it is.

    Of several processes one migrates, the others wait for it and find the work done.
    """
    with writing(engine).connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        if sqlite:
            # Altering a table on SQLite means copying and dropping it, which enforced keys would not allow.
            # The setting cannot change inside a transaction.
            _sqlite(connection).execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                take_turns(connection)
                before = standing(connection, where)
                if before == "current":
                    return
                migrate(connection)
                if before == "older":
                    seal_what_is_not(connection)
                if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise SchemaError(f"{where} could not be upgraded: some of its rows refer to missing ones")
        finally:
            if sqlite:
                _sqlite(connection).execute("PRAGMA foreign_keys=ON")


def _sqlite(connection: Connection) -> sqlite3.Connection:
    """The driver's connection, for what must be said outside of transactions."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def take_turns(connection: Connection) -> None:
    """Until the end of the transaction, let no other process make or change the schema.

    On SQLite a writer is alone anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))


def migrate(connection: Connection, revision: str = REVISIONS[-1]) -> None:
    """Bring an older or empty schema to a revision, in the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "storage.database:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _alembic_lock:
        command.upgrade(config, revision)
