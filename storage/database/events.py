"""Events: what happened to the records, as a chain in which a later change shows.

Each event is hashed together with the hash of the one before it, and carries the seals (`storage.database.seals`) of
the records that it is about. Who changes a record by hand breaks its seal; who changes the event too breaks the chain
from there on. What a chain cannot show by itself is that its end was cut off together with what that was about: for
this the last event's number and hash (`head`) are to be noted down elsewhere, and `check` told.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database.models import Base, Colorization, Event, Item, Review, Run
from storage.database.seals import KINDS, RecordKind, canonical, seals
from storage.database.statements import chunks, take_turns
from storage.database.types import now, storable

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
    """Seal the records of a database that had no events; the end of an upgrade, in its transaction."""
    with Session(connection) as session:
        for kind in KINDS:
            key = sa.inspect(_MODELS[kind]).columns["id"]
            query = sa.select(key).order_by(key)
            if kind == "run":
                query = query.where(Run.state != "running")
            for ids in chunks(session.scalars(query).all()):
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
    with db.read() as session:
        last_seals: dict[tuple[RecordKind, int], str] = {}
        yield from _check_chain(session, last_seals, noted)
        for kind in KINDS:
            yield from _check_records(
                session, kind, {id_: seal for (of, id_), seal in last_seals.items() if of == kind}
            )


def _check_chain(
    session: Session, last_seals: dict[tuple[RecordKind, int], str], noted: Head | None
) -> Iterator[RecordFinding]:
    expected, previous = 1, None
    query = sa.select(*sa.inspect(Event).columns).order_by(Event.id).execution_options(yield_per=500)
    for row in session.execute(query).mappings():
        for missing in range(expected, row["id"]):
            yield RecordFinding("event", missing, "missing", f"event {missing}")
            previous = None
        is_linked = row["previous_sha256"] == previous or row["id"] != expected
        if not is_linked or row["sha256"] != _hash(row):
            yield RecordFinding("event", row["id"], "changed", f"event {row['id']} ({row['type']})")
        if noted is not None and row["id"] == noted.event_id and row["sha256"] != noted.sha256:
            yield RecordFinding("event", row["id"], "changed", f"event {row['id']}, which was noted with another hash")
        for kind, digests in json.loads(row["records"] or "{}").items():
            last_seals.update({(kind, int(id_)): digest for id_, digest in digests.items()})
        expected, previous = row["id"] + 1, row["sha256"]
    if noted is not None and noted.event_id >= expected:
        yield RecordFinding("event", noted.event_id, "missing", f"event {noted.event_id}, which was noted as there")


def _check_records(session: Session, kind: RecordKind, expected: dict[int, str]) -> Iterator[RecordFinding]:
    key = sa.inspect(_MODELS[kind]).columns["id"]
    seen: set[int] = set()
    query = sa.select(key).order_by(key)
    if kind == "run":
        query = query.where(Run.state != "running")
    for ids in chunks(session.scalars(query).all()):
        found = seals(session, kind, ids)
        seen.update(found)
        wrong = {id_: expected.get(id_) for id_, seal in found.items() if expected.get(id_) != seal}
        names = _names(session, kind, wrong)
        for id_, before in wrong.items():
            yield RecordFinding(kind, id_, "unknown" if before is None else "changed", names[id_])
    for id_ in sorted(expected.keys() - seen):
        yield RecordFinding(kind, id_, "missing", f"{kind} {id_}")


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
