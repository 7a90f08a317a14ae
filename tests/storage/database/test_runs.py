"""Runs: begun, ended, and found dead."""

from storage.database import Database, audit, colorizations, runs
from storage.database.records import RunCounts, StageTiming
from tests.storage.database.samples import (
    ARCHIVE,
    OUTPUT,
    add_items,
    at,
    digest,
    done,
    failed,
    start_run,
)


def test_a_run_from_start_to_end(db: Database) -> None:
    run_id = start_run(db, index_version=None)
    runs.set_planned(db, run_id, items=10, skipped=4)
    runs.set_index_version(db, run_id, "flat-2")
    running = runs.get(db, run_id)
    assert running is not None
    assert (running.state, running.ended_at, running.seconds) == ("running", None, None)
    assert running.counts == RunCounts(items=10, skipped=4)
    assert running.index_version == "flat-2"
    assert running.parameters == {"size": 512, "attention": "sparse"}
    assert running.library_versions == {"torch": "2.13.0"}
    assert running.pid > 0
    assert running.hostname

    runs.finish(db, run_id, "completed_with_failures", "x\0y")
    ended = runs.get(db, run_id)
    assert ended is not None
    assert ended.state == "completed_with_failures"
    assert ended.counts == RunCounts(10, 0, 0, 4)
    assert ended.ended_at is not None
    assert ended.seconds == (ended.ended_at - ended.started_at).total_seconds()
    assert ended.message == "x\\x00y"


def test_the_latest_run_is_the_one_that_began_last(db: Database) -> None:
    assert runs.latest(db) is None
    assert runs.get(db, 1) is None
    start_run(db, output_root="/one")
    second = start_run(db, output_root="/two", started_at=at(1))
    latest, of_one = runs.latest(db), runs.latest(db, "/one")
    assert latest is not None
    assert of_one is not None
    assert (latest.id, of_one.output_root) == (second, "/one")


def test_dead_runs_into_a_folder_are_marked_as_crashed(db: Database) -> None:
    a, b, c = add_items(db, "a.tif", "b.tif", "c.tif")
    dead = start_run(db)
    runs.set_planned(db, dead, items=9, skipped=2)
    colorizations.record(db, dead, [done(a, created_at=at(30)), failed(b, created_at=at(40)), done(c)])
    elsewhere = start_run(db, output_root="/elsewhere", started_at=at(1))
    finished = start_run(db, started_at=at(2))
    runs.finish(db, finished, "completed")
    without_items = start_run(db, started_at=at(3))

    assert runs.abandon_dead(db, OUTPUT) == 2

    crashed = runs.get(db, dead)
    assert crashed is not None
    assert crashed.state == "crashed"
    assert crashed.ended_at == at(40), "the last sign of life"
    assert crashed.seconds == 40
    assert crashed.counts == RunCounts(items=9, done=2, failed=1, skipped=2)
    assert crashed.message is not None
    states = {run["run_id"]: run["state"] for run in audit.rows(db, "audit_run")}
    assert states == {dead: "crashed", elsewhere: "running", finished: "completed", without_items: "crashed"}
    assert runs.abandon_dead(db, OUTPUT) == 0


def test_stages_of_the_whole_run_are_recorded_once(db: Database) -> None:
    run_id = start_run(db)
    for seconds in (9.0, 2.0):
        runs.record_timings(db, run_id, [StageTiming(stage="ingest", seconds=seconds, items=4)])
    runs.record_timings(db, run_id, [])
    (row,) = audit.rows(db, "audit_runtime", run_id)
    assert (row["stage"], row["items"], row["seconds_total"]) == ("ingest", 4, 2.0)


def test_a_start_that_is_tried_again_counts_once(db: Database) -> None:
    """As after a connection that broke during the commit."""
    assert start_run(db, pid=7) == start_run(db, pid=7)
    assert start_run(db, pid=8, archive=ARCHIVE, weights_sha256=digest("x")) != start_run(db, pid=7)
