"""All rows of one database put into another of either kind, a piece at a time, and the proof that they arrived.

What goes through Python comes out of both kinds as equal values, so that a digest over them can be compared.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from storage.database.errors import SchemaError, describe, explain
from storage.database.models import Base
from storage.database.types import to_json

_ROWS = 1000
_ROWS_WITH_BLOBS = 100  # what a reference looks like takes up to some hundred kB
_DIGEST_VALUES = 1 << 256


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: how many rows, and a digest of them all, whatever their order."""

    rows: int
    digest: int


def tables(connection: Connection) -> list[sa.Table]:
    """The tables of this program that are there, with the columns that they have; those referred to come first.

    An older schema lacks tables and columns. Tables of others are left out.

    Raises:
        SchemaError: a table has a column that this program does not know, which would be lost.
    """
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    found = []
    for model in Base.metadata.sorted_tables:
        if model.name not in there:
            continue
        names = {column["name"] for column in inspector.get_columns(model.name)}
        if unknown := sorted(names - set(model.columns.keys())):
            where = describe(connection.engine.url)
            raise SchemaError(
                f"{where} has a column {model.name}.{unknown[0]} that this program does not know:"
                " move it into a table of its own"
            )
        columns = [
            sa.Column(column.name, column.type, primary_key=column.primary_key)
            for column in model.columns
            if column.name in names
        ]
        found.append(sa.Table(model.name, sa.MetaData(), *columns))
    return found


def copy_rows(source: Connection, target: Connection) -> dict[str, Content]:
    """Put all rows into the same tables of `target`, which are empty; by table, what was read.

    On SQLite foreign keys must not be enforced meanwhile. Numbers that PostgreSQL gives to new rows go on after those
    that came.
    """
    read: dict[str, Content] = {}
    for table in tables(source):
        own = _own_references(table.name)
        rows, digest = 0, 0
        for piece in _pieces(source, table):
            digest = (digest + sum(map(_digest, piece))) % _DIGEST_VALUES
            rows += len(piece)
            if target.dialect.name == "sqlite":
                target.execute(sa.insert(table), [row._asdict() for row in piece])
            else:
                _copy_in(target, table, piece, left_out=own)
        read[table.name] = Content(rows, digest)
        if target.dialect.name != "sqlite":
            for name in own & set(table.columns.keys()):
                _set_own_references(source, target, table, name)
            _set_sequence(target, table)
    return read


def content(connection: Connection) -> dict[str, Content]:
    """By table: what is there."""
    found: dict[str, Content] = {}
    for table in tables(connection):
        rows, digest = 0, 0
        for piece in _pieces(connection, table):
            digest = (digest + sum(map(_digest, piece))) % _DIGEST_VALUES
            rows += len(piece)
        found[table.name] = Content(rows, digest)
    return found


def counts(connection: Connection) -> dict[str, int]:
    """By table: how many rows are there."""
    return {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in tables(connection)
    }


def _pieces(connection: Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    size = _ROWS_WITH_BLOBS if any(isinstance(c.type, sa.LargeBinary) for c in table.columns) else _ROWS
    query = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=size)
    try:
        with connection.execute(query) as result:
            yield from result.partitions(size)
    except DBAPIError as error:  # told here, since whoever writes the rows explains errors as those of the other side
        raise explain(error, connection.engine.url) from error


def _digest(row: sa.Row[Any]) -> int:
    text = repr([_comparable(value) for value in row])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")


def _comparable(value: object) -> object:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return to_json(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _own_references(name: str) -> set[str]:
    """The columns of a table that refer to rows of the same table, which may come later."""
    table = Base.metadata.tables[name]
    return {key.parent.name for key in table.foreign_keys if key.column.table is table}


def _copy_in(target: Connection, table: sa.Table, rows: Sequence[sa.Row[Any]], *, left_out: set[str]) -> None:
    """By COPY, which is many times faster than INSERT."""
    from psycopg import sql

    names = list(table.columns.keys())
    missing = [name in left_out for name in names]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    cursor = target.connection.cursor()
    try:
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(
                    [
                        None if absent else to_json(value) if isinstance(value, Mapping) else value
                        for value, absent in zip(row, missing, strict=True)
                    ]
                )
    finally:
        cursor.close()


def _set_own_references(source: Connection, target: Connection, table: sa.Table, name: str) -> None:
    (key,) = table.primary_key.columns
    column = table.columns[name]
    query = sa.select(key, column).where(column.is_not(None)).execution_options(yield_per=_ROWS)
    statement = sa.update(table).where(key == sa.bindparam("of")).values({name: sa.bindparam("to")})
    with source.execute(query) as result:
        for piece in result.partitions(_ROWS):
            target.execute(statement, [{"of": id_, "to": other} for id_, other in piece])


def _set_sequence(target: Connection, table: sa.Table) -> None:
    keys = list(table.primary_key.columns)
    sequence = None
    if len(keys) == 1:
        quoted = target.dialect.identifier_preparer.quote(table.name)
        sequence = target.scalar(sa.select(sa.func.pg_get_serial_sequence(quoted, keys[0].name)))
    if sequence is None:
        return
    last = target.scalar(sa.select(sa.func.max(keys[0])))
    if last is not None:
        target.execute(sa.select(sa.func.setval(sequence, last)))
