"""Seals: one digest of everything that a row says, with the rows that hang on it.

A seal is made when a record is written and made again when it is to be shown that nobody has changed it since. What may
rightly change later (that a result was superseded, and where its file went) is no part of it.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database.models import Base, Colorization, Copy, Item, Match, Review, Run, Shot, StageTiming

RecordKind = Literal["colorization", "review", "run"]
KINDS: tuple[RecordKind, ...] = ("colorization", "review", "run")

# Columns are named, not taken from the models: what was sealed once must give the same digest in every later version.
_COLORIZATION = (
    "id run_id item_id reference_id state request_key source_sha256 reference_path reference_sha256 reference_score"
    " reference_rank output_root output_path output_sha256 output_bytes output_format width height bit_depth frames"
    " weights_sha256 index_version device precision confidence seconds peak_memory_bytes started_at created_at stage"
    " error_type message match_confidence low_match reference_choice network_size"
)
_MATCH = "reference_id shot rank score chosen confidence"
_TIMING = "stage seconds items"
_SHOT = (
    "number first_frame last_frame frames cut_score reference_id reference_path reference_sha256 reference_score"
    " reference_rank reference_choice confidence flicker fps seconds seconds_read seconds_network seconds_motion"
    " seconds_chroma seconds_write shown_frame match_confidence low_match"
)
_COPY = "output_path output_sha256 output_bytes output_format"
_REVIEW = "id colorization_id decision reason reviewer at reference_id shot"
_RUN = (
    "id flow_run_id started_at ended_at seconds state archive output_root references_root items done failed skipped"
    " code_version weights_sha256 index_version device precision hostname pid library_versions parameters message"
)


def seals(session: Session, kind: RecordKind, ids: Collection[int]) -> dict[int, str]:
    """By id: the seals (SHA-256, hex) of those of these records that are there."""
    if not ids:
        return {}
    contents = {"colorization": _colorizations, "review": _reviews, "run": _runs}[kind](session, ids)
    return {id_: _digest(content) for id_, content in contents.items()}


def _colorizations(session: Session, ids: Collection[int]) -> dict[int, Mapping[str, Any]]:
    query = (
        sa.select(*_columns(Colorization, _COLORIZATION), Item.archive, Item.path, Item.page)
        .join(Item, Item.id == Colorization.item_id)
        .where(Colorization.id.in_(ids))
    )
    found = {row["id"]: dict(row) for row in session.execute(query).mappings()}
    matches = (
        sa.select(Colorization.id.label("of"), *_columns(Match, _MATCH))
        .join(Match, sa.and_(Match.run_id == Colorization.run_id, Match.item_id == Colorization.item_id))
        .where(Colorization.id.in_(ids))
    )
    hanging = {
        "matches": _grouped(session, matches, ("shot", "rank")),
        "timings": _grouped(session, _details(StageTiming, _TIMING, ids), ("stage", "seconds")),
        "shots": _grouped(session, _details(Shot, _SHOT, ids), ("number",)),
        "copies": _grouped(session, _details(Copy, _COPY, ids), ("output_path",)),
    }
    return {id_: row | {name: rows.get(id_, []) for name, rows in hanging.items()} for id_, row in found.items()}


def _reviews(session: Session, ids: Collection[int]) -> dict[int, Mapping[str, Any]]:
    query = sa.select(*_columns(Review, _REVIEW)).where(Review.id.in_(ids))
    return {row["id"]: dict(row) for row in session.execute(query).mappings()}


def _runs(session: Session, ids: Collection[int]) -> dict[int, Mapping[str, Any]]:
    """With the stages of the run as a whole."""
    query = sa.select(*_columns(Run, _RUN)).where(Run.id.in_(ids))
    timings = sa.select(StageTiming.run_id.label("of"), *_columns(StageTiming, _TIMING)).where(
        StageTiming.run_id.in_(ids), StageTiming.colorization_id.is_(None)
    )
    stages = _grouped(session, timings, ("stage", "seconds"))
    return {row["id"]: {**row, "timings": stages.get(row["id"], [])} for row in session.execute(query).mappings()}


def _details(model: type[Base], names: str, ids: Collection[int]) -> sa.Select[Any]:
    owner = sa.inspect(model).columns["colorization_id"]
    return sa.select(owner.label("of"), *_columns(model, names)).where(owner.in_(ids))


def _columns(model: type[Base], names: str) -> list[sa.Column[Any]]:
    columns = sa.inspect(model).columns
    return [columns[name] for name in names.split()]


def _grouped(session: Session, query: sa.Select[Any], order: tuple[str, ...]) -> defaultdict[int, list[dict[str, Any]]]:
    """By owner: the rows in an order that does not hang on the database."""
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in session.execute(query).mappings():
        values = dict(row)
        found[values.pop("of")].append(values)
    for rows in found.values():
        rows.sort(key=lambda row: tuple(row[name] for name in order))
    return found


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content).encode("utf-8", "surrogatepass")).hexdigest()


def canonical(content: object) -> str:
    """JSON in which equal content is equal text: keys sorted, no spaces, times in UTC to the microsecond."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a record")
