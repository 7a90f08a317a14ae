"""Bulk statements that both databases understand.

Many rows go as VALUES lists to SQLite. PostgreSQL gets one array for each column instead: a statement with
thousands of parameters costs its driver more than the rows cost the server.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage.database.models import Base

T = TypeVar("T")
Row = Mapping[str, Any]

ROWS_PER_STATEMENT = 2000


def chunks(rows: Iterable[T], size: int = ROWS_PER_STATEMENT) -> Iterator[list[T]]:
    """The rows in lists of at most `size`."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def insert(session: Session, model: type[Base], rows: Sequence[Row]) -> None:
    """Insert rows that all have the same columns."""
    for chunk in chunks(rows):
        if _is_sqlite(session):
            session.execute(sa.insert(_table(model)), chunk)
        else:
            session.execute(_postgresql_insert(model, tuple(chunk[0])), _arrays(model, chunk))


def upsert(
    session: Session,
    model: type[Base],
    rows: Sequence[Row],
    *,
    key: tuple[str, ...],
    returning: tuple[str, ...],
    keep: tuple[str, ...] = (),
) -> list[sa.Row[Any]]:
    """Insert rows that all have the same columns; where one with the same key is there, update it instead.

    Columns in `keep` stay as they are there. Gives the `returning` columns of all rows, in any order. No
    two of the rows may have the same key.
    """
    found: list[sa.Row[Any]] = []
    for chunk in chunks(rows):
        names = tuple(chunk[0])
        if _is_sqlite(session):
            on_sqlite = _sqlite_upsert(model, names, key, returning, keep)
            found += session.execute(on_sqlite, chunk).all()
        else:
            on_postgresql = _postgresql_upsert(model, names, key, returning, keep)
            found += session.execute(on_postgresql, _arrays(model, chunk)).all()
    return found


def take_turns(session: Session, subject: str) -> None:
    """Until the end of the transaction, keep others out that ask for the same subject.

    On SQLite a writer is alone anyway.
    """
    if not _is_sqlite(session):
        key = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big", signed=True)
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


# Putting such a statement together takes longer than running it for a small batch, so each is kept.
@lru_cache(maxsize=64)
def _sqlite_upsert(
    model: type[Base],
    names: tuple[str, ...],
    key: tuple[str, ...],
    returning: tuple[str, ...],
    keep: tuple[str, ...],
) -> sa.Executable:
    table = _table(model)
    statement = sqlite.insert(table)
    return statement.on_conflict_do_update(
        index_elements=key,
        set_={name: statement.excluded[name] for name in names if name not in key and name not in keep},
    ).returning(*(table.columns[name] for name in returning))


@lru_cache(maxsize=64)
def _postgresql_upsert(
    model: type[Base],
    names: tuple[str, ...],
    key: tuple[str, ...],
    returning: tuple[str, ...],
    keep: tuple[str, ...],
) -> sa.Executable:
    table = _table(model)
    statement = _postgresql_insert(model, names)
    return statement.on_conflict_do_update(
        index_elements=key,
        set_={name: statement.excluded[name] for name in names if name not in key and name not in keep},
    ).returning(*(table.columns[name] for name in returning))


@lru_cache(maxsize=64)
def _postgresql_insert(model: type[Base], names: tuple[str, ...]) -> postgresql.Insert:
    """INSERT of rows that lie in one array parameter for each column."""
    table = _table(model)
    arrays = [sa.bindparam(name, type_=postgresql.ARRAY(table.columns[name].type)) for name in names]
    rows = sa.func.unnest(*arrays).table_valued(*names).render_derived(name="new_row")
    return postgresql.insert(table).from_select(names, sa.select(*(rows.columns[name] for name in names)))


def _arrays(model: type[Base], rows: Sequence[Row]) -> dict[str, list[Any]]:
    table = _table(model)
    arrays = {name: [row[name] for row in rows] for name in rows[0]}
    for name, values in arrays.items():
        if isinstance(table.columns[name].type, sa.Double):  # an array is of one type, so 1 must be 1.0
            arrays[name] = [None if value is None else float(value) for value in values]
    return arrays


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _table(model: type[Base]) -> sa.Table:
    table = sa.inspect(model).local_table
    assert isinstance(table, sa.Table)
    return table
