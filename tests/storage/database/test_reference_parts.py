"""Parts of references: kept by id and version, found again by content."""

from storage.database import Database, reference_parts, references
from tests.storage.database.samples import LIBRARY, add_references, digest, reference


def test_parts_come_back_as_they_were(db: Database) -> None:
    first, second, third = add_references(db, "a.jpg", "b.jpg", "c.jpg")
    reference_parts.record(db, "parts-1", {first: bytes(range(256)), second: b""})
    assert reference_parts.get(db, "parts-1", [first, second, third, 999]) == {first: bytes(range(256)), second: b""}
    assert reference_parts.get(db, "parts-2", [first]) == {}
    assert reference_parts.get(db, "parts-1", []) == {}


def test_newer_parts_take_the_place_of_older_ones(db: Database) -> None:
    first, second = add_references(db, "a.jpg", "b.jpg")
    reference_parts.record(db, "parts-1", {first: b"old", second: b"old"})
    reference_parts.record(db, "parts-2", {first: b"new"})
    assert reference_parts.get(db, "parts-1", [first, second]) == {second: b"old"}
    assert reference_parts.get(db, "parts-2", [first, second]) == {first: b"new"}
    reference_parts.record(db, "parts-2", {})
    assert reference_parts.get(db, "parts-2", [first]) == {first: b"new"}


def test_parts_are_found_by_content_also_of_what_is_retired(db: Database) -> None:
    first, _ = add_references(db, "a.jpg", "b.jpg")
    reference_parts.record(db, "parts-1", {first: b"parts"})
    references.retire(db, [first])
    found = reference_parts.of_contents(db, "parts-1", [digest("a"), digest("b"), digest("z")])
    assert found == {digest("a"): b"parts"}
    assert reference_parts.of_contents(db, "parts-2", [digest("a")]) == {}


def test_what_is_without_parts(db: Database) -> None:
    first, second, third = add_references(db, "a.jpg", "b.jpg", "c.jpg")
    references.upsert(db, [reference("a.jpg", library="/elsewhere", sha256=digest("e"))])
    reference_parts.record(db, "parts-1", {first: b"parts"})
    reference_parts.record(db, "parts-0", {second: b"older"})
    references.retire(db, [third])
    assert reference_parts.without(db, "parts-1", LIBRARY) == [second]
    assert reference_parts.without(db, "parts-0", LIBRARY) == [first]


def test_more_parts_than_fit_one_statement(db: Database) -> None:
    ids = references.upsert(db, [reference(f"{number:04}.jpg") for number in range(2100)])
    made = {id_: id_.to_bytes(8, "big") for id_ in ids.values()}
    reference_parts.record(db, "parts-1", made)
    assert reference_parts.get(db, "parts-1", made) == made
