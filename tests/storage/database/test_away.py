"""A database that goes away comes back, or the wait has an end; in both cases nothing is lost or doubled."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database, DatabaseError, colorizations, events, items, open_database, runs, sqlite_url
from tests.benchmarks.four_processes import measure
from tests.storage.database.restarts import Server, kept_locked, own_server
from tests.storage.database.samples import ARCHIVE, add_items, done, start_run


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with own_server() as running:
        yield running


@contextlib.contextmanager
def _stopped(server: Server, seconds: float) -> Iterator[None]:
    """Stopped at the beginning of the block, and so long after."""
    server.stop()
    starter = threading.Timer(seconds, server.start)
    starter.start()
    try:
        yield
    finally:
        starter.join()


def test_reading_and_writing_wait_for_a_server_that_restarts(server: Server) -> None:
    with open_database(server.url) as db:
        ids = add_items(db, "a.tif", "b.tif")
        run_id = start_run(db, started_at=None)
        with _stopped(server, 1.5):
            assert set(items.known(db, ARCHIVE)) == {"a.tif", "b.tif"}
        with _stopped(server, 1.5):
            colorizations.record(db, run_id, [done(id_) for id_ in ids])
        with _stopped(server, 1.5), db.read() as session:
            assert session.connection().closed is False
        assert [row.item_id for row in colorizations.of_run(db, run_id)] == ids
        runs.finish(db, run_id, "completed")
        assert list(events.check(db)) == []


def test_opening_waits_for_a_server_that_restarts(server: Server) -> None:
    open_database(server.url).close()
    with _stopped(server, 1.5), open_database(server.url) as db:
        start_run(db, started_at=None)


def test_the_wait_has_an_end_and_is_not_begun_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that lost its database saves what it can at its end: that must not take its patience each time."""
    pauses = _pauses(monkeypatch)
    with open_database(server.url, patience_seconds=3) as db:
        run_id = start_run(db, started_at=None)
        server.stop()
        pauses.clear()
        try:
            with pytest.raises(DatabaseError, match=r"cannot reach .* check that the server is running") as caught:
                runs.get(db, run_id)
            assert sum(pauses) > 1, "it did not wait"
            assert "\n" not in str(caught.value)
            pauses.clear()
            for _ in range(3):
                with pytest.raises(DatabaseError, match="cannot reach"):
                    runs.finish(db, run_id, "failed")
            assert pauses == [], "it waited again"
        finally:
            server.start()
        deadline = time.monotonic() + 30
        while not _is_there(db, run_id):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert list(events.check(db)) == []


def _pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made from now on."""
    made: list[float] = []
    sleep = time.sleep

    def pause(seconds: float) -> None:
        made.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    return made


def _is_there(db: Database, run_id: int) -> bool:
    try:
        return runs.get(db, run_id) is not None
    except DatabaseError:
        return False


@pytest.mark.parametrize(
    "statements",
    [
        ("BEGIN EXCLUSIVE",),
        # readers are kept out as well
        ("PRAGMA journal_mode=DELETE", "BEGIN EXCLUSIVE"),
        ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE", "INSERT INTO copy SELECT * FROM copy"),
    ],
)
def test_a_file_that_others_have_locked_is_waited_for(tmp_path: Path, statements: tuple[str, ...]) -> None:
    file = tmp_path / "provenance.db"
    with open_database(sqlite_url(file)) as db:
        (item_id,) = add_items(db, "a.tif")
    began = time.monotonic()
    with kept_locked(file, 2, *statements), open_database(sqlite_url(file)) as db:
        assert set(items.known(db, ARCHIVE)) == {"a.tif"}
        run_id = start_run(db)
        assert time.monotonic() - began > 1.5
        colorizations.record(db, run_id, [done(item_id)])
        assert list(events.check(db)) == []


def test_a_file_that_stays_locked_is_waited_for_once(tmp_path: Path) -> None:
    file = tmp_path / "provenance.db"
    with open_database(sqlite_url(file), patience_seconds=1.5) as db:
        run_id = start_run(db)
        with kept_locked(file, 60):
            began = time.monotonic()
            for _ in range(3):
                with pytest.raises(DatabaseError, match=r"provenance\.db is kept locked by another program"):
                    runs.finish(db, run_id, "completed")
            assert time.monotonic() - began > 1
            assert _busy_milliseconds(db) == 500
        runs.finish(db, run_id, "completed")
        assert _busy_milliseconds(db) == 1500, "it was there again: the next time is waited for as the first"
        assert list(events.check(db)) == []


def _busy_milliseconds(db: Database) -> int:
    with db.read() as session:
        return session.scalars(sa.text("PRAGMA busy_timeout")).one()


def test_four_processes_lose_nothing_when_the_server_restarts_twice() -> None:
    def restart() -> None:
        fresh.stop()
        time.sleep(0.5)
        fresh.start()

    with own_server() as fresh:
        figures = measure(fresh.url, 1200, [restart, restart])
    assert figures.problems == []


def test_four_processes_lose_nothing_when_the_file_is_locked(tmp_path: Path) -> None:
    file = tmp_path / "provenance.db"

    def lock() -> None:
        with kept_locked(file, 60):
            time.sleep(2)

    figures = measure(sqlite_url(file), 1200, [lock, lock])
    assert figures.problems == []
    assert figures.longest_batch_seconds > 1, "nobody met the lock"
