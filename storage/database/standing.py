"""How the runs stand: what an administrator asks in the morning. Only reads, and only along indexes.

A run of a million items is answered as soon as one of ten: its counts are in its own row, its failures in an index of
their own, its latest outcomes at the end of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.database.connection import Database
from storage.database.models import Colorization, Item, Review, Run

_LATEST_ROWS = 2000
_MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class FailureKind:
    """How many items of a run failed in one way."""

    error_type: str
    count: int


@dataclass(frozen=True, slots=True)
class Failure:
    """One item of a run that failed."""

    item_id: int
    path: str
    page: int
    stage: str
    error_type: str
    message: str
    at: datetime


def running(db: Database, output_root: str | None = None) -> list[int]:
    """The runs (into this output folder) that are on record as running, the latest first; at most 100."""
    query = sa.select(Run.id).where(Run.state == "running").order_by(Run.id.desc()).limit(100)
    return _ids(db, query if output_root is None else query.where(Run.output_root == output_root))


def last_ended(db: Database, output_root: str | None = None) -> int | None:
    """The run (into this output folder) that began last of those that have ended, or None."""
    query = sa.select(Run.id).where(Run.state != "running").order_by(Run.id.desc()).limit(1)
    found = _ids(db, query if output_root is None else query.where(Run.output_root == output_root))
    return found[0] if found else None


def failure_kinds(db: Database, run_id: int) -> list[FailureKind]:
    """The failures of a run by error type, the most frequent first."""
    query = (
        sa.select(sa.func.coalesce(Colorization.error_type, "unknown"), sa.func.count())
        .where(Colorization.run_id == run_id, Colorization.state == "failed")
        .group_by(Colorization.error_type)
        .order_by(sa.func.count().desc(), Colorization.error_type)
    )
    return db.run_read(lambda session: [FailureKind(kind, count) for kind, count in session.execute(query)])


def newest_failures(db: Database, run_id: int, limit: int) -> list[Failure]:
    """The latest failures of a run, the latest first."""
    query = (
        sa.select(
            Colorization.item_id,
            Item.path,
            Item.page,
            Colorization.stage,
            Colorization.error_type,
            Colorization.message,
            Colorization.created_at.label("at"),
        )
        .join(Item, Item.id == Colorization.item_id)
        .where(Colorization.run_id == run_id, Colorization.state == "failed")
        .order_by(Colorization.id.desc())
        .limit(limit)
    )
    return db.run_read(lambda session: [Failure(**row) for row in session.execute(query).mappings()])


def latest_outcomes(db: Database, run_id: int) -> list[datetime]:
    """When the latest items of a run that is under way were done or failed, the latest first.

    Looked for among the last 2000 outcomes that were recorded at all: the items of a run that ended long ago are not
    found, nor those of one that others left far behind.
    """
    end = sa.select(Colorization).order_by(Colorization.id.desc()).limit(_LATEST_ROWS).subquery()
    query = sa.select(end.c.created_at).where(end.c.run_id == run_id, end.c.state.in_(("done", "failed")))
    return sorted(db.run_read(lambda session: list(session.scalars(query))), reverse=True)


def unreviewed(db: Database, run_id: int, *, low_match: bool = False) -> int:
    """How many results of a run count in their folder and nobody has decided on; 1000 stands for these or more.

    Args:
        low_match: only those whose reference may not fit.
    """
    decided = sa.exists().where(Review.colorization_id == Colorization.id).correlate(Colorization)
    query = sa.select(Colorization.id).where(
        Colorization.run_id == run_id,
        Colorization.state == "done",
        Colorization.superseded_at.is_(None),
        ~decided,
    )
    if low_match:
        query = query.where(Colorization.low_match.is_(True))
    first = query.limit(_MOST_COUNTED).subquery()
    return db.run_read(lambda session: session.scalars(sa.select(sa.func.count()).select_from(first)).one())


def _ids(db: Database, query: sa.Select[tuple[int]]) -> list[int]:
    found: Sequence[int] = db.run_read(lambda session: session.scalars(query).all())
    return list(found)
