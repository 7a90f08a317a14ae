"""References: the colour pictures of libraries, with their embeddings."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from storage.database.connection import Database
from storage.database.models import Reference
from storage.database.records import FailedReferenceRecord, KnownReference, ReferenceRecord
from storage.database.reference_vectors import next_change, of_library_by_id
from storage.database.statements import ROWS_PER_STATEMENT, chunks, take_turns
from storage.database.types import now

_KNOWN = tuple(getattr(Reference, name) for name in KnownReference.__dataclass_fields__)
_LIVE = Reference.state != "retired"


def known(db: Database, library: str, *, retired: bool = False) -> dict[str, KnownReference]:
    """What is known of a library, by path: active and failed files; with `retired` the retired too."""
    query = sa.select(*_KNOWN).where(Reference.library == library)
    # Later rows of a path win: live ones are ordered behind retired ones.
    query = query.order_by(_LIVE, Reference.id) if retired else query.where(_LIVE)
    return {reference.path: reference for reference in _read(db, query)}


def active(db: Database, library: str) -> Iterator[KnownReference]:
    """The references in use, by rising id; read in chunks, so that a large library is never held whole."""
    query = sa.select(*_KNOWN).where(of_library_by_id(library), Reference.state == "active")
    query = query.order_by(Reference.id).limit(ROWS_PER_STATEMENT)
    found = _read(db, query)
    while found:
        yield from found
        found = _read(db, query.where(Reference.id > found[-1].id))


def with_content(db: Database, library: str, sha256: str) -> list[KnownReference]:
    """The references in use with this content, by rising id."""
    query = sa.select(*_KNOWN).where(Reference.sha256 == sha256, Reference.library == library)
    return _read(db, query.where(Reference.state == "active").order_by(Reference.id))


def ids_with_contents(db: Database, library: str, sha256s: Collection[str]) -> list[int]:
    """The ids of the references in use with one of these contents, rising."""

    def work(session: Session) -> list[int]:
        found: list[int] = []
        for chunk in chunks(sorted(set(sha256s))):
            query = sa.select(Reference.id).where(Reference.sha256.in_(chunk), Reference.library == library)
            found += session.scalars(query.where(Reference.state == "active"))
        return sorted(found)

    return db.run_read(work)


def at_paths(db: Database, library: str, paths: Iterable[str], *, retired: bool = False) -> dict[str, KnownReference]:
    """What is known of the files at these paths, by path: active and failed ones; with `retired` the retired too."""

    def work(session: Session) -> dict[str, KnownReference]:
        found: dict[str, KnownReference] = {}
        for chunk in chunks(sorted(set(paths)), 500):
            query = sa.select(*_KNOWN).where(Reference.library == library, Reference.path.in_(chunk))
            # as in `known`: live rows win
            query = query.order_by(_LIVE, Reference.id) if retired else query.where(_LIVE)
            found.update((row["path"], KnownReference(**row)) for row in session.execute(query).mappings())
        return found

    return db.run_read(work)


def get(db: Database, reference_ids: Iterable[int]) -> dict[int, KnownReference]:
    """The references with these ids, retired ones too."""
    ids = sorted(set(reference_ids))

    def work(session: Session) -> dict[int, KnownReference]:
        found: dict[int, KnownReference] = {}
        for chunk in chunks(ids):
            rows = session.execute(sa.select(*_KNOWN).where(Reference.id.in_(chunk))).mappings()
            found.update((row["id"], KnownReference(**row)) for row in rows)
        return found

    return db.run_read(work)


def upsert(
    db: Database, records: Sequence[ReferenceRecord], near_duplicates: Mapping[str, int | str] | None = None
) -> dict[str, int]:
    """Record references of one library as active; their ids by path. One transaction.

    A file known with the same content keeps its id (also one that was retired); its embedding may be newer. A
    file whose content changed gets a new id, and what was there under its path is retired.

    Args:
        records: the references.
        near_duplicates: of those that show nearly the same as another, by path: its id, or its path among `records`.
            Only what gets a new id is linked, and to the oldest of the group that the other belongs to.

    Raises:
        ValueError: the records are of several libraries.
    """
    rows = {
        record.path: _row(record, embedding=to_blob(record.embedding), embedding_version=record.embedding_version)
        | {"state": "active", "width": record.width, "height": record.height}
        for record in records
    }

    def same(old: Reference, row: dict[str, Any]) -> bool:
        return old.error_type is None and old.sha256 == row["sha256"]

    return _record(db, records, rows, same, near_duplicates or {})


def record_failed(db: Database, records: Sequence[FailedReferenceRecord]) -> dict[str, int]:
    """Record files of one library that cannot be used; their ids by path. What was there before is retired.

    Raises:
        ValueError: the records are of several libraries.
    """
    rows = {
        record.path: _row(record, error_type=record.error_type, message=record.message) | {"state": "failed"}
        for record in records
    }

    def same(old: Reference, row: dict[str, Any]) -> bool:
        return old.error_type is not None and old.added_by_run_id == row["added_by_run_id"]

    return _record(db, records, rows, same, {})


def retire(db: Database, reference_ids: Iterable[int]) -> int:
    """Take references out of use; what they were used for stays on record. How many were in use."""
    ids = sorted(set(reference_ids))

    def work(session: Session) -> int:
        take_turns(session, "reference")
        return sum(_retire(session, chunk) for chunk in chunks(ids))

    return db.run_write(work)


def embeddings(db: Database, sha256s: Collection[str], embedding_version: str) -> dict[str, NDArray[np.float32]]:
    """Embeddings (d,) already made of pictures with these digests, wherever they lie: nothing twice."""

    def work(session: Session) -> dict[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        for chunk in chunks(sorted(sha256s)):
            query = sa.select(Reference.sha256, Reference.embedding).where(
                Reference.sha256.in_(chunk),
                Reference.embedding_version == embedding_version,
                Reference.embedding.is_not(None),
            )
            found.update((sha256, from_blob(blob)) for sha256, blob in session.execute(query) if sha256 and blob)
        return found

    return db.run_read(work)


def to_blob(embedding: NDArray[np.float32]) -> bytes:
    """An embedding (d,) as it is stored: little-endian float32."""
    return np.ascontiguousarray(embedding, dtype="<f4").tobytes()


def from_blob(blob: bytes) -> NDArray[np.float32]:
    """The embedding (d,) that was stored."""
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def _record(
    db: Database,
    records: Sequence[ReferenceRecord] | Sequence[FailedReferenceRecord],
    rows: dict[str, dict[str, Any]],
    same: Callable[[Reference, dict[str, Any]], bool],
    near_duplicates: Mapping[str, int | str],
) -> dict[str, int]:
    libraries = {record.library for record in records}
    if len(libraries) > 1:
        raise ValueError("references of one library at a time")
    if not libraries:
        return {}
    (library,) = libraries

    def work(session: Session) -> dict[str, int]:
        take_turns(session, "reference")
        change = next_change(session, library)
        ids: dict[str, int] = {}
        known: set[str] = set()
        for paths in chunks(sorted(rows), 500):
            chunk = {path: rows[path] | {"change": change} for path in paths}
            kept, gone = _sort_out(session, library, chunk, same)
            _retire_of(session, library, gone, change)
            if kept:
                session.execute(sa.update(Reference), [chunk[path] | {"id": id_} for path, id_ in kept.items()])
            ids.update(kept)
            known.update(kept)
            at = now()
            new = [row | {"added_at": at} for path, row in chunk.items() if path not in kept]
            if new:
                added = session.execute(sa.insert(Reference).returning(Reference.path, Reference.id), new)
                ids.update((path, id_) for path, id_ in added)
        others = {path: other for path, other in near_duplicates.items() if path not in known}
        _link_new(session, {ids[path]: ids[one] if isinstance(one, str) else one for path, one in others.items()})
        return ids

    return db.run_write(work)


def _link_new(session: Session, others: dict[int, int]) -> None:
    """Link new references, by their ids, to the oldest of the groups that these others belong to."""
    if not others:
        return
    groups: dict[int, int] = {}
    for chunk in chunks(sorted(set(others.values()))):
        query = sa.select(Reference.id, Reference.near_duplicate_of).where(Reference.id.in_(chunk))
        groups.update((id_, oldest or id_) for id_, oldest in session.execute(query))
    groups |= {id_: groups[other] for id_, other in others.items() if id_ in groups}
    session.execute(
        sa.update(Reference), [{"id": id_, "near_duplicate_of": groups[other]} for id_, other in others.items()]
    )


def _sort_out(
    session: Session,
    library: str,
    rows: dict[str, dict[str, Any]],
    same: Callable[[Reference, dict[str, Any]], bool],
) -> tuple[dict[str, int], list[int]]:
    """Of what is recorded under these paths: the ids to go on with, by path, and those to retire."""
    kept: dict[str, int] = {}
    gone: list[int] = []
    for old in _current(session, library, list(rows), retired=True):
        row = rows[old.path]
        if old.path not in kept and same(old, row):
            kept[old.path] = old.id
            # When and by which run it was first added stays.
            row["added_by_run_id"] = old.added_by_run_id
        elif old.state != "retired":
            gone.append(old.id)
    return kept, gone


def _current(session: Session, library: str, paths: list[str], *, retired: bool = False) -> Sequence[Reference]:
    """The rows under these paths without their embeddings, live ones first, then the newest."""
    query = (
        sa.select(Reference)
        .options(sa.orm.defer(Reference.embedding))
        .where(Reference.library == library, Reference.path.in_(paths))
        .order_by(_LIVE.desc(), Reference.id.desc())
    )
    return session.scalars(query if retired else query.where(_LIVE)).all()


def _retire(session: Session, ids: list[int]) -> int:
    libraries = session.scalars(sa.select(Reference.library).where(Reference.id.in_(ids), _LIVE).distinct()).all()
    return sum(_retire_of(session, one, ids, next_change(session, one)) for one in libraries)


def _retire_of(session: Session, library: str, ids: list[int], change: int) -> int:
    if not ids:
        return 0
    rows = sa.update(Reference).where(Reference.library == library, Reference.id.in_(ids), _LIVE)
    rows = rows.values(state="retired", retired_at=now(), change=change)
    return len(session.scalars(rows.returning(Reference.id)).all())


def _row(record: ReferenceRecord | FailedReferenceRecord, **values: Any) -> dict[str, Any]:
    """Every column that either kind of record sets: what one leaves out must be cleared by the other."""
    row = dict.fromkeys(("width", "height", "error_type", "message", "embedding", "embedding_version", "retired_at"))
    common = ("library", "path", "sha256", "size_bytes", "mtime_ns", "added_by_run_id")
    return row | {name: getattr(record, name) for name in common} | values


def _read(db: Database, query: sa.Select[Any]) -> list[KnownReference]:
    return db.run_read(lambda session: [KnownReference(**row) for row in session.execute(query).mappings()])
