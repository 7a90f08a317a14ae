"""Items: recorded once each, found again by path."""

import pytest

from storage.database import Database, items
from tests.storage.database.samples import ARCHIVE, digest, item


def test_what_was_recorded_is_known(db: Database) -> None:
    record = item("Mappe 1/Straße №3 – 日本.tif")
    ids = items.upsert(db, [record])
    (known,) = items.known(db, ARCHIVE).values()
    assert ids == {(record.path, 1): known.id}
    for name in ("path", "page", "kind", "format", "width", "height", "channels", "bit_depth"):
        assert getattr(known, name) == getattr(record, name)
    assert (known.size_bytes, known.mtime_ns, known.sha256) == (
        record.size_bytes,
        record.mtime_ns,
        record.sha256,
    )


def test_the_same_again_keeps_ids_and_the_first_sight(db: Database) -> None:
    first = items.upsert(db, [item("a.tif"), item("b.tif")])
    items.upsert(db, [item("b.tif"), item("c.tif"), item("a.tif", sha256=digest("b"), width=None)])
    known = items.known(db, ARCHIVE)
    assert {path: known[path].id for path in ("a.tif", "b.tif")} == {path: id_ for (path, _), id_ in first.items()}
    assert known["a.tif"].sha256 == digest("b")
    assert known["a.tif"].width is None
    with db.read() as session:
        rows = session.connection().exec_driver_sql("SELECT path, first_seen_at < examined_at FROM item")
        assert {path: bool(later) for path, later in rows} == {"a.tif": True, "b.tif": True, "c.tif": False}


def test_an_item_named_twice_in_one_batch_is_recorded_once(db: Database) -> None:
    ids = items.upsert(db, [item("a.tif", width=1), item("a.tif", width=2)])
    assert len(ids) == 1
    assert items.known(db, ARCHIVE)["a.tif"].width == 2


def test_pages_of_one_file_are_items_of_their_own(db: Database) -> None:
    ids = items.upsert(db, [item("album.tif", page=page, kind="page") for page in (3, 1, 2)])
    assert len(set(ids.values())) == 3
    assert items.known(db, ARCHIVE)["album.tif"].id == ids["album.tif", 1]


def test_more_items_than_fit_one_statement(db: Database) -> None:
    ids = items.upsert(db, [item(f"{number:05}.tif") for number in range(5000)])
    assert len(ids) == 5000
    assert {path: known.id for path, known in items.known(db, ARCHIVE).items()} == {
        path: id_ for (path, _), id_ in ids.items()
    }


def test_archives_are_apart(db: Database) -> None:
    items.upsert(db, [item("a.tif")])
    items.upsert(db, [item("a.tif", archive="/elsewhere", sha256=digest("b"))])
    assert items.known(db, ARCHIVE)["a.tif"].sha256 == digest("a")
    with pytest.raises(ValueError, match="one archive"):
        items.upsert(db, [item("a.tif"), item("b.tif", archive="/elsewhere")])


def test_nothing_to_record(db: Database) -> None:
    assert items.upsert(db, []) == {}
