"""Colorizations: what became of each item in a run, recorded in whole batches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import details, events, statements
from storage.database.connection import Database
from storage.database.models import Colorization, Item, Reference, Run
from storage.database.records import CurrentColorization, ItemOutcome, RunColorization
from storage.database.statements import chunks
from storage.database.types import now

_CURRENT = tuple(getattr(Colorization, name) for name in CurrentColorization.__dataclass_fields__ if name != "copies")
_NOT_PLAIN = ("matches", "timings", "shots", "copies", "created_at")
_PLAIN = tuple(name for name in ItemOutcome.__dataclass_fields__ if name not in _NOT_PLAIN)
_FROM_RUN = ("weights_sha256", "index_version", "device", "precision")


def record(db: Database, run_id: int, outcomes: Sequence[ItemOutcome]) -> None:
    """Record a batch in one transaction: colorizations with all that hangs on them, and the run's counts.

    An outcome takes the place of what was current for its item in the run's output folder; only a `skipped`
    one leaves an earlier `done` or `failed` in its place, which still holds. The same batch again (after a
    crash, or a connection lost during the commit) changes nothing but times.

    Raises:
        ValueError: there is no such run.
        DatabaseError: the database was away for longer than `open_database` was told to wait.
    """
    by_item = {outcome.item_id: outcome for outcome in outcomes}
    # In a fixed order, so that two processes never wait for each other's rows.
    ordered = [by_item[item_id] for item_id in sorted(by_item)]
    at = now()

    def work(session: Session) -> None:
        # Batches of one run take turns here: its counts come out right, and an item given to two workers.
        query = sa.select(Run).where(Run.id == run_id).with_for_update(key_share=True)
        run = session.scalars(query).one_or_none()
        if run is None:
            raise ValueError(f"there is no run {run_id}")
        for chunk in chunks(ordered):
            _record_chunk(session, run, chunk, at)

    if ordered:
        db.run_write(work)


def recorded(db: Database, run_id: int, item_ids: Sequence[int]) -> list[ItemOutcome]:
    """What a run has recorded of some items so far, without timings and candidates."""
    columns = [getattr(Colorization, name) for name in _PLAIN]
    query = sa.select(*columns).where(Colorization.run_id == run_id, Colorization.item_id.in_(item_ids))
    return db.run_read(lambda session: [ItemOutcome(**row) for row in session.execute(query).mappings()])


def is_output(db: Database, output_root: str, output_path: str) -> bool:
    """Whether this path was ever recorded for a file in this output folder, superseded or not."""
    main = sa.exists().where(Colorization.output_root == output_root, Colorization.output_path == output_path)
    query = sa.select(sa.or_(main, details.is_copy(output_root, output_path)))
    return bool(db.run_read(lambda session: session.scalar(query)))


def current(db: Database, output_root: str, archive: str) -> dict[int, CurrentColorization]:
    """By item id: what counts in this output folder for the items of this archive, the basis of planning."""
    query = (
        sa.select(*_CURRENT)
        .join(Item, Item.id == Colorization.item_id)
        .where(
            Item.archive == archive,
            Colorization.output_root == output_root,
            Colorization.superseded_at.is_(None),
        )
    )

    def work(session: Session) -> dict[int, CurrentColorization]:
        copies = details.copies(session, Colorization.output_root == output_root, Colorization.superseded_at.is_(None))
        rows = session.execute(query.execution_options(yield_per=2000)).mappings()
        return {row["item_id"]: CurrentColorization(**row, copies=copies.get(row["id"], ())) for row in rows}

    return db.run_read(work)


def of_run(db: Database, run_id: int) -> list[RunColorization]:
    """All that is recorded of a run's items, with candidates, shots and copies; ordered by path and page."""
    return _in_full(db, Colorization.run_id == run_id)


def get(db: Database, colorization_ids: Collection[int]) -> list[RunColorization]:
    """All that is recorded of these colorizations; ordered by path and page."""
    return _in_full(db, Colorization.id.in_(colorization_ids))


def current_done(db: Database, output_root: str) -> list[RunColorization]:
    """All that is recorded of what counts, and is done, in an output folder; ordered by path and page."""
    return _in_full(db, *_done_in(output_root))


def find(db: Database, output_root: str, item: str, page: int | None = None) -> list[RunColorization]:
    """What counts for an item in an output folder, page by page if it is a document.

    Args:
        item: its path in the archive, as text; or, if there is none at such a path, its number.
        page: only this one, counted from 1.
    """
    here = [Colorization.output_root == output_root, Colorization.superseded_at.is_(None)]
    if page is not None:
        here.append(Item.page == page)
    by_path = _in_full(db, *here, Item.path == item)
    return by_path or (_in_full(db, *here, Item.id == int(item)) if item.isdecimal() else [])


def done_paths(db: Database, output_root: str) -> list[str]:
    """The paths of all that counts, and is done, in an output folder; of a document once for each page."""
    query = sa.select(Item.path).join(Colorization, Colorization.item_id == Item.id).where(*_done_in(output_root))
    return db.run_read(lambda session: list(session.scalars(query)))


def done_at(db: Database, output_root: str, paths: Collection[str]) -> list[RunColorization]:
    """All that is recorded of what counts, and is done, at these paths; ordered by path and page."""
    return _in_full(db, *_done_in(output_root), Item.path.in_(paths))


def keep(db: Database, colorization_id: int, kept_path: str | None) -> None:
    """Say where the output of a colorization is kept that is about to be superseded, relative to the output folder."""
    statement = sa.update(Colorization).where(Colorization.id == colorization_id).values(kept_path=kept_path)
    db.run_write(lambda session: session.execute(statement) and None)


def _done_in(output_root: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Colorization.output_root == output_root,
        Colorization.state == "done",
        Colorization.superseded_at.is_(None),
    )


def _in_full(db: Database, *conditions: sa.ColumnElement[bool]) -> list[RunColorization]:
    own = [column for column in sa.inspect(Colorization).columns if column.name in _report_columns()]
    query = (
        sa.select(*own, Item.archive, Item.path, Item.page, Item.kind, Reference.library.label("reference_library"))
        .join(Item, Item.id == Colorization.item_id)
        .outerjoin(Reference, Reference.id == Colorization.reference_id)
        .where(*conditions)
        .order_by(Item.path, Item.page)
    )

    def work(session: Session) -> list[RunColorization]:
        candidates = details.candidates(session, *conditions)
        shots = details.shots(session, *conditions)
        copies = details.copies(session, *conditions)
        return [
            RunColorization(
                **row,
                candidates=candidates.get(row["id"], ()),
                shots=shots.get(row["id"], ()),
                copies=copies.get(row["id"], ()),
            )
            for row in session.execute(query).mappings()
        ]

    return db.run_read(work)


@dataclass(frozen=True)
class _Earlier:
    """What is there by item id: this run's own row, and the other runs' current one in the output folder."""

    own: dict[int, Any]
    current: dict[int, Any]


def _record_chunk(session: Session, run: Run, outcomes: list[ItemOutcome], at: datetime) -> None:
    earlier = _earlier(session, run, [outcome.item_id for outcome in outcomes])
    rows = []
    replaced: list[int] = []
    for outcome in outcomes:
        row = _row(outcome, run, at)
        other = earlier.current.get(outcome.item_id)
        if other is not None and _stays(other, run, outcome):
            row["superseded_at"] = row["created_at"]
        elif other is not None:
            replaced.append(other.id)
        rows.append(row)
    if replaced:
        session.execute(sa.update(Colorization).where(Colorization.id.in_(replaced)).values(superseded_at=at))
    recorded = statements.upsert(session, Colorization, rows, key=("run_id", "item_id"), returning=("item_id", "id"))
    if earlier.own:
        details.delete(session, run.id, earlier.own, [row.id for row in earlier.own.values()])
    ids = {row.item_id: row.id for row in recorded}
    details.insert(session, run.id, outcomes, ids)
    _count(run, outcomes, earlier)
    session.flush()
    events.append(session, events.RECORDED, agent=events.agent(), run_id=run.id, sealed={"colorization": ids.values()})


def _earlier(session: Session, run: Run, item_ids: list[int]) -> _Earlier:
    columns = (Colorization.id, Colorization.run_id, Colorization.item_id, Colorization.state)
    own = session.execute(sa.select(*columns).where(Colorization.run_id == run.id, Colorization.item_id.in_(item_ids)))
    current = session.execute(
        sa.select(*columns).where(
            Colorization.item_id.in_(item_ids),
            Colorization.output_root == run.output_root,
            Colorization.superseded_at.is_(None),
            Colorization.run_id != run.id,
        )
    )
    return _Earlier({row.item_id: row for row in own}, {row.item_id: row for row in current})


def _stays(other: Any, run: Run, outcome: ItemOutcome) -> bool:
    """Whether the current row of another run stays current: it is of a later run, or nothing was done now."""
    return bool(other.run_id > run.id or (outcome.state == "skipped" and other.state != "skipped"))


def _row(outcome: ItemOutcome, run: Run, at: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(outcome, name) for name in _PLAIN}
    for name in _FROM_RUN:
        if row[name] is None:
            row[name] = getattr(run, name)
    return row | {
        "run_id": run.id,
        "output_root": run.output_root,
        "created_at": outcome.created_at or at,
        "superseded_at": None,
    }


def _count(run: Run, outcomes: list[ItemOutcome], earlier: _Earlier) -> None:
    """Let the run's counts grow by what is new in this batch."""
    for outcome in outcomes:
        before = earlier.own.get(outcome.item_id)
        if before is not None:
            setattr(run, before.state, getattr(run, before.state) - 1)
        setattr(run, outcome.state, getattr(run, outcome.state) + 1)
    run.items = max(run.items, run.done + run.failed + run.skipped)


def _report_columns() -> set[str]:
    return set(RunColorization.__dataclass_fields__)
