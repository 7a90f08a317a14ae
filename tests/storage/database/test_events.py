"""The chain of events: nobody changes it by accident, and whoever changes a record or an event by hand is found out."""

import contextlib
import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from storage.database import Database, colorizations, events, items, open_database, reviews, runs
from storage.database.engine import make_engine, parse_url, writing
from storage.database.records import MatchRecord, StageTiming
from tests.storage.database.samples import (
    NOON,
    add_items,
    add_references,
    digest,
    done,
    further_copy,
    item,
    shot,
    start_run,
)
from tests.storage.database.test_film import add_film
from tests.storage.database.test_upgrade import old_url

__all__ = ["old_url"]  # a fixture


def fill(db: Database) -> None:
    """A run with a photograph, a page, and a film; a review of the photograph."""
    references = add_references(db, "r.jpg", "s.jpg")
    ids = items.upsert(db, [item("a.tif"), item("b.tif", kind="page", page=2)])
    film = add_film(db, "film.mkv")
    run_id = start_run(db)
    matches = tuple(
        MatchRecord(reference_id=id_, rank=rank, score=0.5 / rank, chosen=rank == 1)
        for rank, id_ in enumerate(references, start=1)
    )
    timings = (StageTiming(stage="network", seconds=1.0), StageTiming(stage="write", seconds=0.5))
    outcomes = [
        done(
            ids["a.tif", 1], matches=matches, timings=timings, reference_id=references[0], reference_sha256=digest("r")
        ),
        done(ids["b.tif", 2], matches=matches),
        done(film, shots=(shot(1, 0, 9), shot(2, 10, 49)), copies=(further_copy("film.mp4"),)),
    ]
    colorizations.record(db, run_id, outcomes)
    runs.record_timings(db, run_id, [StageTiming(stage="index", seconds=2.0, items=2)])
    runs.finish(db, run_id, "completed")
    (photograph, *_) = colorizations.of_run(db, run_id)
    reviews.decide(db, photograph.id, "approved", reviewer="reviewer 1", reason="the sky is right", at=NOON)


@contextlib.contextmanager
def by_hand(url: str) -> Iterator[sa.Connection]:
    """A transaction of somebody who may do anything, also leave rows that refer to nothing."""
    engine = make_engine(parse_url(url), busy_seconds=5)
    try:
        with writing(engine).connect() as connection:
            driver = connection.connection.dbapi_connection
            if isinstance(driver, sqlite3.Connection):
                driver.execute("PRAGMA foreign_keys=OFF")
            yield connection
            connection.commit()
    finally:
        engine.dispose()


def without_triggers(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER event_no_update")
        connection.exec_driver_sql("DROP TRIGGER event_no_delete")
    else:
        connection.exec_driver_sql("ALTER TABLE event DISABLE TRIGGER USER")


def found(db: Database, noted: events.Head | None = None) -> set[tuple[str, str]]:
    return {(one.finding, one.name) for one in events.check(db, noted)}


def test_nothing_is_found_where_nobody_touched_anything(db: Database) -> None:
    assert list(events.check(db)) == []
    fill(db)
    running = start_run(db, started_at=None)
    colorizations.record(db, running, [done(1, created_at=None), done(2)])
    assert list(events.check(db)) == []
    runs.finish(db, running, "interrupted")
    colorizations.keep(db, 1, "kept/a.tif")
    assert list(events.check(db, db.run_read(events.head))) == []


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        ("UPDATE colorization SET confidence = 0.99 WHERE id = 1", "colorization 1 of a.tif"),
        ("UPDATE colorization SET network_size = 1024 WHERE id = 2", "colorization 2 of b.tif, page 2"),
        ("UPDATE match SET score = 0.9 WHERE item_id = 1 AND rank = 2", "colorization 1 of a.tif"),
        ("DELETE FROM match WHERE item_id = 2 AND rank = 1", "colorization 2 of b.tif, page 2"),
        ("UPDATE shot SET flicker = 0 WHERE number = 2", "colorization 3 of film.mkv"),
        ("UPDATE copy SET output_sha256 = 'f'", "colorization 3 of film.mkv"),
        ("UPDATE stage_timing SET seconds = 0.1 WHERE stage = 'write'", "colorization 1 of a.tif"),
        ("UPDATE stage_timing SET seconds = 0.1 WHERE stage = 'index'", "run 1"),
        ("UPDATE run SET weights_sha256 = 'v'", "run 1"),
        ("UPDATE run SET state = 'running', ended_at = NULL", "run 1"),
        ("UPDATE review SET decision = 'rejected'", "review 1 of a.tif"),
        ("UPDATE review SET reviewer = 'reviewer 2'", "review 1 of a.tif"),
        ("UPDATE item SET path = 'other.tif' WHERE id = 1", "colorization 1 of other.tif"),
    ],
)
def test_a_row_edited_by_hand_is_named_and_no_other(db: Database, edit: str, name: str) -> None:
    fill(db)
    with by_hand(db.url) as connection:
        connection.exec_driver_sql(edit)
    assert found(db) == {("changed", name)}


def test_rows_taken_out_or_put_in_by_hand(db: Database) -> None:
    fill(db)
    with by_hand(db.url) as connection:
        for table in ("stage_timing", "shot", "copy"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE colorization_id = 3")
        connection.exec_driver_sql("DELETE FROM match WHERE item_id = 3")
        connection.exec_driver_sql("DELETE FROM colorization WHERE id = 3")
        connection.exec_driver_sql(
            "INSERT INTO review (colorization_id, decision, reviewer, at)"
            " VALUES (2, 'approved', 'reviewer 1', '2026-03-01T12:00:00.000000+00:00')"
        )
    assert found(db) == {("missing", "colorization 3"), ("unknown", "review 2 of b.tif, page 2")}


def test_what_is_on_record_as_event_cannot_be_changed(db: Database) -> None:
    fill(db)
    for statement in ("UPDATE event SET outcome = 'failed'", "DELETE FROM event WHERE id = 4", "DELETE FROM event"):
        engine = make_engine(parse_url(db.url), busy_seconds=5)
        with pytest.raises(sa.exc.DBAPIError, match="cannot be changed or removed"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()
    assert list(events.check(db)) == []


def test_an_event_edited_without_its_trigger(db: Database) -> None:
    fill(db)
    with by_hand(db.url) as connection:
        without_triggers(connection)
        connection.exec_driver_sql("UPDATE event SET agent = 'reviewer 2' WHERE type = 'reviewed'")
    assert found(db) == {("changed", "event 4 (reviewed)")}


def test_an_event_edited_together_with_its_hash_breaks_the_chain(db: Database) -> None:
    fill(db)
    with by_hand(db.url) as connection:
        without_triggers(connection)
        row = connection.execute(sa.select(*sa.inspect(events.Event).columns).where(events.Event.id == 2)).mappings()
        edited = {**row.one(), "outcome": "edited"}
        connection.execute(
            sa.update(events.Event).where(events.Event.id == 2).values(outcome="edited", sha256=events._hash(edited))
        )
    assert found(db) == {("changed", "event 3 (run_ended)")}


def test_events_cut_off_show_against_an_end_that_was_noted(db: Database) -> None:
    fill(db)
    noted = db.run_read(events.head)
    assert noted is not None
    with by_hand(db.url) as connection:
        without_triggers(connection)
        connection.exec_driver_sql("DELETE FROM event WHERE type = 'reviewed'")
        connection.exec_driver_sql("DELETE FROM review")
    assert found(db) == set()
    assert found(db, noted) == {("missing", f"event {noted.event_id}, which was noted as there")}
    # and so does another history in its place
    reviews.decide(db, 2, "approved", reviewer="reviewer 2", at=NOON)
    assert found(db) == set()
    assert found(db, noted) == {("changed", f"event {noted.event_id}, which was noted with another hash")}


def test_events_taken_out_of_the_middle_or_slipped_in(db: Database) -> None:
    fill(db)
    for _ in range(3):
        runs.finish(db, start_run(db, started_at=None), "completed")
    with by_hand(db.url) as connection:
        without_triggers(connection)
        connection.exec_driver_sql("DELETE FROM event WHERE id IN (5, 7, 8)")
        columns = {"at": NOON, "type": "recorded", "agent": "nobody", "sha256": digest("0")}
        # a number far ahead must not be counted up to; one below the first must not pass
        connection.execute(sa.insert(events.Event), [{**columns, "id": 0}, {**columns, "id": 10**15}])
    assert found(db) == {
        ("unknown", "event 0 (recorded)"),
        ("missing", "event 5"),
        ("missing", "events 7 to 8"),
        ("missing", f"events 11 to {10**15 - 1}"),
        ("changed", f"event {10**15} (recorded)"),
        ("unknown", "run 3"),  # event 8 told of it
    }


def test_an_event_slipped_in_before_the_first_seals_nothing(db: Database) -> None:
    fill(db)
    with by_hand(db.url) as connection:
        connection.exec_driver_sql(
            "INSERT INTO review (colorization_id, decision, reviewer, at)"
            " VALUES (2, 'approved', 'reviewer 1', '2026-03-01T12:00:00.000000+00:00')"
        )
        with sa.orm.Session(bind=connection) as session:
            seals = {"review": {"2": events.seals(session, "review", [2])[2]}}
        row = dict.fromkeys(column.name for column in sa.inspect(events.Event).columns)
        row |= {"id": 0, "at": NOON, "type": "reviewed", "agent": "reviewer 1", "records": json.dumps(seals)}
        connection.execute(sa.insert(events.Event), {**row, "sha256": events._hash(row)})
    assert found(db) == {("unknown", "event 0 (reviewed)"), ("unknown", "review 2 of b.tif, page 2")}


def test_what_was_edited_into_something_unreadable_is_named_too(db: Database) -> None:
    if db.dialect != "sqlite":
        pytest.skip("PostgreSQL keeps times and JSON readable")
    fill(db)
    with by_hand(db.url) as connection:
        without_triggers(connection)
        connection.exec_driver_sql("UPDATE event SET at = 'yesterday', records = '[' WHERE id = 1")
        connection.exec_driver_sql("UPDATE event SET message = x'00ff' WHERE id = 4")
        connection.exec_driver_sql("UPDATE colorization SET created_at = 'yesterday' WHERE id = 2")
        connection.exec_driver_sql("UPDATE colorization SET device = x'ff' WHERE id = 1")
        connection.exec_driver_sql("UPDATE run SET parameters = '{'")
        connection.exec_driver_sql("DELETE FROM item WHERE id = 3")
    assert found(db) == {
        ("changed", "event 1 (run_started)"),
        ("changed", "event 4 (reviewed)"),
        ("changed", "colorization 1 of a.tif"),
        ("changed", "colorization 2 of b.tif, page 2"),
        ("missing", "colorization 3"),
        ("changed", "run 1"),
    }


def test_a_document_in_the_place_of_a_photograph_changes_no_record(db: Database) -> None:
    fill(db)
    items.upsert(db, [item("a.tif", kind="page", sha256=digest("b"))])
    assert list(events.check(db)) == []
    with by_hand(db.url) as connection:
        connection.exec_driver_sql("UPDATE colorization SET confidence = 0.99 WHERE id = 1")
    assert found(db) == {("changed", "colorization 1 of a.tif, page 1")}


def test_processes_that_write_at_once_make_one_chain_without_a_gap(db: Database) -> None:
    ids = add_items(db, *(f"{number:04}.tif" for number in range(120)))
    first, second = start_run(db), start_run(db, started_at=None, output_root="/output/other")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.storage.database.writer", db.url, *map(str, (run_id, ids[0], ids[-1], 3))],
            stdout=subprocess.DEVNULL,
        )
        for run_id in (first, second)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    with db.read() as session:
        rows = session.execute(sa.select(events.Event).order_by(events.Event.id)).scalars().all()
    assert [row.id for row in rows] == list(range(1, 2 + 2 * 40 + 1))
    assert [row.previous_sha256 for row in rows] == [None, *(row.sha256 for row in rows[:-1])]
    writers = [row.run_id for row in rows[2:]]
    assert writers.count(first) == writers.count(second) == 40
    assert list(events.check(db)) == []


def test_an_upgrade_seals_what_is_there(old_url: str) -> None:
    with open_database(old_url, upgrade=True) as db:
        assert list(events.check(db)) == []
        with db.read() as session:
            sealed = session.scalars(sa.select(events.Event.records).where(events.Event.type == "sealed")).all()
        kinds = {kind: sorted(map(int, ids)) for one in sealed for kind, ids in json.loads(one or "{}").items()}
        assert kinds == {"colorization": [1, 2, 3, 4, 5], "review": [1], "run": [1]}  # run 2 is still running
    with by_hand(old_url) as connection:
        connection.exec_driver_sql("UPDATE colorization SET output_sha256 = 'xx' WHERE id = 4")
    with open_database(old_url) as db:
        assert found(db) == {("changed", "colorization 4 of film.mkv")}


def test_a_later_upgrade_does_not_seal_what_was_edited(db: Database) -> None:
    fill(db)
    with by_hand(db.url) as connection:
        connection.exec_driver_sql("UPDATE colorization SET confidence = 0.99 WHERE id = 1")
        before = connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()
        events.seal_what_is_not(connection)
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one() == before
    assert found(db) == {("changed", "colorization 1 of a.tif")}


def test_the_hash_of_an_event_can_be_made_again_without_this_program(db: Database) -> None:
    fill(db)
    columns = "previous_sha256, id, at, type, outcome, agent, run_id, colorization_id, message, records"
    with by_hand(db.url) as connection:
        rows = connection.execute(sa.text(f"SELECT {columns}, sha256 FROM event ORDER BY id")).all()
    assert len(rows) == 4
    for *values, sha256 in rows:
        if not isinstance(values[2], str):  # PostgreSQL's time, in UTC to the microsecond
            values[2] = values[2].astimezone(NOON.tzinfo).isoformat(timespec="microseconds")
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == sha256
