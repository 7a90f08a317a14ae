"""References: content keeps its id, changed files get a new one, vectors come back bit for bit."""

from typing import Any

import numpy as np
import pytest

from storage.database import Database, audit, colorizations, reference_vectors, references
from storage.database.records import FailedReferenceRecord
from tests.storage.database.samples import LIBRARY, add_items, digest, done, reference, start_run


def _failed(path: str, **changes: Any) -> FailedReferenceRecord:
    values: dict[str, Any] = {
        "library": LIBRARY,
        "path": path,
        "error_type": "truncated",
        "message": "cut off",
    }
    return FailedReferenceRecord(**(values | changes))


def _in_use(db: Database) -> list[int]:
    return [id_ for chunk in reference_vectors.active(db, LIBRARY, "vgg-1") for id_ in chunk.ids.tolist()]


def test_what_was_recorded_is_known(db: Database) -> None:
    record = reference("Farbe/Öl.jpg", size_bytes=5, mtime_ns=6)
    ids = references.upsert(db, [record])
    (known,) = references.known(db, LIBRARY).values()
    assert ids == {"Farbe/Öl.jpg": known.id}
    assert (known.sha256, known.width, known.height) == (record.sha256, record.width, record.height)
    assert (known.size_bytes, known.mtime_ns) == (5, 6)
    assert (known.state, known.embedding_version, known.retired_at) == ("active", "vgg-1", None)
    assert references.get(db, [known.id, 999]) == {known.id: known}


def test_embeddings_already_made_are_found_by_content(db: Database) -> None:
    ids = references.upsert(db, [reference("a.jpg", sha256=digest("a"))])
    references.retire(db, ids.values())
    found = references.embeddings(db, [digest("a"), digest("b")], "vgg-1")
    assert list(found) == [digest("a")]
    assert np.array_equal(found[digest("a")], np.array([0.6, 0.8, 0.0], dtype=np.float32))
    assert references.embeddings(db, [digest("a")], "vgg-2") == {}


def test_the_same_content_keeps_its_id(db: Database) -> None:
    first = references.upsert(db, [reference("a.jpg"), reference("b.jpg")])
    newer = reference("a.jpg", embedding_version="vgg-2", embedding=np.ones(4, dtype=np.float32))
    assert references.upsert(db, [newer])["a.jpg"] == first["a.jpg"]
    (found,) = reference_vectors.active(db, LIBRARY, "vgg-2")
    assert found.ids.tolist() == [first["a.jpg"]]
    assert found.vectors.shape == (1, 4)


def test_changed_content_gets_a_new_id_and_the_old_stays_on_record(db: Database) -> None:
    old = references.upsert(db, [reference("a.jpg", sha256=digest("a"))])["a.jpg"]
    new = references.upsert(db, [reference("a.jpg", sha256=digest("b"))])["a.jpg"]
    assert new != old
    assert references.known(db, LIBRARY)["a.jpg"].id == new
    retired = references.get(db, [old])[old]
    assert (retired.state, retired.sha256) == ("retired", digest("a"))
    assert retired.retired_at is not None
    # and back again
    assert references.upsert(db, [reference("a.jpg", sha256=digest("a"))])["a.jpg"] == old
    assert _in_use(db) == [old]


def test_retired_references_are_out_of_use(db: Database) -> None:
    ids = references.upsert(db, [reference("a.jpg"), reference("b.jpg")])
    assert references.retire(db, [ids["a.jpg"]]) == 1
    assert references.retire(db, [ids["a.jpg"]]) == 0
    assert set(references.known(db, LIBRARY)) == {"b.jpg"}
    assert references.known(db, LIBRARY, retired=True)["a.jpg"].state == "retired"
    assert _in_use(db) == [ids["b.jpg"]]


def test_failed_files_are_known_but_never_used(db: Database) -> None:
    run_id = start_run(db)
    references.record_failed(db, [_failed("bad.jpg", added_by_run_id=run_id, size_bytes=3)])
    references.record_failed(db, [_failed("bad.jpg", added_by_run_id=run_id, message="still cut off")])
    known = references.known(db, LIBRARY)["bad.jpg"]
    assert (known.state, known.error_type, known.message) == ("failed", "truncated", "still cut off")
    assert _in_use(db) == []
    (row,) = audit.rows(db, "audit_failure")
    assert (row["run_id"], row["path"], row["stage"]) == (run_id, "bad.jpg", "reference")
    assert audit.rows(db, "audit_reference") == []


def test_a_file_that_was_repaired_is_used_and_its_failure_stays_on_record(db: Database) -> None:
    run_id = start_run(db)
    bad = references.record_failed(db, [_failed("a.jpg", added_by_run_id=run_id)])["a.jpg"]
    good = references.upsert(db, [reference("a.jpg")])["a.jpg"]
    assert good != bad
    assert _in_use(db) == [good]
    assert [row["path"] for row in audit.rows(db, "audit_failure", run_id)] == ["a.jpg"]


def test_a_used_reference_that_breaks_stays_on_record(db: Database) -> None:
    used = references.upsert(db, [reference("a.jpg")])["a.jpg"]
    (item_id,) = add_items(db, "a.tif")
    colorizations.record(db, start_run(db), [done(item_id, reference_id=used, reference_sha256=digest("r"))])
    references.record_failed(db, [_failed("a.jpg", sha256=digest("x"))])
    assert references.get(db, [used])[used].state == "retired"
    (row,) = audit.rows(db, "audit_reference")
    assert (row["reference_id"], row["times_used"]) == (used, 1)


def test_those_in_use_are_read_one_after_the_other(db: Database) -> None:
    ids = references.upsert(db, [reference(f"{number:04}.jpg", sha256=digest("a")) for number in range(2100)])
    references.retire(db, [ids["0007.jpg"]])
    references.record_failed(db, [_failed("bad.jpg")])
    references.upsert(db, [reference("other.jpg", library="/elsewhere", sha256=digest("a"))])
    found = list(references.active(db, LIBRARY))
    assert [one.id for one in found] == sorted(set(ids.values()) - {ids["0007.jpg"]})
    assert references.with_content(db, LIBRARY, digest("a")) == found
    assert references.with_content(db, LIBRARY, digest("b")) == []
    here = references.at_paths(db, LIBRARY, ["0006.jpg", "0007.jpg", "bad.jpg", "other.jpg"])
    assert {path: one.state for path, one in here.items()} == {"0006.jpg": "active", "bad.jpg": "failed"}


def test_one_library_at_a_time(db: Database) -> None:
    assert references.upsert(db, []) == {}
    with pytest.raises(ValueError, match="one library"):
        references.upsert(db, [reference("a.jpg"), reference("b.jpg", library="/elsewhere")])


def test_more_references_than_fit_one_statement(db: Database) -> None:
    records = [reference(f"{number:04}.jpg") for number in range(1201)]
    ids = references.upsert(db, records)
    assert len(set(ids.values())) == 1201
    assert references.upsert(db, records) == ids
    assert references.retire(db, ids.values()) == 1201


def near_duplicates(db: Database) -> dict[str, int | None]:
    return {path: one.near_duplicate_of for path, one in references.known(db, LIBRARY).items()}


def test_near_duplicates_are_linked_to_the_oldest_of_their_group(db: Database) -> None:
    first = references.upsert(db, [reference("a.jpg", sha256=digest("a"))])["a.jpg"]
    both = [reference("b.jpg", sha256=digest("b")), reference("c.jpg", sha256=digest("c"))]
    ids = references.upsert(db, both, {"b.jpg": first, "c.jpg": "b.jpg"})
    assert near_duplicates(db) == {"a.jpg": None, "b.jpg": first, "c.jpg": first}
    references.upsert(db, [reference("d.jpg", sha256=digest("d"))], {"d.jpg": ids["c.jpg"]})
    assert near_duplicates(db)["d.jpg"] == first


def test_what_is_known_keeps_its_link(db: Database) -> None:
    first = references.upsert(db, [reference("a.jpg", sha256=digest("a"))])["a.jpg"]
    second = references.upsert(db, [reference("b.jpg", sha256=digest("b"))], {"b.jpg": first})["b.jpg"]
    # embedded anew, in whatever order; also one that was retired
    references.upsert(db, [reference("a.jpg", sha256=digest("a"), embedding_version="vgg-2")], {"a.jpg": second})
    references.retire(db, [second])
    references.upsert(db, [reference("b.jpg", sha256=digest("b"))])
    assert near_duplicates(db) == {"a.jpg": None, "b.jpg": first}
    # other content is another picture
    references.upsert(db, [reference("b.jpg", sha256=digest("c"))])
    assert near_duplicates(db)["b.jpg"] is None
