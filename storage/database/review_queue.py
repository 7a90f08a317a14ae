"""What the review asks the database: results one after the other, and what was decided about an item so far."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from storage.database.connection import Database
from storage.database.models import Colorization, Item, Reference, Review
from storage.database.records import ReviewDecision, ReviewedItem, RunColorization

Show = Literal["unreviewed", "reviewed", "all"]
Step = Literal["next", "previous"]

_OF_ITEM = tuple(name for name in ReviewedItem.__dataclass_fields__ if name in sa.inspect(Colorization).columns)
# What has no confidence is looked at first; NULL would be first on SQLite and last on PostgreSQL.
_confidence = sa.func.coalesce(Colorization.confidence, sa.literal(-1.0, sa.Double))


@dataclass(frozen=True, slots=True)
class Filters:
    """Which results are looked at; `below` is a confidence 0..1, `text` a part of the path in any case."""

    show: Show = "unreviewed"
    below: float | None = None
    run_id: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class PastDecision:
    """One decision about an item, on the result that counted then."""

    colorization_id: int
    run_id: int
    decision: ReviewDecision
    reason: str | None
    reviewer: str
    at: datetime
    other_reference_path: str | None
    shot: int | None


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """A result of an item that another one has taken the place of; `kept_path` is where its file is now, if kept."""

    colorization_id: int
    run_id: int
    reference_path: str | None
    created_at: datetime
    superseded_at: datetime
    kept_path: str | None


def results(
    db: Database,
    output_root: str,
    filters: Filters,
    limit: int,
    offset: int = 0,
    after: ReviewedItem | None = None,
) -> list[ReviewedItem]:
    """What is done, and counts, in an output folder, with its latest review; the lowest confidence first.

    Args:
        offset: so many are passed over.
        after: everything up to this one is passed over.
    """
    ordered = _chosen(output_root, filters, Colorization.id).order_by(_confidence, Colorization.id)
    if after is not None:
        ordered = ordered.where(_place() > _place_of(after.confidence, after.colorization_id))
    chosen = ordered.limit(limit).offset(offset).subquery()
    query = (
        sa.select(
            *(getattr(Colorization, name) for name in _OF_ITEM),
            Colorization.id.label("colorization_id"),
            Item.archive,
            Item.path,
            Item.page,
            Item.kind,
            Review.decision.label("review"),
            Review.reviewer,
            Review.reason,
            Review.at.label("reviewed_at"),
        )
        .select_from(chosen)
        .join(Colorization, Colorization.id == chosen.c.id)
        .join(Item, Item.id == Colorization.item_id)
        .outerjoin(Review, Review.id == _latest_review())
        .order_by(_confidence, Colorization.id)
    )
    return db.run_read(lambda session: [ReviewedItem(**row) for row in session.execute(query).mappings()])


def all_results(
    db: Database, output_root: str, filters: Filters, limit: int | None, at_once: int = 2000
) -> Iterator[ReviewedItem]:
    """As `results`, so many at once: a large archive is never held whole."""
    left = sys.maxsize if limit is None else limit
    found = results(db, output_root, filters, min(left, at_once))
    while found:
        yield from found
        left -= len(found)
        found = results(db, output_root, filters, min(left, at_once), after=found[-1]) if left else []


def count(db: Database, output_root: str, filters: Filters) -> int:
    """How many there are for `results`."""
    query = _chosen(output_root, filters, sa.func.count())
    return db.run_read(lambda session: int(session.scalars(query).one()))


def count_before(db: Database, output_root: str, filters: Filters, row: RunColorization) -> int:
    """How many of `results` come before this one, which need not be among them."""
    query = _chosen(output_root, filters, sa.func.count()).where(_place() < _place_of(row.confidence, row.id))
    return db.run_read(lambda session: int(session.scalars(query).one()))


def beside(db: Database, output_root: str, filters: Filters, row: RunColorization, step: Step) -> int | None:
    """The colorization after or before this one, which need not be among `results`; None at the end."""
    query = _chosen(output_root, filters, Colorization.id).limit(1)
    if step == "next":
        query = query.where(_place() > _place_of(row.confidence, row.id)).order_by(_confidence, Colorization.id)
    else:
        query = query.where(_place() < _place_of(row.confidence, row.id)).order_by(
            _confidence.desc(), Colorization.id.desc()
        )
    return db.run_read(lambda session: session.scalars(query).first())


def first(db: Database, output_root: str, filters: Filters) -> int | None:
    """The colorization to begin with; None if there is none."""
    query = _chosen(output_root, filters, Colorization.id).order_by(_confidence, Colorization.id).limit(1)
    return db.run_read(lambda session: session.scalars(query).first())


def decisions(db: Database, output_root: str, item_id: int) -> list[PastDecision]:
    """All that was decided about an item in an output folder, the latest first."""
    query = (
        sa.select(
            Review.colorization_id,
            Colorization.run_id,
            Review.decision,
            Review.reason,
            Review.reviewer,
            Review.at,
            Reference.path.label("other_reference_path"),
            Review.shot,
        )
        .join(Colorization, Colorization.id == Review.colorization_id)
        .outerjoin(Reference, Reference.id == Review.reference_id)
        .where(Colorization.item_id == item_id, Colorization.output_root == output_root)
        .order_by(Review.at.desc(), Review.id.desc())
    )
    return db.run_read(lambda session: [PastDecision(**row) for row in session.execute(query).mappings()])


def earlier_results(db: Database, output_root: str, item_id: int) -> list[EarlierResult]:
    """The results of an item in an output folder that do not count any more, the latest first."""
    query = (
        sa.select(
            Colorization.id.label("colorization_id"),
            Colorization.run_id,
            Colorization.reference_path,
            Colorization.created_at,
            Colorization.superseded_at,
            Colorization.kept_path,
        )
        .where(
            Colorization.item_id == item_id,
            Colorization.output_root == output_root,
            Colorization.state == "done",
            Colorization.superseded_at.is_not(None),
        )
        .order_by(Colorization.id.desc())
    )
    return db.run_read(lambda session: [EarlierResult(**row) for row in session.execute(query).mappings()])


def _chosen(output_root: str, filters: Filters, what: Any) -> sa.Select[Any]:
    query = (
        sa.select(what)
        .select_from(Colorization)
        .where(
            Colorization.output_root == output_root,
            Colorization.state == "done",
            Colorization.superseded_at.is_(None),
        )
    )
    if filters.show != "all":
        reviewed = sa.exists().where(Review.colorization_id == Colorization.id).correlate(Colorization)
        query = query.where(reviewed if filters.show == "reviewed" else ~reviewed)
    if filters.below is not None:
        query = query.where(_confidence < filters.below)
    if filters.run_id is not None:
        query = query.where(Colorization.run_id == filters.run_id)
    if filters.text:
        named = sa.select(Item.id).where(Item.path.icontains(filters.text, autoescape=True))
        query = query.where(Colorization.item_id.in_(named))
    return query


def _place() -> sa.Tuple:
    return sa.tuple_(_confidence, Colorization.id)


def _place_of(confidence: float | None, colorization_id: int) -> sa.Tuple:
    value = -1.0 if confidence is None else confidence
    return sa.tuple_(sa.literal(value, sa.Double), sa.literal(colorization_id, sa.BigInteger))


def _latest_review() -> sa.ScalarSelect[int]:
    return (
        sa.select(Review.id)
        .where(Review.colorization_id == Colorization.id)
        .order_by(Review.at.desc(), Review.id.desc())
        .limit(1)
        .correlate(Colorization)
        .scalar_subquery()
    )
