"""What exports read: a choice of results, gone through part by part, so that a large archive is never held whole.

The choice is made once, as a list of numbers; a run that goes on meanwhile adds nothing to an export.
"""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from storage.database import colorizations
from storage.database.connection import Database
from storage.database.models import Colorization, Event, Fixity, Item, Review, Run
from storage.database.records import ReviewDecision, RunColorization
from storage.database.statements import chunks

Record = TypeVar("Record")

_ROWS = 200  # results read at a time, each with its candidates, shots and copies
_NAMES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The results of an output folder that are done and count.

    `run_id`: only of this run. `with_rejected`: also those that a person rejected last. `with_kept`: also those that
    others took the place of, if their files were kept.
    """

    output_root: str
    run_id: int | None = None
    with_rejected: bool = True
    with_kept: bool = False


@dataclass(frozen=True, slots=True)
class RunRoots:
    """A run with the folders that it read."""

    run_id: int
    archive: str
    references_root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """An item as last seen: its file may be another one than that of a result."""

    id: int
    format: str | None
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReview:
    """A decision on a result; of one that is `replaced`, `reference_id` is the reference that was taken instead."""

    id: int
    colorization_id: int
    decision: ReviewDecision
    reason: str | None
    reviewer: str
    at: datetime
    reference_id: int | None
    shot: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event of the chain that is about one result."""

    id: int
    colorization_id: int
    at: datetime
    type: str
    outcome: str | None
    agent: str
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FixityCheck:
    """What a file, at an absolute `path`, was when it was last hashed."""

    id: int
    what: str
    path: str
    finding: str
    expected_sha256: str | None
    found_sha256: str | None
    checked_at: datetime


def selected(db: Database, selection: Selection) -> "array[int]":
    """The numbers of the chosen results, by path of the item, archive, page and number."""
    query = (
        sa.select(Colorization.id)
        .join(Item, Item.id == Colorization.item_id)
        .where(*_conditions(selection))
        .order_by(Item.path, Item.archive, Item.page, Colorization.id)
    )
    return db.run_read(lambda session: array("q", session.scalars(query.execution_options(yield_per=10_000))))


def runs_into(db: Database, output_root: str, run_id: int | None = None) -> list[RunRoots]:
    """Where the runs (this one) into an output folder took their pictures from."""
    query = sa.select(Run.id, Run.archive, Run.references_root).where(Run.output_root == output_root).order_by(Run.id)
    if run_id is not None:
        query = query.where(Run.id == run_id)
    return db.run_read(lambda session: [RunRoots(*row) for row in session.execute(query)])


def in_full(db: Database, colorization_ids: Iterable[int]) -> Iterator[RunColorization]:
    """All that is recorded of these results, in the order of the numbers."""
    for ids in chunks(colorization_ids, _ROWS):
        found = {row.id: row for row in colorizations.get(db, ids)}
        yield from (found[id_] for id_ in ids if id_ in found)


def items(db: Database, item_ids: Collection[int]) -> dict[int, SourceItem]:
    """By number: what is known of these items."""
    rows = _read(db, SourceItem, Item, Item.id, item_ids)
    return {row.id: row for row in rows}


def reviews(db: Database, colorization_ids: Collection[int]) -> dict[int, list[RecordedReview]]:
    """By result: everything that people decided on it, the oldest first."""
    found: defaultdict[int, list[RecordedReview]] = defaultdict(list)
    for row in _read(db, RecordedReview, Review, Review.colorization_id, colorization_ids):
        found[row.colorization_id].append(row)
    return {id_: sorted(rows, key=lambda row: (row.at, row.id)) for id_, rows in found.items()}


def events_about(
    db: Database, colorization_ids: Collection[int], types: Collection[str]
) -> dict[int, list[RecordedEvent]]:
    """By result: the events of these types that are about it alone, in their order."""
    found: defaultdict[int, list[RecordedEvent]] = defaultdict(list)
    for row in _read(db, RecordedEvent, Event, Event.colorization_id, colorization_ids, Event.type.in_(types)):
        found[row.colorization_id].append(row)
    return {id_: sorted(rows, key=lambda row: row.id) for id_, rows in found.items()}


def fixity_checks(db: Database, what: str, paths: Collection[str]) -> dict[str, FixityCheck]:
    """By absolute path: how these files were found last; one that was never looked at is not in it.

    Args:
        what: source, output or reference.
    """
    return {row.path: row for row in _read(db, FixityCheck, Fixity, Fixity.path, paths, Fixity.what == what)}


def _read(
    db: Database,
    record: type[Record],
    model: Any,
    key: Any,
    values: Collection[Any],
    *conditions: sa.ColumnElement[bool],
) -> list[Record]:
    """The records that the rows of a model make whose `key` is one of the values."""
    columns = [getattr(model, name) for name in record.__dataclass_fields__]  # type: ignore[attr-defined]

    def work(session: sa.orm.Session) -> list[Record]:
        found: list[Record] = []
        for chunk in chunks(sorted(set(values)), _NAMES):
            query = sa.select(*columns).where(key.in_(chunk), *conditions)
            found += [record(**row) for row in session.execute(query).mappings()]
        return found

    return db.run_read(work)


def _conditions(selection: Selection) -> list[sa.ColumnElement[bool]]:
    counts: sa.ColumnElement[bool] = Colorization.superseded_at.is_(None)
    if selection.with_kept:
        counts = sa.or_(counts, Colorization.kept_path.is_not(None))
    found = [Colorization.output_root == selection.output_root, Colorization.state == "done", counts]
    if selection.run_id is not None:
        found.append(Colorization.run_id == selection.run_id)
    if not selection.with_rejected:
        latest = (
            sa.select(Review.decision)
            .where(Review.colorization_id == Colorization.id)
            .order_by(Review.at.desc(), Review.id.desc())
            .limit(1)
            .correlate(Colorization)
            .scalar_subquery()
        )
        found.append(sa.func.coalesce(latest, "") != "rejected")
    return found
