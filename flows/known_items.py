"""What the database has of an archive: its files, and the pages of its documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from storage.database import Database, items
from storage.database.records import ItemRecord, KnownItem

Key = tuple[str, int]
"""Path and page."""


@dataclass(frozen=True, slots=True)
class KnownItems:
    """What the database has of an archive: files by path, and the further pages of documents."""

    files: Mapping[str, KnownItem] = field(default_factory=dict)
    pages: Mapping[str, Mapping[int, KnownItem]] = field(default_factory=dict)

    @classmethod
    def read(cls, database: Database | None, archive: str) -> "KnownItems":
        """What there is; nothing where there is no database yet."""
        if database is None:
            return cls()
        return cls(items.known(database, archive), items.further_pages(database, archive))

    def of(self, key: Key) -> KnownItem | None:
        """The row of an item."""
        path, page = key
        return self.files.get(path) if page == 1 else self.pages.get(path, {}).get(page)

    def all_of(self, path: str) -> list[KnownItem]:
        """The pages of a file as it was last seen, in their order; rows of pages that it had before are left out."""
        first = self.files[path]
        rows = [first]
        further = self.pages.get(path, {})
        while (row := further.get(len(rows) + 1)) is not None and _is_as(row, first):
            rows.append(row)
        return rows


def _is_as(row: KnownItem, first: KnownItem) -> bool:
    facts = ("size_bytes", "mtime_ns", "sha256", "kind")
    return all(getattr(row, name) == getattr(first, name) for name in facts)


def as_known(record: ItemRecord, row: KnownItem) -> ItemRecord:
    """The record of a file that has not changed, with the facts of one of its pages."""
    return replace(
        record,
        kind=row.kind,
        page=row.page,
        format=row.format,
        width=row.width,
        height=row.height,
        channels=row.channels,
        bit_depth=row.bit_depth,
        frames=row.frames,
        duration_seconds=row.duration_seconds,
        sha256=row.sha256,
    )


def says_the_same(record: ItemRecord, earlier: KnownItem | None) -> bool:
    """Whether the database has an item as it was found."""
    facts = ("size_bytes", "mtime_ns", "sha256", "kind", "format", "width", "height")
    return earlier is not None and all(getattr(earlier, name) == getattr(record, name) for name in facts)
