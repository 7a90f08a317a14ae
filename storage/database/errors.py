"""What can go wrong with the database, told in one line with the remedy; passwords never appear."""

import sqlite3

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from storage.errors import StorageError

# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection lost or refused (class 08),
# serialization failure and deadlock (class 40), lock not available, too many connections, server stopping.
_TRANSIENT_CLASSES = ("08", "40")
_TRANSIENT_STATES = frozenset({"55P03", "53300", "57P01", "57P02", "57P03", "57P05"})
_STARTING = ("starting up", "shutting down", "not yet accepting connections", "in recovery mode")
_REFUSED = ("Connection refused", "No such file or directory")


class DatabaseError(StorageError):
    """The database cannot be used as things stand."""

    def __init__(self, message: str, error_type: str = "database") -> None:
        super().__init__(message, error_type)


class SchemaError(DatabaseError):
    """The database is not one of this program, or of another version of it."""

    def __init__(self, message: str, error_type: str = "schema") -> None:
        super().__init__(message, error_type)


def describe(url: sa.URL) -> str:
    """The database in words, without user or password."""
    if url.get_backend_name() == "sqlite":
        return f"the database {url.database}"
    host = url.host or url.query.get("host") or "localhost"
    port = f":{url.port}" if url.port else ""
    return f"the PostgreSQL database {url.database or ''} at {host}{port}".replace("  ", " ")


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction, tried again in a while, may well succeed: locked, or connection lost."""
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _sqlite_code(cause) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    state = getattr(cause, "sqlstate", None)
    if state is None:  # libpq gives no code for a connection that could not be made or broke off
        return isinstance(error, sa.exc.OperationalError)
    return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES


def is_starting(error: DBAPIError) -> bool:
    """Whether a PostgreSQL server answers that it is just starting or stopping."""
    return getattr(error.orig, "sqlstate", None) == "57P03" or any(s in str(error.orig) for s in _STARTING)


def is_refused(error: DBAPIError) -> bool:
    """Whether nobody answers where a PostgreSQL server should be: it is stopped, or the address is wrong."""
    return any(words in str(error.orig) for words in _REFUSED)


def explain(error: DBAPIError, url: sa.URL) -> DatabaseError:
    """The error of a driver as one line for people."""
    where = describe(url)
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _explain_sqlite(cause, where)
    state = getattr(cause, "sqlstate", None)
    reason = _first_line(str(cause), url)
    if state == "42501":
        return DatabaseError(f"{where} refuses access: {reason}; ask its administrator for the right to write")
    if state == "53100":
        return DatabaseError(f"the disk of {where} is full: make room there and start again")
    if state is None or state.startswith(("08", "28", "3D", "57")):
        remedy = "check that the server is running and that host, name, user and password are right"
        return DatabaseError(f"cannot reach {where}: {reason}; {remedy}")
    return DatabaseError(f"{where} failed: {reason}")


_SQLITE_MESSAGES = {
    sqlite3.SQLITE_NOTADB: "is not a database file: name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "is damaged: put a backup in its place",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its folder exists and may be written to",
    sqlite3.SQLITE_READONLY: "cannot be written to: check the rights of the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be written to: check the rights of the file and its folder",
    sqlite3.SQLITE_FULL: "cannot grow, its disk is full: make room there and start again",
    sqlite3.SQLITE_BUSY: "is kept locked by another program: close that program and start again",
    sqlite3.SQLITE_LOCKED: "is kept locked by another program: close that program and start again",
    sqlite3.SQLITE_IOERR: "cannot be read or written: check the disk or network share it lies on",
}


def _explain_sqlite(cause: sqlite3.Error, where: str) -> DatabaseError:
    known = _SQLITE_MESSAGES.get(_sqlite_code(cause))
    return DatabaseError(f"{where} {known}" if known else f"{where} failed: {_first_line(str(cause), None)}")


def _sqlite_code(cause: sqlite3.Error) -> int:
    """The primary result code (the extended one holds it in its low byte); 0 if the driver gave none."""
    return int(getattr(cause, "sqlite_errorcode", 0)) & 0xFF


def _first_line(text: str, url: sa.URL | None) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
    secrets = [] if url is None else [url.password, *_texts(url.query.get("password"))]
    for secret in secrets:
        if secret:
            line = line.replace(str(secret), "***")
    return line


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else value
