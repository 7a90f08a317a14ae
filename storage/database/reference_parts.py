"""What the places of references look like, as the retrieval room codes it: short rows beside `reference`."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import statements
from storage.database.connection import Database
from storage.database.models import Reference, ReferenceParts
from storage.database.statements import chunks


def record(db: Database, version: str, parts: Mapping[int, bytes]) -> None:
    """Keep the parts of references, by id, as coded by `version`; what was kept of them before is replaced."""
    rows = [{"reference_id": id_, "version": version, "parts": parts[id_]} for id_ in sorted(parts)]

    def work(session: Session) -> None:
        key = ("reference_id",)
        statements.upsert(session, ReferenceParts, rows, key=key, returning=key)

    if rows:
        db.run_write(work)


def get(db: Database, version: str, reference_ids: Collection[int]) -> dict[int, bytes]:
    """The parts of these references by id; those that have none of this version are left out."""

    def work(session: Session) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for chunk in chunks(sorted(set(reference_ids))):
            query = sa.select(ReferenceParts.reference_id, ReferenceParts.parts).where(
                ReferenceParts.reference_id.in_(chunk), ReferenceParts.version == version
            )
            found.update((id_, parts) for id_, parts in session.execute(query))
        return found

    return db.run_read(work)


def of_contents(db: Database, version: str, sha256s: Collection[str]) -> dict[str, bytes]:
    """Parts already made of pictures with these digests, wherever they lie."""

    def work(session: Session) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for chunk in chunks(sorted(set(sha256s))):
            query = (
                sa.select(Reference.sha256, ReferenceParts.parts)
                .join(ReferenceParts, ReferenceParts.reference_id == Reference.id)
                .where(Reference.sha256.in_(chunk), ReferenceParts.version == version)
            )
            found.update((sha256, parts) for sha256, parts in session.execute(query) if sha256)
        return found

    return db.run_read(work)


def without(db: Database, version: str, library: str) -> list[int]:
    """Ids of the active references of a library that have no parts of this version."""
    has = sa.exists().where(ReferenceParts.reference_id == Reference.id, ReferenceParts.version == version)
    query = (
        sa.select(Reference.id)
        .where(Reference.library == library, Reference.state == "active", ~has)
        .order_by(Reference.id)
    )
    return db.run_read(lambda session: list(session.scalars(query)))
