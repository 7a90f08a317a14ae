"""Several processes, killed processes, a database that is away for a while: nothing lost, nothing doubled."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from storage.database import Database, DatabaseError, audit, colorizations, open_database, runs, sqlite_url
from tests.storage.database.samples import ARCHIVE, OUTPUT, add_items, done, start_run


def _writer(url: str, *arguments: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.storage.database.writer", url, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


def _assert_each_once(db: Database, run_id: int, ids: list[int]) -> None:
    assert [row.item_id for row in colorizations.of_run(db, run_id)] == ids
    assert sorted(colorizations.current(db, OUTPUT, ARCHIVE)) == ids
    (runtime,) = audit.rows(db, "audit_runtime", run_id)
    assert runtime["items"] == len(ids)
    run = runs.get(db, run_id)
    assert run is not None
    assert run.counts.done == len(ids)


def test_processes_that_write_at_once_lose_nothing(db: Database) -> None:
    ids = add_items(db, *(f"{number:04}.tif" for number in range(300)))
    run_id = start_run(db)
    # the middle third is given to both, as when a batch is tried again elsewhere
    processes = [_writer(db.url, run_id, ids[0], ids[199], 10), _writer(db.url, run_id, ids[100], ids[-1], 7)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    for process in processes:
        process.communicate()
    _assert_each_once(db, run_id, ids)


def test_a_killed_writer_leaves_whole_batches_and_can_be_repeated(db: Database) -> None:
    ids = add_items(db, *(f"{number:04}.tif" for number in range(4000)))
    run_id = start_run(db)
    batch = 100
    rng = random.Random(5)
    for _ in range(3):
        process = _writer(db.url, run_id, ids[0], ids[-1], batch)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        printed, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert printed.count("recorded") < len(ids) / batch, "it was killed too late to show anything"
        with open_database(db.url) as again:
            recorded = len(colorizations.of_run(again, run_id))
            (runtime,) = audit.rows(again, "audit_runtime", run_id)
        assert recorded % batch == 0
        assert recorded > 0
        assert runtime["items"] == recorded
    process = _writer(db.url, run_id, ids[0], ids[-1], 500)
    process.communicate()
    assert process.returncode == 0
    _assert_each_once(db, run_id, ids)


def test_a_writer_waits_while_another_program_has_the_file_locked(tmp_path: Path) -> None:
    file = tmp_path / "provenance.db"
    with open_database(sqlite_url(file)) as db:
        ids = add_items(db, "a.tif")
        run_id = start_run(db)
        other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(1.5, other.rollback)
        release.start()
        began = time.monotonic()
        colorizations.record(db, run_id, [done(ids[0])])
        assert time.monotonic() - began > 1
        release.join()
        other.close()
        assert len(colorizations.of_run(db, run_id)) == 1


def test_a_file_that_stays_locked_is_an_error_in_the_end(tmp_path: Path) -> None:
    file = tmp_path / "provenance.db"
    open_database(sqlite_url(file)).close()
    other = sqlite3.connect(file, isolation_level=None)
    with open_database(sqlite_url(file), patience_seconds=0.5) as db:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match=r"provenance\.db is kept locked by another program"):
            start_run(db)
        other.rollback()
        start_run(db)
    other.close()


def _cut_all_connections(server_url: str, database: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))


def test_a_transaction_whose_connection_breaks_is_done_again_whole(postgresql_url: str, postgresql_server: str) -> None:
    with open_database(postgresql_url) as db:
        attempts: list[int] = []

        def work(session: sa.orm.Session) -> int:
            session.execute(
                sa.text(
                    "INSERT INTO item"
                    " (archive, path, kind, size_bytes, mtime_ns, first_seen_at, examined_at)"
                    " VALUES ('/a', :path, 'photograph', 1, 1, now(), now())"
                ),
                {"path": f"{len(attempts)}.tif"},
            )
            attempts.append(1)
            if len(attempts) < 3:
                name = session.scalar(sa.text("SELECT current_database()"))
                assert name is not None
                _cut_all_connections(postgresql_server, name)
            return session.scalars(sa.text("SELECT count(*) FROM item")).one()

        assert db.run_write(work) == 1
        assert len(attempts) == 3
        with db.read() as session:
            assert session.scalars(sa.text("SELECT path FROM item")).all() == ["2.tif"]


def test_a_server_that_is_away_is_waited_for(postgresql_url: str, postgresql_server: str) -> None:
    """The database takes no connections for a second while a process is writing to it."""
    name = sa.make_url(postgresql_url).database
    with open_database(postgresql_url) as db:
        ids = add_items(db, *(f"{number:04}.tif" for number in range(60)))
        run_id = start_run(db)
        process = _writer(postgresql_url, run_id, ids[0], ids[-1], 2, 0.03)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            _cut_all_connections(postgresql_server, str(name))
            time.sleep(1)
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        process.communicate(timeout=60)
        assert process.returncode == 0
        _assert_each_once(db, run_id, ids)


def test_a_server_that_stays_away_is_an_error(postgresql_url: str, postgresql_server: str) -> None:
    name = sa.make_url(postgresql_url).database
    with open_database(postgresql_url, patience_seconds=0.5) as db:
        start_run(db)
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            _cut_all_connections(postgresql_server, str(name))
            with pytest.raises(DatabaseError, match=f"cannot reach .*{name}"):
                runs.latest(db)
