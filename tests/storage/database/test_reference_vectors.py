"""The vectors of a library, and its changes in their order: nothing is missed, whatever is read in between."""

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from storage.database import Database, open_database, reference_vectors, references
from storage.database.records import FailedReferenceRecord
from storage.database.reference_vectors import ReferenceChanges
from tests.storage.database.samples import LIBRARY, digest, reference


def _replayed(before: dict[int, str], changes: Iterable[ReferenceChanges]) -> tuple[dict[int, str], int]:
    """What is in use after the changes: sha256 by id; and the last change."""
    known, last = dict(before), 0
    for one in changes:
        for id_ in one.gone.tolist():
            known.pop(id_, None)
        known.update(zip(one.active.ids.tolist(), one.active.sha256s, strict=True))
        assert one.change >= last
        last = one.change
    return known, last


def _in_use(db: Database, version: str = "vgg-1") -> dict[int, str]:
    chunks = reference_vectors.active(db, LIBRARY, version, rows=3)
    return {id_: sha256 for one in chunks for id_, sha256 in zip(one.ids.tolist(), one.sha256s, strict=True)}


def test_vectors_come_back_as_they_were(db: Database) -> None:
    rng = np.random.default_rng(1)
    made = {f"{number}.jpg": rng.standard_normal(7).astype(np.float32) for number in range(5)}
    ids = references.upsert(db, [reference(path, embedding=vector) for path, vector in made.items()])
    references.upsert(db, [reference("old.jpg", embedding_version="vgg-0")])
    references.upsert(db, [reference("other.jpg", library="/elsewhere", embedding=made["0.jpg"])])
    chunks = list(reference_vectors.active(db, LIBRARY, "vgg-1", rows=2))
    assert [len(one.ids) for one in chunks] == [2, 2, 1]
    assert {one.vectors.dtype for one in chunks} == {np.dtype(np.float32)}
    found = {id_: vector for one in chunks for id_, vector in zip(one.ids.tolist(), one.vectors, strict=True)}
    assert list(found) == sorted(ids.values())
    for path, vector in made.items():
        assert np.array_equal(found[ids[path]], vector)
    assert list(reference_vectors.active(db, LIBRARY, "none")) == []


def test_every_kind_of_change_is_seen_once_and_in_order(db: Database) -> None:
    assert reference_vectors.latest_change(db, LIBRARY) == 0
    ids = references.upsert(db, [reference(f"{letter}.jpg", sha256=digest(letter)) for letter in "abcdef"])
    first = reference_vectors.latest_change(db, LIBRARY)
    assert first == 1
    before = _in_use(db)
    assert len(before) == 6
    assert list(reference_vectors.changes_since(db, LIBRARY, "vgg-1", first)) == []

    references.retire(db, [ids["a.jpg"]])
    references.upsert(db, [reference("b.jpg", sha256=digest("9"))])  # other content: a new id, the old one retired
    failed = FailedReferenceRecord(library=LIBRARY, path="c.jpg", error_type="truncated", message="cut off")
    references.record_failed(db, [failed])
    references.upsert(db, [reference("d.jpg", sha256=digest("d"), embedding_version="vgg-2")])  # of another model now
    references.upsert(db, [reference("a.jpg", sha256=digest("a"))])  # back again
    references.upsert(db, [reference("other.jpg", library="/elsewhere")])
    assert reference_vectors.latest_change(db, LIBRARY) == first + 5
    assert reference_vectors.count_changed(db, LIBRARY, first) == 6

    changes = list(reference_vectors.changes_since(db, LIBRARY, "vgg-1", first, rows=1))
    assert len(changes) == 6
    after, last = _replayed(before, changes)
    assert after == _in_use(db)
    assert last == first + 5
    assert ids["a.jpg"] in after
    assert ids["d.jpg"] not in after
    # nothing was retired that was not in use: no change
    references.retire(db, [ids["b.jpg"]])
    assert reference_vectors.latest_change(db, LIBRARY) == last


def test_a_large_library_is_read_in_pieces_without_sorting_it_for_each(tmp_path: Path) -> None:
    statements: list[tuple[str, Any]] = []
    with open_database(f"sqlite:///{tmp_path / 'provenance.db'}") as db:
        references.upsert(db, [reference(f"{number}.jpg") for number in range(5)])
        change = reference_vectors.latest_change(db, LIBRARY)

        def keep(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
            statements.append((statement, parameters))

        sa.event.listen(sa.engine.Engine, "before_cursor_execute", keep)
        try:
            list(reference_vectors.active(db, LIBRARY, "vgg-1", rows=2))
            list(references.active(db, LIBRARY))
            list(reference_vectors.changes_since(db, LIBRARY, "vgg-1", change - 1, rows=2))
        finally:
            sa.event.remove(sa.engine.Engine, "before_cursor_execute", keep)
        read = [one for one in statements if "FROM reference" in one[0]]
        assert len(read) == 3 + 2 + 3
        with sqlite3.connect(tmp_path / "provenance.db") as plain:
            for statement, parameters in read:
                plan = [row[3] for row in plain.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                assert not any("TEMP B-TREE" in step for step in plan), (statement, plan)


def test_retiring_from_several_libraries_counts_in_each(db: Database) -> None:
    here = references.upsert(db, [reference("a.jpg")])["a.jpg"]
    for _ in range(3):
        there = references.upsert(db, [reference("a.jpg", library="/elsewhere")])["a.jpg"]
    assert references.retire(db, [here, there]) == 2
    assert reference_vectors.latest_change(db, LIBRARY) == 2
    assert reference_vectors.latest_change(db, "/elsewhere") == 4


def test_who_follows_the_changes_misses_none_of_several_writers(db: Database) -> None:
    """Two writers at once, and a reader that always goes on from the last change it saw."""

    def write(name: str) -> None:
        with open_database(db.url) as own:
            for number in range(40):
                ids = references.upsert(own, [reference(f"{name}{number}-{part}.jpg") for part in range(3)])
                if number % 4 == 0:
                    references.retire(own, [ids[f"{name}{number}-1.jpg"]])

    writers = [threading.Thread(target=write, args=(name,)) for name in "xy"]
    for writer in writers:
        writer.start()
    seen: dict[int, str] = {}
    change, rounds = 0, 0
    while any(writer.is_alive() for writer in writers):
        seen, last = _replayed(seen, reference_vectors.changes_since(db, LIBRARY, "vgg-1", change, rows=5))
        change = max(change, last)
        rounds += 1
    seen, _ = _replayed(seen, reference_vectors.changes_since(db, LIBRARY, "vgg-1", change))
    assert rounds > 1
    assert seen == _in_use(db)
    assert len(seen) == 2 * (120 - 10)
