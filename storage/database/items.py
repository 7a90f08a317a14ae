"""Items: the photographs, pages and films that were found in archives."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import statements
from storage.database.connection import Database
from storage.database.models import Item
from storage.database.records import ItemRecord, KnownItem
from storage.database.types import now

_KEY = ("archive", "path", "page")
_KNOWN = (
    Item.id,
    Item.path,
    Item.page,
    Item.kind,
    Item.format,
    Item.width,
    Item.height,
    Item.channels,
    Item.bit_depth,
    Item.frames,
    Item.duration_seconds,
    Item.size_bytes,
    Item.mtime_ns,
    Item.sha256,
)


def known(db: Database, archive: str, *, page: int = 1) -> dict[str, KnownItem]:
    """What is known of an archive, by path: of each file this page (all its pages share size and digest)."""
    query = sa.select(*_KNOWN).where(Item.archive == archive, Item.page == page)
    return {item.path: item for item in _read(db, query)}


def further_pages(db: Database, archive: str) -> dict[str, dict[int, KnownItem]]:
    """What is known of the second and further pages of an archive's documents, by path and page."""
    query = sa.select(*_KNOWN).where(Item.archive == archive, Item.page > 1)
    found: dict[str, dict[int, KnownItem]] = {}
    for item in _read(db, query):
        found.setdefault(item.path, {})[item.page] = item
    return found


def records(db: Database, item_ids: Sequence[int]) -> dict[int, ItemRecord]:
    """By id: what is recorded of these items."""
    columns = [getattr(Item, name) for name in ItemRecord.__dataclass_fields__]
    query = sa.select(Item.id, *columns).where(Item.id.in_(item_ids))

    def work(session: Session) -> dict[int, ItemRecord]:
        rows = [dict(row) for row in session.execute(query).mappings()]
        return {row.pop("id"): ItemRecord(**row) for row in rows}

    return db.run_read(work)


def upsert(db: Database, records: Sequence[ItemRecord]) -> dict[tuple[str, int], int]:
    """Record what was found: new items, or new facts of known ones; their ids by path and page.

    One transaction; the same records again change nothing but `examined_at`.

    Raises:
        ValueError: the records are of several archives.
    """
    if len({record.archive for record in records}) > 1:
        raise ValueError("items of one archive at a time")
    at = now()
    # One row a key, in a fixed order: no statement may meet a row twice, no two processes block each other.
    rows = {(record.path, record.page): _row(record) | {"first_seen_at": at, "examined_at": at} for record in records}
    ordered = [rows[key] for key in sorted(rows)]

    def work(session: Session) -> dict[tuple[str, int], int]:
        recorded = statements.upsert(
            session, Item, ordered, key=_KEY, returning=("path", "page", "id"), keep=("first_seen_at",)
        )
        return {(row.path, row.page): row.id for row in recorded}

    return db.run_write(work) if rows else {}


def _read(db: Database, query: sa.Select[Any]) -> list[KnownItem]:
    return db.run_read(lambda session: [KnownItem(**row) for row in session.execute(query).mappings()])


def _row(record: ItemRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ItemRecord.__dataclass_fields__}
