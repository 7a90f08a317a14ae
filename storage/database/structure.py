"""The schema that a database has, held against the one that this version makes."""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from storage.database import audit
from storage.database.models import Base
from storage.database.schema import REVISIONS

_TRIGGERS = {"sqlite": ("event_no_delete", "event_no_update"), "postgresql": ("event_is_final",)}
"""Of the table `event`; they keep what is on record from being changed."""

_TRIGGERS_QUERY = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event' AND sql LIKE '%RAISE(%'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = 'event'::regclass AND tgenabled IN ('O', 'A')",
}
_PROBE = "archive_colorizer_probe"


def compare(engine: Engine) -> Iterator[tuple[str, list[str]]]:
    """By what was compared: how the database differs from what this version's migrations make.

    What others have added beside it (tables, views, indexes of their own) is no difference; columns are, since
    backups would not have them.
    """
    with engine.connect() as connection:
        yield "tables", [*_tables(connection), *_checks(connection)]
        yield "views", _views(connection)
        yield "triggers", _triggers(connection)


def _tables(connection: Connection) -> list[str]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def is_ours(_item: Any, _name: str | None, kind: str, is_in_database: bool, counterpart: Any) -> bool:
        return not (is_in_database and counterpart is None and kind in ("table", "index"))

    options = {"compare_server_default": True, "include_object": is_ours}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    # the changes of one column come as a list of their own
    flat = [change for one in found for change in (one if isinstance(one, list) else [one])]
    return [_in_words(change) for change in flat]


def _in_words(change: Sequence[Any]) -> str:
    kind = str(change[0])
    if kind.startswith("modify_"):
        _, _, table, column, _, there, wanted = change
        return f"column {table}.{column}: its {kind.removeprefix('modify_')} is {there}, not {wanted}"
    if kind in ("add_column", "remove_column"):
        what = f"column {change[2]}.{change[3].name}"
    elif kind in ("add_table", "remove_table"):
        what = f"table {change[1].name}"
    else:
        what = f"{kind.partition('_')[2]} {change[1].name} of {change[1].table.name}"
    return f"{what} is missing" if kind.startswith("add_") else f"{what} is not this program's"


def _checks(connection: Connection) -> list[str]:
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    missing = []
    for table in Base.metadata.sorted_tables:
        if table.name in there:
            made = {constraint["name"] for constraint in inspector.get_check_constraints(table.name)}
            wanted = {str(one.name) for one in table.constraints if isinstance(one, sa.CheckConstraint)}
            missing += [f"check {name} of {table.name} is missing" for name in sorted(wanted - made)]
    return missing


def _views(connection: Connection) -> list[str]:
    inspector = sa.inspect(connection)
    there = set(inspector.get_view_names())
    differences = []
    for name, query in _newest_views().items():
        if name not in there:
            differences.append(f"view {name} is missing")
        elif [column["name"] for column in inspector.get_columns(name)] != audit.columns(name):
            differences.append(f"view {name} has other columns")
        elif not _asks(connection, name, query):
            differences.append(f"view {name} asks something else")
    return differences


def _newest_views() -> Mapping[str, str]:
    names = (f"storage.database.migrations.views_{revision}" for revision in reversed(REVISIONS))
    newest = next(name for name in names if importlib.util.find_spec(name) is not None)
    views: Mapping[str, str] = importlib.import_module(newest).VIEWS
    return views


def _asks(connection: Connection, name: str, query: str) -> bool:
    """Whether a view is the query. PostgreSQL keeps its own writing of it, as of a view that is gone at once again."""
    if connection.dialect.name == "sqlite":
        text = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name})
        return _plain(str(text)) == _plain(f"CREATE VIEW {name} AS {query}")
    definition = sa.text("SELECT pg_get_viewdef(CAST(:name AS regclass))")
    probe = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"CREATE TEMPORARY VIEW {_PROBE} AS {query}")
        made = connection.scalar(definition, {"name": f"pg_temp.{_PROBE}"})
        return bool(made == connection.scalar(definition, {"name": name}))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in ("42501", "25006"):  # who may only read cannot try this
            return True
        raise
    finally:
        probe.rollback()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _triggers(connection: Connection) -> list[str]:
    dialect = connection.dialect.name
    there = set(connection.execute(sa.text(_TRIGGERS_QUERY[dialect])).scalars())
    return [f"trigger {name} of event is missing or switched off" for name in _TRIGGERS[dialect] if name not in there]
