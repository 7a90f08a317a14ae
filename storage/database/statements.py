"""Bulk statements that both databases understand."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage.database.models import Base

T = TypeVar("T")

ROWS_PER_STATEMENT = 2000


def chunks(rows: Iterable[T], size: int = ROWS_PER_STATEMENT) -> Iterable[list[T]]:
    """The rows in lists of at most `size`."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def upsert(
    session: Session, model: type[Base], key: Sequence[str], keep: Sequence[str] = ()
) -> postgresql.Insert | sqlite.Insert:
    """INSERT that, where a row with the same key is there already, updates all its columns but `keep`."""
    table = _table(model)
    changed = [
        c.name for c in table.columns if not c.primary_key and c.name not in key and c.name not in keep
    ]
    if session.get_bind().dialect.name == "sqlite":
        insert = sqlite.insert(table)
        return insert.on_conflict_do_update(
            index_elements=key, set_={name: insert.excluded[name] for name in changed}
        )
    pg_insert = postgresql.insert(table)
    return pg_insert.on_conflict_do_update(
        index_elements=key, set_={name: pg_insert.excluded[name] for name in changed}
    )


def take_turns(session: Session, subject: str) -> None:
    """Until the end of the transaction, keep others out that ask for the same subject.

    On SQLite a writer is alone anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big", signed=True)
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def insert(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Plain INSERT of many rows in few statements."""
    for chunk in chunks(rows):
        session.execute(sa.insert(_table(model)), chunk)


def _table(model: type[Base]) -> sa.Table:
    table = sa.inspect(model).local_table
    assert isinstance(table, sa.Table)
    return table
