"""The audit views, read for the command line; outside programs read them by plain SQL."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import audit_views
from storage.database.audit_paths import is_at
from storage.database.connection import Database
from storage.database.models import Colorization, Reference, Run, Shot

VIEWS = tuple(audit_views.VIEWS)

_ROWS_AT_ONCE = 2000
_LARGEST = 2**63 - 1  # in an integer column
_SHORTEST_DIGEST = 6  # hex digits that are taken for the beginning of one
_DIGEST = re.compile(rf"[0-9a-f]{{{_SHORTEST_DIGEST},64}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows of a view are wanted; what is None is not asked. `filters` says what a view can be asked.

    Args:
        state: the state of runs and items, the decision of reviews, the finding about files, the type of events.
        since: at this instant (aware) or later.
        until: before this instant (aware).
        reference: a reference by its path as it is recorded, by the first (six or more) digits of its SHA-256, or by
            its number. Of films also those are found of which one shot has it.
        below: what has less confidence than this, 0 to 1.
        reviewed: what somebody decided on, or what nobody did.
        path: a path, a folder, or a pattern with `*`, `?`, `[...]`, of which `*` goes into folders too.
        current: without what is superseded.
    """

    run_id: int | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reference: str | None = None
    below: float | None = None
    reviewed: bool | None = None
    path: str | None = None
    current: bool = False


EVERYTHING = AuditFilter()


def columns(view: str) -> list[str]:
    """The columns of a view, in their promised order.

    Raises:
        ValueError: there is no such view.
    """
    return audit_views.view(view).columns


def filters(view: str) -> frozenset[str]:
    """The fields of `AuditFilter` that a view has the columns for.

    Raises:
        ValueError: there is no such view.
    """
    found = audit_views.view(view)
    present = {
        # what references were used for depends on the run, though no column says so
        "run_id": "run_id" in found.columns or view == "audit_reference",
        "state": found.state,
        "since": found.time,
        "until": found.time,
        "reference": found.reference,
        "below": found.confidence,
        "reviewed": "review" in found.columns,
        "path": "path" in found.columns,
        "current": "superseded_at" in found.columns,
    }
    return frozenset(name for name, has in present.items() if has)


def rows(db: Database, view: str, run_id: int | None = None, limit: int | None = None) -> list[dict[str, object]]:
    """The rows of a view (of one run), ordered for reading; times are aware UTC datetimes.

    `audit_reference` has no run in it: with `run_id` its figures are those of this run for what it used.

    Raises:
        ValueError: there is no such view, or it does not tell of runs.
    """
    where = AuditFilter(run_id=run_id)
    _check(view, where, limit)
    return db.run_read(lambda session: [*_read(session, view, where, _query(session, view, where), limit)])


def stream(
    db: Database, view: str, where: AuditFilter = EVERYTHING, limit: int | None = None
) -> Iterator[dict[str, object]]:
    """As `rows`, of those that pass the filter, read as they are asked for: in one transaction, not all in memory.

    Raises:
        ValueError: (at once) no such view, a filter that it has no column for, or a value that cannot be; one line.
    """
    _check(view, where, limit)
    query = db.run_read(lambda session: _query(session, view, where))

    def read() -> Iterator[dict[str, object]]:
        with db.read() as session:
            yield from _read(session, view, where, query, limit)

    return read()


def _check(view: str, where: AuditFilter, limit: int | None) -> None:
    allowed = filters(view)
    for field in fields(where):
        if getattr(where, field.name) != field.default and field.name not in allowed:
            raise ValueError(f"{view} cannot be filtered by {field.name}")
    if where.run_id is not None and not 0 < where.run_id <= _LARGEST:
        raise ValueError(f"there is no run {where.run_id}")
    states = audit_views.view(view).states
    if where.state is not None and states is not None and where.state not in states:
        raise ValueError(f"'{where.state}' is none of {', '.join(states)}")
    if where.below is not None and not 0 <= where.below <= 1:
        raise ValueError(f"a confidence is from 0 to 1, not {where.below}")
    if where.since is not None and where.until is not None and where.since >= where.until:
        raise ValueError("the time until which is not after the time since which: nothing can be between them")
    if where.path == "":
        raise ValueError("the path to look for is empty")
    if limit is not None and not 0 < limit <= _LARGEST:
        raise ValueError(f"{limit} rows cannot be asked for: name a number from 1")


def _read(
    session: Session, view: str, where: AuditFilter, query: sa.Select[Any], limit: int | None
) -> Iterator[dict[str, object]]:
    if session.get_bind().dialect.name == "postgresql":  # which else plans for readers who only want the beginning
        session.execute(sa.text("SET LOCAL cursor_tuple_fraction = 1"))
    order = audit_views.view(view).order
    columns = query.selected_columns
    for name in order:
        column = columns[name.removeprefix("-")]
        query = query.order_by(column.desc() if name.startswith("-") else column)
    is_selective = any(value is not None for value in (where.run_id, where.reference, where.path, where.below))
    if order[0] != "-run_id" or len(order) == 1 or is_selective:
        yield from _rows(session, query.limit(limit))
        return
    # One run after the other, or the database would sort a million rows before it gave the first.
    remaining = limit
    ids = session.scalars(sa.select(Run.id).order_by(Run.id.desc())).all()
    for of_run in (*(columns["run_id"] == id_ for id_ in ids), columns["run_id"].is_(None)):
        for row in _rows(session, query.where(of_run).limit(remaining)):
            yield row
            remaining = None if remaining is None else remaining - 1
        if remaining == 0:
            return


def _rows(session: Session, query: sa.Select[Any]) -> Iterator[dict[str, object]]:
    for row in session.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)).mappings():
        yield dict(row)


def _query(session: Session, view: str, where: AuditFilter) -> sa.Select[Any]:
    """All rows that pass the filter, in any order."""
    found = audit_views.view(view)
    table: sa.FromClause = found.table
    if where.run_id is not None and "run_id" not in table.columns:
        table = _references_of_run(where.run_id)
    conditions: list[sa.ColumnElement[bool]] = []
    if where.run_id is not None and "run_id" in table.columns:
        conditions.append(table.columns["run_id"] == where.run_id)
    if where.state is not None and found.state is not None:
        conditions.append(table.columns[found.state] == where.state)
    if where.since is not None and found.time is not None:
        conditions.append(table.columns[found.time] >= where.since)
    if where.until is not None and found.time is not None:
        conditions.append(table.columns[found.time] < where.until)
    if where.reference is not None and found.reference is not None:
        conditions.append(_rests_on(session, table, where.reference))
    if where.below is not None and found.confidence is not None:
        conditions.append(table.columns[found.confidence] < where.below)
    if where.reviewed is not None:
        review = table.columns["review"]
        conditions.append(review.is_not(None) if where.reviewed else review.is_(None))
    if where.path is not None:
        conditions.append(is_at(table.columns["path"], where.path, session.get_bind().dialect.name))
    if where.current:
        conditions.append(table.columns["superseded_at"].is_(None))
    return sa.select(table).where(*conditions)


def _rests_on(session: Session, table: sa.FromClause, wanted: str) -> sa.ColumnElement[bool]:
    """The rows that this reference is named in.

    Its own rows are looked up first: by their numbers colorizations and shots are found in an index. A picture that a
    person gave for a film has no row, and is found by the path and digest that were copied.

    Raises:
        ValueError: nothing on record has such a reference.
    """
    known = _references(session, wanted)
    ids = [one.id for one in known]
    own = sa.select(Colorization.id).where(Colorization.reference_id.in_(ids))
    own_copied = sa.select(Colorization.id).where(Colorization.reference_id.is_(None), _is_named(Colorization, wanted))
    shots = sa.select(Shot.colorization_id).where(Shot.reference_id.in_(ids))
    shots_copied = sa.select(Shot.colorization_id).where(Shot.reference_id.is_(None), _is_named(Shot, wanted))
    if not ids and not any(session.scalar(query.limit(1)) for query in (own_copied, shots_copied)):
        raise ValueError(
            f"no reference '{wanted}' is on record: give its path as it is recorded, its number, or the first"
            f" {_SHORTEST_DIGEST} digits or more of its SHA-256"
        )
    names = table.columns
    if "colorization_id" in names:
        return names["colorization_id"].in_(sa.union_all(own, own_copied, shots, shots_copied))
    if "reference_id" in names:
        return names["reference_id"].in_(ids)
    named = (sa.and_(names["reference_path"] == one.path, names["reference_sha256"] == one.sha256) for one in known)
    return sa.or_(names["reference_path"] == wanted, *_has_digest(names["reference_sha256"], wanted), *named)


def _references(session: Session, wanted: str) -> list[sa.Row[tuple[int, str, str | None]]]:
    """Each condition by itself, as each has an index of its own."""
    conditions = [Reference.path == wanted, *_has_digest(Reference.sha256, wanted)]
    if wanted.isdecimal() and len(wanted) < len(str(_LARGEST)):
        conditions.append(Reference.id == int(wanted))
    found = {}
    for condition in conditions:
        for row in session.execute(sa.select(Reference.id, Reference.path, Reference.sha256).where(condition)):
            found[row.id] = row
    return [*found.values()]


def _is_named(model: type[Colorization] | type[Shot], wanted: str) -> sa.ColumnElement[bool]:
    return sa.or_(model.reference_path == wanted, *_has_digest(model.reference_sha256, wanted))


def _has_digest(column: Any, wanted: str) -> list[sa.ColumnElement[bool]]:
    digits = wanted.lower()
    if not _DIGEST.fullmatch(digits):
        return []
    return [column.between(digits.ljust(64, "0"), digits.ljust(64, "f"))]


def _references_of_run(run_id: int) -> sa.Subquery:
    """`audit_reference` as one run sees it."""
    done = (Colorization.run_id == run_id, Colorization.state == "done")
    by_pictures = sa.select(
        Colorization.reference_id, Colorization.reference_score.label("score"), Colorization.confidence
    ).where(*done, ~sa.exists().where(Shot.colorization_id == Colorization.id))
    by_films = (
        sa.select(Shot.reference_id, sa.func.avg(Shot.reference_score), sa.func.avg(Shot.confidence))
        .join(Colorization, Colorization.id == Shot.colorization_id)
        .where(*done)
        .group_by(Shot.colorization_id, Shot.reference_id)
    )
    uses = sa.union_all(by_pictures, by_films).subquery()
    return (
        sa.select(
            Reference.id.label("reference_id"),
            Reference.path,
            Reference.sha256,
            sa.func.count().label("times_used"),
            sa.func.avg(uses.c.score).label("mean_score"),
            sa.func.avg(uses.c.confidence).label("mean_confidence"),
            Reference.caption,
            Reference.rights,
            Reference.creator,
            Reference.created,
        )
        .join(uses, uses.c.reference_id == Reference.id)
        .group_by(Reference.id)  # the primary key: the other columns depend on it
        .subquery()
    )
