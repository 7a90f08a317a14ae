"""What describes references: kept, read, and looked for.

Descriptions do not count as changes of a library (`reference_vectors`): its index does not depend on them.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from storage.database import statements
from storage.database.connection import Database
from storage.database.models import Reference, ReferenceTag
from storage.database.records import ReferenceMetadata
from storage.database.reference_vectors import of_library_by_id
from storage.database.statements import chunks, take_turns
from storage.database.types import storable

_COLUMNS = tuple(name for name in ReferenceMetadata.__dataclass_fields__ if name != "tags")
_SELECTED = (Reference.id, Reference.metadata_read, *(getattr(Reference, name) for name in _COLUMNS))


def record(db: Database, metadata: Mapping[int, ReferenceMetadata]) -> int:
    """Keep what describes references, by id; how many rows were written, as only what differs is."""

    def work(session: Session) -> int:
        take_turns(session, "reference")
        return sum(_record_chunk(session, metadata, ids) for ids in chunks(sorted(metadata), 500))

    return db.run_write(work) if metadata else 0


def get(db: Database, reference_ids: Iterable[int]) -> dict[int, ReferenceMetadata]:
    """What is known of these references by id; of those whose files were not asked yet, nothing."""

    def work(session: Session) -> dict[int, ReferenceMetadata]:
        found: dict[int, ReferenceMetadata] = {}
        for ids in chunks(sorted(set(reference_ids)), 500):
            known = _known(session, ids)
            found.update((id_, metadata) for id_, (is_read, metadata) in known.items() if is_read)
        return found

    return db.run_read(work)


def unread(db: Database, library: str) -> list[tuple[int, str]]:
    """Id and path of the references in use whose files have not been asked what describes them, by rising id."""
    query = (
        sa.select(Reference.id, Reference.path)
        .where(of_library_by_id(library), Reference.state == "active", Reference.metadata_read.is_(False))
        .order_by(Reference.id)
    )
    return db.run_read(lambda session: [(id_, path) for id_, path in session.execute(query)])


def matching(
    db: Database,
    library: str,
    *,
    rights: Collection[str] = (),
    tags: Collection[str] = (),
    years: tuple[int, int] | None = None,
) -> NDArray[np.int64]:
    """Ids, rising, of the references in use that meet all conditions; what is not known of one meets none.

    Args:
        db: where they are recorded.
        library: whose references.
        rights: any of these; case and spaces do not count.
        tags: all of these; case and spaces do not count.
        years: first and last; the picture's years overlap with them.
    """

    def work(session: Session) -> NDArray[np.int64]:
        query = sa.select(Reference.id).where(of_library_by_id(library), Reference.state == "active")
        if rights:
            written = sa.select(Reference.rights).where(of_library_by_id(library), Reference.rights.is_not(None))
            query = query.where(Reference.rights.in_(_spellings(session, written, rights)))
        for tag in tags:
            spellings = _spellings(session, sa.select(ReferenceTag.tag), [tag])
            query = query.where(
                Reference.id.in_(sa.select(ReferenceTag.reference_id).where(ReferenceTag.tag.in_(spellings)))
            )
        if years is not None:
            query = query.where(Reference.year_first <= years[1], Reference.year_last >= years[0])
        return np.array(session.scalars(query.order_by(Reference.id)).all(), np.int64)

    return db.run_read(work)


def _spellings(session: Session, written: sa.Select[Any], wanted: Iterable[str]) -> list[str]:
    """Of the texts in the database those that are the same as a wanted one: databases disagree on what case is."""
    keys = {_key(text) for text in wanted}
    return [text for text in session.scalars(written.distinct()) if _key(text) in keys]


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _record_chunk(session: Session, metadata: Mapping[int, ReferenceMetadata], ids: list[int]) -> int:
    known = _known(session, ids)
    new = {id_: _as_stored(metadata[id_]) for id_ in ids if id_ in known}
    changed = {id_: one for id_, one in new.items() if known[id_] != (True, one)}
    if not changed:
        return 0
    rows = [{name: getattr(one, name) for name in _COLUMNS} | {"id": id_} for id_, one in changed.items()]
    session.execute(sa.update(Reference), [row | {"metadata_read": True} for row in rows])
    retagged = [id_ for id_, one in changed.items() if known[id_][1].tags != one.tags]
    session.execute(sa.delete(ReferenceTag).where(ReferenceTag.reference_id.in_(retagged)))
    tags = [{"reference_id": id_, "tag": tag} for id_ in retagged for tag in changed[id_].tags]
    statements.insert(session, ReferenceTag, tags)
    return len(changed)


def _known(session: Session, ids: list[int]) -> dict[int, tuple[bool, ReferenceMetadata]]:
    """By id: whether the file was asked, and what is known."""
    query = sa.select(ReferenceTag.reference_id, ReferenceTag.tag).where(ReferenceTag.reference_id.in_(ids))
    tags: dict[int, list[str]] = {}
    for id_, tag in session.execute(query):
        tags.setdefault(id_, []).append(tag)
    rows = session.execute(sa.select(*_SELECTED).where(Reference.id.in_(ids)))
    return {
        row[0]: (
            row[1],
            ReferenceMetadata(**dict(zip(_COLUMNS, row[2:], strict=True)), tags=tuple(sorted(tags.get(row[0], ())))),
        )
        for row in rows
    }


def _as_stored(metadata: ReferenceMetadata) -> ReferenceMetadata:
    """As it will be read again."""
    values = {name: getattr(metadata, name) for name in _COLUMNS}
    values = {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
    return ReferenceMetadata(**values, tags=tuple(sorted({storable(tag) for tag in metadata.tags})))
