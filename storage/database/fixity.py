"""Fixity: which files the records tell of, what each was found to be, and how far a verification has come.

A verification is known by the event of its start. What was looked at since then is in `fixity`; so one that was cut
off is gone on with, and whoever looks later sees when each file was last found intact.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import events, statements
from storage.database.connection import Database
from storage.database.errors import DatabaseError
from storage.database.expected_files import by_id
from storage.database.models import Colorization, Event, Fixity, Item, Reference, Shot
from storage.database.statements import ROWS_PER_STATEMENT
from storage.database.types import now, storable

What = Literal["source", "output", "reference", "record"]
FindingName = Literal["intact", "changed", "missing", "unreadable", "unknown"]

# https://www.postgresql.org/docs/current/errcodes-appendix.html: insufficient_privilege, read_only_sql_transaction
_NO_WRITING = ("42501", "25006")

MOST_EVENTS = 1000
"""So many findings of a verification become events of their own; one more says how many there are besides."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found at a path, or of a record (then `path` is the record in words).

    `unknown`: there is a file or record that nothing tells of. `colorization_id` is one of those it belongs to.
    """

    what: What
    finding: FindingName
    path: str
    expected_sha256: str | None = None
    found_sha256: str | None = None
    colorization_id: int | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification that has begun and not ended: the event of its start, when that was, and what is verified."""

    event_id: int
    at: datetime
    scope: str
    run_id: int | None = None


class ReadOnlyDatabase(DatabaseError):  # noqa: N818 - the name is what is wrong
    """The database may be read and not be written to."""


def begin(db: Database, scope: str, run_id: int | None = None, *, restart: bool = False) -> tuple[Verification, bool]:
    """Begin a verification, or go on with the last one of the same scope if that has not ended.

    Returns:
        The verification, and whether it was begun earlier.

    Raises:
        ReadOnlyDatabase: it may not be written to.
    """

    def work(session: Session) -> tuple[Verification, bool]:
        earlier = None if restart else _unfinished(session, scope)
        if earlier is not None:
            return Verification(earlier.id, earlier.at, scope, run_id), True
        at = now()
        started = events.append(
            session, events.FIXITY_STARTED, agent=events.agent(), run_id=run_id, message=scope, at=at
        )
        return Verification(started, at, scope, run_id), False

    try:
        return db.run_write(work)
    except DatabaseError as error:
        if _is_read_only(error.__cause__):
            raise ReadOnlyDatabase(str(error)) from error
        raise


def record(db: Database, files: Sequence[Checked], verification: Verification | None = None) -> None:
    """Record what files were found to be; of a verification, findings become events too.

    Of several of the same kind and path the last one counts in `fixity`.
    """
    at = now()
    rows = {(one.what, one.path): _row(one, at) for one in files}
    ordered = [rows[key] for key in sorted(rows)]  # in a fixed order: no two processes wait for each other's rows

    def work(session: Session) -> None:
        statements.upsert(session, Fixity, ordered, key=("what", "path"), returning=("id",))
        if verification is not None:
            _tell(session, verification, [one for one in files if one.finding != "intact"])

    if ordered:
        db.run_write(work)


def end(db: Database, verification: Verification, late: Sequence[Checked], findings: int, counts: str) -> None:
    """Record the end of a verification, with the findings that are no event yet.

    Args:
        late: the first of those findings, `MOST_EVENTS` of them or all.
        findings: how many there are in all, those recorded earlier too.
        counts: what was looked at, in words.
    """

    def work(session: Session) -> None:
        _tell(session, verification, late)
        further = findings - _told(session, verification)
        if findings > MOST_EVENTS and further > 0:
            _append(session, verification, events.FIXITY_FOUND, "further", f"{further} further findings")
        outcome = "findings" if findings else "intact"
        _append(session, verification, events.FIXITY_ENDED, outcome, f"{_end_of(verification)}{counts}")

    db.run_write(work)


def checked_since(db: Database, at: datetime) -> Iterator[Checked]:
    """What was looked at since then, in chunks: not all of it is held in memory."""
    names = ("what", "finding", "path", "expected_sha256", "found_sha256")
    query = sa.select(Fixity.id, *(getattr(Fixity, name) for name in names)).where(Fixity.checked_at >= at)
    for row in by_id(db, query, Fixity.id):
        yield Checked(*(row[name] for name in names))


def contradictions(db: Database, known: Collection[int] = ()) -> list[Checked]:
    """Records that contradict others, where no seal shows it.

    A reference whose digest is not what its uses have on record; an item of whose results in an output folder none
    counts, though there are some, or one that a later run had taken the place of.

    Args:
        known: colorizations that were found to be changed anyway.
    """
    is_known = Colorization.id.in_(sorted(known)[:ROWS_PER_STATEMENT]) if known else sa.false()

    def work(session: Session) -> list[Checked]:
        of_items = _other_digests(Colorization.id, Colorization.reference_id, Colorization.reference_sha256)
        of_shots = _other_digests(Shot.colorization_id, Shot.reference_id, Shot.reference_sha256)
        found: dict[tuple[int, str], Checked] = {}
        for query in (of_items, of_shots.join(Colorization, Colorization.id == Shot.colorization_id)):
            for row in session.execute(query.where(~is_known)).mappings():
                name = f"reference {row['id']}, {row['path']}, as used for colorization {row['colorization_id']}"
                one = Checked("record", "changed", name, row["expected"], row["sha256"], row["colorization_id"])
                found.setdefault((row["id"], row["expected"]), one)
        return [*found.values(), *_none_counts(session), *_older_counts(session)]

    return db.run_read(work)


def _other_digests(
    colorization_id: sa.orm.InstrumentedAttribute[int],
    reference_id: sa.orm.InstrumentedAttribute[int | None],
    sha256: sa.orm.InstrumentedAttribute[str | None],
) -> sa.Select[Any]:
    return (
        sa.select(
            Reference.id,
            Reference.path,
            Reference.sha256,
            sha256.label("expected"),
            sa.func.min(colorization_id).label("colorization_id"),
        )
        .select_from(colorization_id.class_)
        .join(Reference, Reference.id == reference_id)
        .where(sha256.is_not(None), sha256.is_distinct_from(Reference.sha256))
        .group_by(Reference.id, Reference.path, Reference.sha256, sha256)
        .order_by(Reference.id, sha256)
    )


def _none_counts(session: Session) -> Iterator[Checked]:
    counting = sa.func.count().filter(Colorization.superseded_at.is_(None))
    query = (
        sa.select(Item.path, Item.page, Item.kind, Colorization.output_root, sa.func.max(Colorization.id).label("last"))
        .join(Item, Item.id == Colorization.item_id)
        .group_by(Item.id, Item.path, Item.page, Item.kind, Colorization.output_root)
        .having(counting == 0)
        .order_by(Item.path, Item.page, Colorization.output_root)
    )
    for row in session.execute(query):
        page = f", page {row.page}" if row.kind == "page" else ""
        name = f"colorization {row.last} of {row.path}{page}, superseded though nothing took its place"
        yield Checked("record", "changed", name, colorization_id=row.last)


def _older_counts(session: Session) -> Iterator[Checked]:
    """Only what a run left out never takes the place of an earlier result (`colorizations.record`)."""
    later = sa.orm.aliased(Colorization)
    query = (
        sa.select(Colorization.id, Item.path, Item.page, Item.kind, sa.func.max(later.id).label("later"))
        .join(Item, Item.id == Colorization.item_id)
        .join(later, sa.and_(later.item_id == Item.id, later.output_root == Colorization.output_root))
        .where(
            Colorization.superseded_at.is_(None),
            later.superseded_at.is_not(None),
            later.state != "skipped",
            later.run_id > Colorization.run_id,
        )
        .group_by(Colorization.id, Item.path, Item.page, Item.kind)
        .order_by(Item.path, Item.page, Colorization.id)
    )
    for row in session.execute(query):
        page = f", page {row.page}" if row.kind == "page" else ""
        name = f"colorization {row.id} of {row.path}{page}, counts though {row.later} took its place"
        yield Checked("record", "changed", name, colorization_id=row.id)


def _row(one: Checked, at: datetime) -> dict[str, Any]:
    return {
        "what": one.what,
        "path": one.path,
        "finding": one.finding,
        "expected_sha256": one.expected_sha256,
        "found_sha256": one.found_sha256,
        "checked_at": at,
    }


def _tell(session: Session, verification: Verification, findings: Sequence[Checked]) -> None:
    left = MOST_EVENTS - _told(session, verification) if findings else 0
    for one in findings[: max(0, left)]:
        digests = [
            f"{word} {digest}"
            for word, digest in (("expected", one.expected_sha256), ("found", one.found_sha256))
            if digest
        ]
        message = f"{one.what} {one.path}" + (f" ({', '.join(digests)})" if digests else "")
        _append(session, verification, events.FIXITY_FOUND, one.finding, message, one.colorization_id)


def _told(session: Session, verification: Verification) -> int:
    query = sa.select(sa.func.count()).where(Event.type == events.FIXITY_FOUND, Event.id > verification.event_id)
    return session.scalars(query).one()


def _append(
    session: Session,
    verification: Verification,
    type_: str,
    outcome: str,
    message: str,
    colorization_id: int | None = None,
) -> None:
    events.append(
        session,
        type_,
        agent=events.agent(),
        outcome=outcome,
        run_id=verification.run_id,
        colorization_id=colorization_id,
        message=message,
    )


def _unfinished(session: Session, scope: str) -> sa.Row[tuple[int, datetime]] | None:
    """The start of the last verification of this scope, if it has no end."""
    started = (
        sa.select(Event.id, Event.at)
        .where(Event.type == events.FIXITY_STARTED, Event.message == storable(scope))
        .order_by(Event.id.desc())
        .limit(1)
    )
    last = session.execute(started).first()
    if last is None:
        return None
    ended = sa.select(Event.message).where(Event.type == events.FIXITY_ENDED, Event.id > last.id)
    end_ = storable(_end_of(Verification(last.id, last.at, scope)))
    return None if any((message or "").startswith(end_) for message in session.scalars(ended)) else last


def _end_of(verification: Verification) -> str:
    """How the message of the end of this very verification begins."""
    return f"{verification.scope}, begun in event {verification.event_id}: "


def _is_read_only(cause: BaseException | None) -> bool:
    """Whether a driver says that there is no right to write, or that the server only answers queries."""
    refused = getattr(cause, "orig", None)
    if isinstance(refused, sqlite3.Error):
        return getattr(refused, "sqlite_errorname", "").startswith("SQLITE_READONLY")
    return getattr(refused, "sqlstate", None) in _NO_WRITING
