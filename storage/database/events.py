"""Events: what happened to the records, as a chain in which a later change shows.

Each event is hashed together with the hash of the one before it, and carries the seals (`storage.database.seals`) of
the records that it is about. Who changes a record by hand breaks its seal; who changes the event too breaks the chain
from there on. What a chain cannot show by itself is that its end was cut off together with what that was about: for
this the last event's number and hash (`head`) are to be noted down elsewhere, and `check` told.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database.models import Base, Colorization, Event, Item, Review, Run
from storage.database.seals import KINDS, RecordKind, canonical, seals
from storage.database.statements import chunks, take_turns
from storage.database.types import UtcDateTime, now, storable

if TYPE_CHECKING:  # the schema seals what it upgrades, and the database opens the schema
    from storage.database.connection import Database

RUN_STARTED = "run_started"
RUN_ENDED = "run_ended"
RECORDED = "recorded"
REVIEWED = "reviewed"
SEALED = "sealed"
FIXITY_STARTED = "fixity_check_started"
FIXITY_FOUND = "fixity_check_finding"
FIXITY_ENDED = "fixity_check_ended"
EXPORTED = "exported"
REPRODUCED = "reproduced"

_ID_DIGITS = 19  # of the largest id; a longer one was made up
_MODELS: Mapping[RecordKind, type[Base]] = {"colorization": Colorization, "review": Review, "run": Run}


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of a chain: its number and its hash."""

    event_id: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.event_id}:{self.sha256}"


@dataclass(frozen=True, slots=True)
class RecordFinding:
    """A record that is not as it was written.

    `kind` is event, or what `storage.database.seals` seals. `unknown`: no event tells of it.
    """

    kind: Literal["event", "colorization", "review", "run"]
    id: int
    finding: Literal["changed", "missing", "unknown"]
    name: str
    """The record in words."""


def agent() -> str:
    """This program, as the agent of an event."""
    try:
        return f"archive-colorizer {version('archive-colorizer')}"
    except PackageNotFoundError:
        return "archive-colorizer"


def append(
    session: Session,
    type_: str,
    *,
    agent: str,
    outcome: str | None = None,
    run_id: int | None = None,
    colorization_id: int | None = None,
    message: str | None = None,
    sealed: Mapping[RecordKind, Collection[int]] | None = None,
    at: datetime | None = None,
) -> int:
    """Add an event about the records `sealed` (ids by kind) as they are now; its id.

    The last thing to be done in a transaction: until its end no other process can add an event. The same event once
    more, as when a connection broke during the commit, is not added again.
    """
    digests = {
        kind: {str(id_): seal for id_, seal in sorted(seals(session, kind, ids).items())}
        for kind, ids in (sealed or {}).items()
    }
    content: dict[str, Any] = {
        "type": type_,
        "outcome": outcome,
        "agent": storable(agent),
        "run_id": run_id,
        "colorization_id": colorization_id,
        "message": None if message is None else storable(message),
        "records": canonical(digests) if digests else None,
    }
    take_turns(session, "event")
    if digests and (again := _same(session, content)) is not None:
        return again
    last = session.execute(sa.select(Event.id, Event.sha256).order_by(Event.id.desc()).limit(1)).first()
    row = {**content, "id": 1 if last is None else last.id + 1, "at": at or now()}
    row["previous_sha256"] = None if last is None else last.sha256
    session.execute(sa.insert(Event), {**row, "sha256": _hash(row)})
    return int(row["id"])


def seal_what_is_not(connection: sa.Connection) -> None:
    """Seal the records that no event tells of, as those of a database that had no events; the end of an upgrade, in
    its transaction. What is sealed keeps its seal, whether it fits or not."""
    with Session(connection) as session, contextlib.closing(_LastSeals()) as last_seals:
        for row in _chain(session):
            last_seals.add(_sealed_by(row))
        for kind in KINDS:
            for rows in chunks(_ids(session, kind)):
                before = last_seals.of(kind, [id_ for id_, _ in rows])
                ids = [id_ for id_, is_final in rows if is_final and id_ not in before]
                if ids:
                    append(session, SEALED, agent=agent(), message="found at an upgrade", sealed={kind: ids})
        session.flush()


def head(session: Session) -> Head | None:
    """The end of the chain; None where there is no event."""
    last = session.execute(sa.select(Event.id, Event.sha256).order_by(Event.id.desc()).limit(1)).first()
    return None if last is None else Head(last.id, last.sha256)


def check(db: "Database", noted: Head | None = None) -> Iterator[RecordFinding]:
    """Hold every event against the one before it, and every record against its last seal.

    Args:
        noted: an end of the chain that was noted down earlier: it must be part of the chain.
    """
    with db.read() as session, contextlib.closing(_LastSeals()) as last_seals:
        yield from _check_chain(session, last_seals, noted)
        for kind in KINDS:
            yield from _check_records(session, kind, last_seals)


class _LastSeals:
    """The last seal of every record, in a temporary file once it grows: there may be millions."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("CREATE TABLE seal (kind, id, sha256, PRIMARY KEY (kind, id)) WITHOUT ROWID")
        self._file.execute("BEGIN")

    def add(self, rows: Iterable[tuple[RecordKind, int, str]]) -> None:
        self._file.executemany("INSERT OR REPLACE INTO seal VALUES (?, ?, ?)", rows)

    def of(self, kind: RecordKind, ids: Sequence[int]) -> dict[int, str]:
        """By id, for ids that rise."""
        query = "SELECT id, sha256 FROM seal WHERE kind = ? AND id BETWEEN ? AND ?"
        return dict(self._file.execute(query, (kind, ids[0], ids[-1]))) if ids else {}

    def forget(self, kind: RecordKind, ids: Iterable[int]) -> None:
        self._file.executemany("DELETE FROM seal WHERE kind = ? AND id = ?", ((kind, id_) for id_ in ids))

    def left(self, kind: RecordKind) -> Iterator[int]:
        return (id_ for (id_,) in self._file.execute("SELECT id FROM seal WHERE kind = ? ORDER BY id", (kind,)))

    def close(self) -> None:
        self._file.close()


class _AnyTime(UtcDateTime):
    """Gives what was edited into something that is no time as it is, so that it can be reported."""

    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        with contextlib.suppress(TypeError, ValueError):
            return super().process_result_value(value, dialect)
        return str(value)


def _chain(session: Session) -> Iterator[sa.RowMapping]:
    columns = [sa.type_coerce(c, _AnyTime).label("at") if c.name == "at" else c for c in sa.inspect(Event).columns]
    query = sa.select(*columns).order_by(Event.id).execution_options(yield_per=500)
    yield from session.execute(query).mappings()


def _sealed_by(row: sa.RowMapping) -> list[tuple[RecordKind, int, str]]:
    """Kind, id and seal of what an event is about; nothing where somebody made it unreadable."""
    try:
        told = json.loads(row["records"] or "{}")
        return [
            (kind, int(id_), str(seal))
            for kind in KINDS
            for id_, seal in told.get(kind, {}).items()
            if len(id_) < _ID_DIGITS
        ]
    except (AttributeError, TypeError, ValueError):
        return []


def _check_chain(session: Session, last_seals: _LastSeals, noted: Head | None) -> Iterator[RecordFinding]:
    expected, previous = 1, None
    for row in _chain(session):
        id_ = row["id"]
        if id_ < expected:  # numbers begin with 1, so this one was slipped in
            yield RecordFinding("event", id_, "unknown", f"event {id_} ({row['type']})")
            continue
        if id_ > expected:
            name = f"event {expected}" if id_ == expected + 1 else f"events {expected} to {id_ - 1}"
            yield RecordFinding("event", expected, "missing", name)
        is_linked = row["previous_sha256"] == previous or id_ != expected
        if not is_linked or not _fits(row):
            yield RecordFinding("event", id_, "changed", f"event {id_} ({row['type']})")
        elif noted is not None and id_ == noted.event_id and row["sha256"] != noted.sha256:
            yield RecordFinding("event", id_, "changed", f"event {id_}, which was noted with another hash")
        last_seals.add(_sealed_by(row))
        expected, previous = id_ + 1, row["sha256"]
    if noted is not None and noted.event_id >= expected:
        yield RecordFinding("event", noted.event_id, "missing", f"event {noted.event_id}, which was noted as there")


def _fits(row: sa.RowMapping) -> bool:
    try:
        return bool(row["sha256"] == _hash(row))
    except TypeError:  # edited into bytes
        return False


def _check_records(session: Session, kind: RecordKind, last_seals: _LastSeals) -> Iterator[RecordFinding]:
    for rows in chunks(_ids(session, kind)):
        ids = [id_ for id_, _ in rows]
        expected = last_seals.of(kind, ids)
        found = _seals_of_any(session, kind, [id_ for id_, is_final in rows if is_final or id_ in expected])
        wrong = {id_: expected.get(id_) for id_, seal in found.items() if expected.get(id_) != seal}
        names = _names(session, kind, wrong)
        for id_, before in wrong.items():
            yield RecordFinding(kind, id_, "unknown" if before is None else "changed", names[id_])
        last_seals.forget(kind, found)
    for id_ in last_seals.left(kind):
        yield RecordFinding(kind, id_, "missing", f"{kind} {id_}")


def _ids(session: Session, kind: RecordKind) -> Iterator[tuple[int, bool]]:
    """The ids, rising, each with whether it should have a seal: a run gets its own when it ends."""
    key = sa.inspect(_MODELS[kind]).columns["id"]
    is_final = Run.state != "running" if kind == "run" else sa.true()
    query = sa.select(key, is_final.label("is_final")).order_by(key)
    for row in session.execute(query.execution_options(yield_per=2000)):
        yield row[0], bool(row[1])


def _seals_of_any(session: Session, kind: RecordKind, ids: Sequence[int]) -> dict[int, str]:
    """The seals, also of records that were edited into something that cannot be read."""
    try:
        return seals(session, kind, ids)
    except (TypeError, ValueError):
        if len(ids) == 1:
            return {ids[0]: "unreadable"}
    half = len(ids) // 2
    return _seals_of_any(session, kind, ids[:half]) | _seals_of_any(session, kind, ids[half:])


def _names(session: Session, kind: RecordKind, ids: Collection[int]) -> dict[int, str]:
    if kind == "run" or not ids:
        return {id_: f"{kind} {id_}" for id_ in ids}
    key = Review.id if kind == "review" else Colorization.id
    query = (
        sa.select(key, Item.path, Item.page, Item.kind)
        .select_from(Colorization)
        .join(Item, Item.id == Colorization.item_id)
        .outerjoin(Review, Review.colorization_id == Colorization.id)
        .where(key.in_(ids))
    )
    named = {id_: f"{kind} {id_}" for id_ in ids}
    for id_, path, page, item_kind in session.execute(query):
        named[id_] = f"{kind} {id_} of {path}" + (f", page {page}" if item_kind == "page" else "")
    return named


def _same(session: Session, content: Mapping[str, Any]) -> int | None:
    """The last event of this type about the same run, if it says the same."""
    query = (
        sa.select(*sa.inspect(Event).columns)
        .where(Event.run_id == content["run_id"], Event.type == content["type"])
        .order_by(Event.id.desc())
        .limit(1)
    )
    row = session.execute(query).mappings().first()
    return row["id"] if row is not None and all(row[name] == value for name, value in content.items()) else None


def _hash(row: Mapping[str, Any] | sa.RowMapping) -> str:
    names = (
        "previous_sha256",
        "id",
        "at",
        "type",
        "outcome",
        "agent",
        "run_id",
        "colorization_id",
        "message",
        "records",
    )
    return hashlib.sha256(canonical([row[name] for name in names]).encode("utf-8", "surrogatepass")).hexdigest()
