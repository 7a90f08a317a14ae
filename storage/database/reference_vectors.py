"""The vectors of a library's references, in chunks: all of them, or what has changed since it was last looked.

Every change of a library has a number (`reference.change`), given in the transaction that makes it, and those are made
one after the other. So who has seen all changes up to a number has only those above it to look at.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from storage.database.connection import Database
from storage.database.models import Reference
from storage.database.statements import ROWS_PER_STATEMENT, chunks


@dataclass(frozen=True, slots=True)
class ReferenceVectors:
    """References in use: N ids, sha256 of their content, embeddings (N, d) float32."""

    ids: NDArray[np.int64]
    sha256s: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReferenceChanges:
    """Some of the rows written since, in the order of `change`: the last number among them, the rows in use now, and
    the ids of the others."""

    change: int
    active: ReferenceVectors
    gone: NDArray[np.int64]


def latest_change(db: Database, library: str) -> int:
    """The number of the library's last change; 0 where none was counted."""
    query = sa.select(sa.func.coalesce(sa.func.max(Reference.change), 0)).where(Reference.library == library)
    return db.run_read(lambda session: session.scalars(query).one())


def count_changed(db: Database, library: str, change: int) -> int:
    """How many rows were written after this change."""
    query = sa.select(sa.func.count()).where(Reference.library == library, Reference.change > change)
    return db.run_read(lambda session: session.scalars(query).one())


def active(
    db: Database, library: str, embedding_version: str, *, rows: int = ROWS_PER_STATEMENT
) -> Iterator[ReferenceVectors]:
    """The references in use that have an embedding of this version, by rising id, in chunks of at most `rows`.

    Each chunk is read by itself: what is written meanwhile may be among them or not, and has a higher change.
    """
    query = (
        sa.select(Reference.id, Reference.sha256, Reference.embedding)
        .where(
            of_library_by_id(library),
            Reference.state == "active",
            Reference.embedding_version == embedding_version,
        )
        .order_by(Reference.id)
        .limit(rows)
    )
    last = 0
    while True:
        found = _rows(db, query.where(Reference.id > last))
        if found:
            yield _vectors(found)
            last = found[-1][0]
        if len(found) < rows:
            return


def of(db: Database, reference_ids: Iterable[int]) -> dict[int, NDArray[np.float32]]:
    """The embeddings (d,) of these references by id; those that have none are left out."""
    ids = sorted(set(reference_ids))

    def work(session: Session) -> dict[int, NDArray[np.float32]]:
        found: dict[int, NDArray[np.float32]] = {}
        for chunk in chunks(ids):
            query = sa.select(Reference.id, Reference.embedding).where(
                Reference.id.in_(chunk), Reference.embedding.is_not(None)
            )
            found.update(
                (id_, np.frombuffer(blob or b"", "<f4").astype(np.float32)) for id_, blob in session.execute(query)
            )
        return found

    return db.run_read(work)


def changes_since(
    db: Database, library: str, embedding_version: str, change: int, *, rows: int = ROWS_PER_STATEMENT
) -> Iterator[ReferenceChanges]:
    """What was written after `change`, in the order of changes, in chunks of at most `rows`.

    A row that is written again while this is read may come twice; then what comes later counts.
    """
    query = (
        sa.select(
            Reference.id,
            Reference.sha256,
            Reference.embedding,
            Reference.change,
            sa.and_(Reference.state == "active", Reference.embedding_version == embedding_version),
        )
        .where(Reference.library == library)
        .order_by(Reference.change, Reference.id)
        .limit(rows)
    )
    last = (change, np.iinfo(np.int64).max)
    while True:
        at, id_ = last
        newer = sa.or_(Reference.change > at, sa.and_(Reference.change == at, Reference.id > id_))
        # the first condition says the same more coarsely: by it the index on changes is used
        found = _rows(db, query.where(Reference.change >= at, newer))
        if found:
            yield ReferenceChanges(
                change=found[-1][3],
                active=_vectors([row for row in found if row[4]]),
                gone=np.array([row[0] for row in found if not row[4]], np.int64),
            )
            last = (found[-1][3], found[-1][0])
        if len(found) < rows:
            return


def of_library_by_id(library: str) -> sa.ColumnElement[bool]:
    """The condition that a row is of the library, for reading a large one in pieces by rising id.

    Put so that the index on libraries cannot serve: with it each piece would cost a look at all rows, to sort them.
    """
    return sa.case((Reference.library == library, 1), else_=0) == 1


def next_change(session: Session, library: str) -> int:
    """The number for what is about to be changed; only for who has its turn (`statements.take_turns`)."""
    query = sa.select(sa.func.coalesce(sa.func.max(Reference.change), 0)).where(Reference.library == library)
    return session.scalars(query).one() + 1


def _rows(db: Database, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    return db.run_read(lambda session: session.execute(query).all())


def _vectors(rows: Sequence[sa.Row[Any]]) -> ReferenceVectors:
    flat = np.frombuffer(b"".join(row[2] for row in rows), "<f4").astype(np.float32)
    return ReferenceVectors(
        ids=np.array([row[0] for row in rows], np.int64),
        sha256s=tuple(row[1] for row in rows),
        vectors=flat.reshape(len(rows), -1) if rows else np.zeros((0, 0), np.float32),
    )
