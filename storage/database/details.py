"""What hangs on colorizations: candidates, timings, a film's shots, outputs in further formats."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import statements
from storage.database.models import Colorization, Copy, Item, Match, Reference, Shot, StageTiming
from storage.database.records import (
    Candidate,
    CopyRecord,
    ItemOutcome,
    MatchRecord,
    RecordedShot,
    ShotRecord,
)
from storage.database.records import StageTiming as StageTimingRecord

T = TypeVar("T")

_MATCH = tuple(MatchRecord.__dataclass_fields__)
_TIMING = tuple(StageTimingRecord.__dataclass_fields__)
_SHOT = tuple(ShotRecord.__dataclass_fields__)
_COPY = tuple(CopyRecord.__dataclass_fields__)
_COPY_COLUMNS = tuple(getattr(Copy, name) for name in _COPY)


def insert(session: Session, run_id: int, outcomes: Sequence[ItemOutcome], ids: dict[int, int]) -> None:
    """Insert what hangs on these outcomes, whose colorizations are `ids` by item."""
    match_rows: list[dict[str, Any]] = []
    timing_rows: list[dict[str, Any]] = []
    shot_rows: list[dict[str, Any]] = []
    copy_rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        run = {"run_id": run_id}
        colorization = {"colorization_id": ids[outcome.item_id]}
        match_rows += [run | {"item_id": outcome.item_id} | _values(match, _MATCH) for match in outcome.matches]
        timing_rows += [run | colorization | _values(timing, _TIMING) for timing in outcome.timings]
        shot_rows += [run | colorization | _values(shot, _SHOT) for shot in outcome.shots]
        copy_rows += [colorization | _values(copy, _COPY) for copy in outcome.copies]
    statements.insert(session, Match, match_rows)
    statements.insert(session, StageTiming, timing_rows)
    statements.insert(session, Shot, shot_rows)
    statements.insert(session, Copy, copy_rows)


def delete(session: Session, run_id: int, item_ids: Collection[int], colorization_ids: Collection[int]) -> None:
    """Delete what hangs on these colorizations of a run and their items."""
    session.execute(sa.delete(Match).where(Match.run_id == run_id, Match.item_id.in_(item_ids)))
    for table in (StageTiming, Shot, Copy):
        session.execute(sa.delete(table).where(table.colorization_id.in_(colorization_ids)))


def candidates(session: Session, *conditions: sa.ColumnElement[bool]) -> dict[int, tuple[Candidate, ...]]:
    """By colorization id: the candidates by shot and rank; one without any has none in it.

    The conditions, here and in what follows, are on `Colorization` and `Item`.
    """
    query = (
        sa.select(
            Colorization.id.label("colorization_id"),
            Match.reference_id,
            Reference.library,
            Reference.path,
            Reference.sha256,
            Match.shot,
            Match.rank,
            Match.score,
            Match.chosen,
            Match.confidence,
        )
        .select_from(Colorization)
        .join(Item, Item.id == Colorization.item_id)
        .join(Match, sa.and_(Match.run_id == Colorization.run_id, Match.item_id == Colorization.item_id))
        .join(Reference, Reference.id == Match.reference_id)
        .where(*conditions)
        .order_by(Colorization.id, Match.shot, Match.rank)
    )
    return _grouped(session, query, Candidate, "colorization_id")


def shots(session: Session, *conditions: sa.ColumnElement[bool]) -> dict[int, tuple[RecordedShot, ...]]:
    """By colorization id: the shots by number; a picture has none in it."""
    query = (
        sa.select(
            Shot.colorization_id,
            *(getattr(Shot, name) for name in _SHOT),
            Reference.library.label("reference_library"),
        )
        .join(Colorization, Colorization.id == Shot.colorization_id)
        .join(Item, Item.id == Colorization.item_id)
        .outerjoin(Reference, Reference.id == Shot.reference_id)
        .where(*conditions)
        .order_by(Shot.colorization_id, Shot.number)
    )
    return _grouped(session, query, RecordedShot, "colorization_id")


def copies(session: Session, *conditions: sa.ColumnElement[bool]) -> dict[int, tuple[CopyRecord, ...]]:
    """By colorization id: the further outputs by path."""
    query = (
        sa.select(Copy.colorization_id, *_COPY_COLUMNS)
        .join(Colorization, Colorization.id == Copy.colorization_id)
        .join(Item, Item.id == Colorization.item_id)
        .where(*conditions)
        .order_by(Copy.colorization_id, Copy.output_path)
    )
    return _grouped(session, query, CopyRecord, "colorization_id")


def is_copy(output_root: str, output_path: str) -> sa.Exists:
    """Whether this path was ever recorded for a further output in this output folder, superseded or not."""
    return (
        sa.exists()
        .where(Copy.output_path == output_path)
        .where(Colorization.id == Copy.colorization_id, Colorization.output_root == output_root)
    )


def _grouped(session: Session, query: sa.Select[Any], record: Callable[..., T], key: str) -> dict[int, tuple[T, ...]]:
    found: defaultdict[int, list[T]] = defaultdict(list)
    for row in session.execute(query).mappings():
        values: dict[str, Any] = dict(row)
        found[values.pop(key)].append(record(**values))
    return {id_: tuple(records) for id_, records in found.items()}


def _values(record: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}
