"""Colorizations: batches recorded whole, once, and one current row for each item and output folder."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from storage.database import Database, DatabaseError, colorizations, runs
from storage.database.records import ItemOutcome, MatchRecord, RunCounts, StageTiming
from tests.storage.database.samples import (
    ARCHIVE,
    NOON,
    OUTPUT,
    add_items,
    add_references,
    at,
    digest,
    done,
    failed,
    item,
    start_run,
)


def _counts(db: Database, run_id: int) -> RunCounts:
    run = runs.get(db, run_id)
    assert run is not None
    return run.counts


def _snapshot(db: Database) -> dict[str, Sequence[object]]:
    """Everything that was recorded, row numbers aside."""
    tables = {
        "colorization": "run_id, item_id, state, output_sha256, superseded_at, message",
        "match": "run_id, item_id, reference_id, rank, score, chosen",
        "stage_timing": "run_id, stage, seconds, items",
        "run": "items, done, failed, skipped",
    }
    with db.read() as session:
        return {
            table: sorted((tuple(row) for row in session.execute(sa.text(f"SELECT {columns} FROM {table}"))), key=repr)
            for table, columns in tables.items()
        }


def test_an_outcome_is_kept_in_full(db: Database) -> None:
    first, second = add_references(db, "r.jpg", "s.jpg")
    (item_id,) = add_items(db, "Mappe 1/Zürich 1897.tif")
    run_id = start_run(db)
    outcome = done(
        item_id,
        reference_id=second,
        reference_path="s.jpg",
        reference_sha256=digest("s"),
        reference_score=0.5,
        reference_rank=2,
        device="cuda:1",
        matches=(
            MatchRecord(reference_id=first, rank=1, score=0.625),
            MatchRecord(reference_id=second, rank=2, score=0.5, chosen=True),
        ),
    )
    colorizations.record(db, run_id, [outcome])

    (found,) = colorizations.of_run(db, run_id)
    for name in ItemOutcome.__dataclass_fields__:
        if name not in ("matches", "timings", "weights_sha256", "index_version", "precision"):
            assert getattr(found, name) == getattr(outcome, name), name
    # what the outcome does not say is the run's
    assert (found.weights_sha256, found.index_version, found.precision) == (digest("w"), "flat-1", "float32")
    assert (found.archive, found.path, found.page, found.kind) == (
        ARCHIVE,
        "Mappe 1/Zürich 1897.tif",
        1,
        "photograph",
    )
    assert found.output_root == OUTPUT
    assert found.reference_library == "/references"
    assert found.superseded_at is None
    assert [(c.rank, c.path, c.sha256, c.score, c.chosen) for c in found.candidates] == [
        (1, "r.jpg", digest("r"), 0.625, False),
        (2, "s.jpg", digest("s"), 0.5, True),
    ]


def test_counts_grow_with_every_batch(db: Database) -> None:
    a, b, c = add_items(db, "a.tif", "b.tif", "c.tif")
    run_id = start_run(db)
    runs.set_planned(db, run_id, items=5, skipped=2)
    colorizations.record(db, run_id, [done(a)])
    assert _counts(db, run_id) == RunCounts(5, 1, 0, 2)
    colorizations.record(db, run_id, [failed(b), done(c)])
    assert _counts(db, run_id) == RunCounts(5, 2, 1, 2)
    colorizations.record(db, run_id, [done(b)])
    assert _counts(db, run_id) == RunCounts(5, 3, 0, 2)


def test_the_same_batch_again_changes_nothing(db: Database) -> None:
    (reference_id,) = add_references(db, "r.jpg")
    a, b = add_items(db, "a.tif", "b.tif")
    earlier = start_run(db)
    colorizations.record(db, earlier, [done(a, output_sha256=digest("0"))])
    run_id = start_run(db, started_at=at(1))
    batch = [
        done(
            a,
            reference_id=reference_id,
            matches=(MatchRecord(reference_id=reference_id, rank=1, score=0.9, chosen=True),),
            timings=(StageTiming(stage="network", seconds=1.0), StageTiming(stage="write", seconds=0.2)),
        ),
        failed(b, timings=(StageTiming(stage="read", seconds=0.1),)),
    ]
    colorizations.record(db, run_id, batch)
    once = _snapshot(db)
    assert len(once["stage_timing"]) == 3
    colorizations.record(db, run_id, batch)
    assert _snapshot(db) == once


def test_a_new_outcome_supersedes_the_earlier_in_the_same_folder_only(db: Database) -> None:
    (item_id,) = add_items(db, "a.tif")
    first, elsewhere, second = (
        start_run(db),
        start_run(db, output_root="/elsewhere", started_at=at(1)),
        start_run(db, started_at=at(2)),
    )
    for run_id, letter in ((first, "1"), (elsewhere, "2"), (second, "3")):
        colorizations.record(db, run_id, [done(item_id, output_sha256=digest(letter))])
    current = colorizations.current(db, OUTPUT, ARCHIVE)
    assert [(c.run_id, c.output_sha256) for c in current.values()] == [(second, digest("3"))]
    assert colorizations.current(db, "/elsewhere", ARCHIVE)[item_id].run_id == elsewhere
    (old,) = colorizations.of_run(db, first)
    assert old.superseded_at is not None


def test_a_failure_supersedes_but_a_skip_does_not(db: Database) -> None:
    a, b, c = add_items(db, "a.tif", "b.tif", "c.tif")
    first, second = start_run(db), start_run(db, started_at=at(1))
    colorizations.record(db, first, [done(a), done(b), failed(c)])
    skips = [ItemOutcome(item_id=item_id, state="skipped") for item_id in (b, c)]
    colorizations.record(db, second, [failed(a), *skips])
    current = colorizations.current(db, OUTPUT, ARCHIVE)
    assert {id_: (row.run_id, row.state) for id_, row in current.items()} == {
        a: (second, "failed"),
        b: (first, "done"),
        c: (first, "failed"),
    }
    assert [row.state for row in colorizations.of_run(db, second)] == ["failed", "skipped", "skipped"]


def test_a_late_batch_of_an_older_run_does_not_supersede_the_newer(db: Database) -> None:
    (item_id,) = add_items(db, "a.tif")
    older, newer = start_run(db), start_run(db, started_at=at(1))
    colorizations.record(db, newer, [done(item_id)])
    for _ in range(2):
        colorizations.record(db, older, [done(item_id)])
        assert colorizations.current(db, OUTPUT, ARCHIVE)[item_id].run_id == newer


def test_the_database_itself_allows_one_current_row_only(db: Database) -> None:
    (item_id,) = add_items(db, "a.tif")
    first, second = start_run(db), start_run(db, started_at=at(1))
    colorizations.record(db, first, [done(item_id)])
    colorizations.record(db, second, [done(item_id)])
    both = sa.text("UPDATE colorization SET superseded_at = NULL")
    with pytest.raises(sa.exc.IntegrityError):
        db.run_write(lambda session: session.execute(both))


def test_planning_sees_only_its_archive(db: Database) -> None:
    from storage.database import items

    (here,) = add_items(db, "a.tif")
    there = items.upsert(db, [item("a.tif", archive="/elsewhere")])["a.tif", 1]
    colorizations.record(db, start_run(db), [done(here), done(there)])
    assert set(colorizations.current(db, OUTPUT, ARCHIVE)) == {here}
    (row,) = colorizations.current(db, OUTPUT, ARCHIVE).values()
    assert (row.state, row.request_key, row.source_sha256) == ("done", digest("k"), digest("a"))
    assert (row.output_path, row.output_bytes, row.created_at) == (f"{here}.tif", 4_000_000, at(5))


def test_an_outcome_must_say_what_its_state_needs() -> None:
    with pytest.raises(ValueError, match="lacks output_path, output_sha256"):
        ItemOutcome(item_id=1, state="done")
    with pytest.raises(ValueError, match="lacks error_type"):
        ItemOutcome(item_id=1, state="failed", stage="read", message="cut off")


def test_text_that_no_database_can_hold_is_escaped(db: Database) -> None:
    (item_id,) = add_items(db, "a.tif")
    run_id = start_run(db)
    colorizations.record(db, run_id, [failed(item_id, message="bad\0name \udce4.tif")])
    assert colorizations.of_run(db, run_id)[0].message == "bad\\x00name \\udce4.tif"


def test_whole_numbers_and_gaps_among_the_figures(db: Database) -> None:
    a, b, c = add_items(db, "a.tif", "b.tif", "c.tif")
    run_id = start_run(db)
    colorizations.record(db, run_id, [done(a, seconds=2), done(b, seconds=0.5), done(c, seconds=None)])
    assert [row.seconds for row in colorizations.of_run(db, run_id)] == [2.0, 0.5, None]


def test_a_batch_larger_than_a_statement(db: Database) -> None:
    (reference_id,) = add_references(db, "r.jpg")
    ids = add_items(db, *(f"{number:04}.tif" for number in range(2500)))
    run_id = start_run(db)
    match = (MatchRecord(reference_id=reference_id, rank=1, score=0.9, chosen=True),)
    colorizations.record(db, run_id, [done(item_id, matches=match) for item_id in ids])
    found = colorizations.of_run(db, run_id)
    assert [row.item_id for row in found] == ids
    assert all(len(row.candidates) == 1 for row in found)
    assert _counts(db, run_id).done == 2500


def test_an_unknown_run_or_item_is_an_error_and_records_nothing(db: Database) -> None:
    (item_id,) = add_items(db, "a.tif")
    with pytest.raises(ValueError, match="no run 77"):
        colorizations.record(db, 77, [done(item_id)])
    run_id = start_run(db, started_at=NOON)
    with pytest.raises(sa.exc.IntegrityError):
        colorizations.record(db, run_id, [done(item_id), done(item_id + 1)])
    assert colorizations.of_run(db, run_id) == []
    colorizations.record(db, run_id, [])
    assert not issubclass(sa.exc.IntegrityError, DatabaseError)
