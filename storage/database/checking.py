"""Is a database sound and complete? Everything is looked at, whatever is found; nothing is changed."""

import os
import socket
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from storage.database import events, schema, structure, transfer
from storage.database.connection import PATIENCE_SECONDS, Database
from storage.database.engine import check_sqlite_file, make_engine, parse_url
from storage.database.errors import DatabaseError, SchemaError, describe, explain, is_transient
from storage.database.models import Colorization, Run

_PROBLEMS = 100  # a file that is badly damaged has one for each of its pages
_CLOCKS_DIFFER = timedelta(minutes=1)  # the clock may have been set between the start of the process and now


@dataclass(frozen=True, slots=True)
class Look:
    """Something that was looked at, and what it is like; `is_right` says whether it is as it should be."""

    what: str
    is_right: bool
    result: str


Looking = Callable[[Connection], Iterator[Look]]


def check(url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[Look]:
    """Look at a database: its schema, its files or tables, and whether its records agree with each other.

    What could not be looked at to its end, since the database is damaged, is not right.

    Raises:
        DatabaseError: there is no such database, or it cannot be reached.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        check_sqlite_file(parsed, create=False)
    engine = make_engine(parsed, busy_seconds=patience_seconds)
    database = Database(engine, patience_seconds=patience_seconds)
    try:
        standing = yield from _look_at_version(database)
        yield from _in_one_read(
            database, "file" if database.dialect == "sqlite" else "server", _LOOKS[database.dialect]
        )
        yield from _in_one_read(database, "rows", _look_at_rows)
        if standing == "current":
            yield from _look_at_structure(engine)
            yield from _in_one_read(database, "counts of runs", _look_at_counts)
            yield from _in_one_read(database, "runs under way", _look_at_running)
            yield from _look_at_chain(database)
    finally:
        database.close()


def sqlite_problems(connection: Connection) -> list[str]:
    """What is wrong with a SQLite file: damaged pages and indexes, rows that refer to missing ones."""
    found = [" ".join(str(line).split()) for line in _pragma(connection, f"integrity_check({_PROBLEMS})")]
    problems = [] if found == ["ok"] else found
    keys = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_PROBLEMS)
    return problems + [f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}" for row in keys]


def _in_one_read(database: Database, what: str, looking: Looking) -> Iterator[Look]:
    """What `looking` sees in one transaction; an error of the database itself is a finding."""
    looks: list[Look] = []
    try:
        with database.read() as session:
            looks += looking(session.connection())
    except DatabaseError as error:
        if _is_away(error):
            raise
        looks.append(Look(what, False, str(error)))
    yield from looks


def _is_away(error: DatabaseError) -> bool:
    return isinstance(error.__cause__, DBAPIError) and is_transient(error.__cause__)


def _look_at_version(database: Database) -> Generator[Look, None, schema.Standing | None]:
    what = "schema"
    with database.read() as session:
        connection = session.connection()
        where = describe(connection.engine.url)
        version = schema.version(connection)
        try:
            standing = schema.standing(connection, where)
        except SchemaError as error:
            yield Look(what, False, str(error))
            return None
    newest = schema.REVISIONS[-1]
    if standing == "current":
        yield Look(what, True, f"{version}, that of this version")
    elif standing == "older":
        remedy = "`archive-colorizer database upgrade` brings it to this version's, and makes a backup first"
        yield Look(what, False, f"{version}, older than this version's {newest}; {remedy}")
    else:
        yield Look(what, False, f"none: {where} holds no records yet")
    return standing


def _look_at_file(connection: Connection) -> Iterator[Look]:
    problems = sqlite_problems(connection)
    for problem in problems:
        yield Look("file", False, problem)
    if not problems:
        yield Look("file", True, "sound, and no row refers to a missing one")


def _look_at_server(connection: Connection) -> Iterator[Look]:
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    yield Look("encoding", encoding == "UTF8", str(encoding))
    collation = connection.execute(sa.text(_COLLATION)).one()
    if collation.made == collation.now:
        yield Look("collation", True, f"{collation.name}" + (f" {collation.now}" if collation.now else ""))
    else:
        result = (
            f"{collation.name} is of version {collation.now} now, the database was made with {collation.made}: indexes"
            " of text may be out of order; REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION"
        )
        yield Look("collation", False, result)
    unsound = connection.execute(sa.text(_UNSOUND)).all()
    for name, problem in unsound:
        yield Look("constraints", False, f"{name} {problem}")
    if not unsound:
        yield Look("constraints", True, "all validated, and all indexes valid")


_COLLATION = """
SELECT datcollate AS name, datcollversion AS made, pg_database_collation_actual_version(oid) AS now
FROM pg_database WHERE datname = current_database()
"""
_UNSOUND = """
SELECT conname, 'of ' || conrelid::regclass || ' was never validated: ALTER TABLE … VALIDATE CONSTRAINT'
FROM pg_constraint WHERE NOT convalidated AND connamespace = current_schema()::regnamespace
UNION ALL
SELECT indexrelid::regclass::text, 'is not valid: REINDEX INDEX'
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE NOT (indisvalid AND indisready) AND relnamespace = current_schema()::regnamespace
"""
_LOOKS: dict[str, Looking] = {"sqlite": _look_at_file, "postgresql": _look_at_server}


def _look_at_rows(connection: Connection) -> Iterator[Look]:
    for table in transfer.tables(connection):
        rows: sa.Select[Any] = sa.select(sa.func.count()).select_from(table)
        if connection.dialect.name == "postgresql":
            # its text needs every value of every row, also those that are kept apart
            whole = sa.func.sum(sa.func.octet_length(sa.cast(sa.literal_column(f'"{table.name}".*'), sa.Text)))
            rows = sa.select(sa.func.count(), whole).select_from(table)
        yield Look(f"table {table.name}", True, f"{connection.execute(rows).scalar_one():,} rows")


def _look_at_structure(engine: Engine) -> Iterator[Look]:
    try:
        for what, differences in structure.compare(engine):
            for difference in differences:
                yield Look(what, False, difference)
            if not differences:
                yield Look(what, True, "as this version makes them")
    except DBAPIError as error:
        if is_transient(error):
            raise explain(error, engine.url) from error
        yield Look("structure", False, str(explain(error, engine.url)))


def _look_at_counts(connection: Connection) -> Iterator[Look]:
    """Of items that need nothing a run has no row, so that it may have left out more than are on record."""
    states = ("done", "failed", "skipped")
    rows = (
        sa.select(
            Colorization.run_id,
            *(sa.func.count().filter(Colorization.state == state).label(state) for state in states),
        )
        .group_by(Colorization.run_id)
        .subquery()
    )
    found = [sa.func.coalesce(rows.c[state], 0).label(f"{state}_rows") for state in states]
    query = (
        sa.select(Run.id, Run.items, Run.done, Run.failed, Run.skipped, *found)
        .outerjoin(rows, rows.c.run_id == Run.id)
        .order_by(Run.id)
    )
    runs = 0
    all_agree = True
    for run in connection.execute(query.execution_options(yield_per=1000)):
        runs += 1
        for state in states:
            counted, there = getattr(run, state), getattr(run, f"{state}_rows")
            if counted < there or (state != "skipped" and counted != there):
                all_agree = False
                yield Look("counts of runs", False, f"run {run.id} counts {counted} {state}, but has {there} such rows")
        if run.items < run.done + run.failed + run.skipped:
            all_agree = False
            yield Look("counts of runs", False, f"run {run.id} counts {run.items} items, fewer than it has outcomes of")
    if all_agree:
        yield Look("counts of runs", True, f"those of {runs} runs agree with their rows")


def _look_at_running(connection: Connection) -> Iterator[Look]:
    what = "runs under way"
    here = socket.gethostname()
    query = sa.select(Run.id, Run.hostname, Run.pid, Run.started_at, Run.output_root).where(Run.state == "running")
    runs = connection.execute(query.order_by(Run.id)).all()
    for run in runs:
        process = f"process {run.pid} on {run.hostname}"
        if run.hostname != here:
            yield Look(what, True, f"run {run.id}, by {process}; whether that lives shows only there")
        elif lives(run.pid, run.started_at):
            yield Look(what, True, f"run {run.id}, by {process}")
        else:
            result = f"run {run.id} never ended: {process} is gone; the next run into {run.output_root} puts it right"
            yield Look(what, False, result)
    if not runs:
        yield Look(what, True, "none")


def lives(pid: int, since: datetime) -> bool:
    """Whether a process of this number is there that began before; numbers are given out again."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    began = _began(pid)
    return began is None or began <= since + _CLOCKS_DIFFER


def _began(pid: int) -> datetime | None:
    """When a process began, from /proc (proc(5)); None where that does not tell."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return datetime.fromtimestamp(int(boot.split()[1]) + ticks // os.sysconf("SC_CLK_TCK"), UTC)


def _look_at_chain(database: Database) -> Iterator[Look]:
    what = "record"
    try:
        findings = 0
        for finding in events.check(database):
            findings += 1
            yield Look(what, False, f"{finding.name}: {finding.finding}")
        with database.read() as session:
            head = events.head(session)
    except DatabaseError as error:
        if _is_away(error):
            raise
        yield Look(what, False, str(error))
        return
    if findings == 0:
        result = "no event yet" if head is None else f"{head.event_id} events in one chain, which ends in {head.sha256}"
        yield Look(what, True, result)


def _pragma(connection: Connection, name: str) -> list[object]:
    return list(connection.exec_driver_sql(f"PRAGMA {name}").scalars())
