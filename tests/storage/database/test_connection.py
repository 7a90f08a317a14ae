"""Opening and using the database: URLs, messages, transactions, threads, forks."""

import os
import sqlite3
import threading
from datetime import timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database, DatabaseError, items, open_database, runs, sqlite_url
from storage.database.engine import parse_url
from storage.errors import StorageError
from tests.storage.database.samples import ARCHIVE, NOON, add_items, start_run


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root:geheim@localhost/x", "'mysql' is not a kind of database"),
        ("provenance.db", "no '://' in it"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://user:geheim@host:port/x", "cannot be understood"),
    ],
)
def test_a_wrong_url_is_explained_without_the_password(url: str, message: str) -> None:
    with pytest.raises(DatabaseError, match=message) as caught:
        open_database(url)
    assert "geheim" not in str(caught.value)
    assert "sqlite:///FILE" in str(caught.value)
    assert isinstance(caught.value, StorageError)


def test_urls_of_postgresql_go_to_psycopg() -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert parse_url(f"{scheme}://me@host/db").drivername == "postgresql+psycopg"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"fehlt .* does not exist"):
        open_database(sqlite_url(tmp_path / "fehlt" / "provenance.db"))


def test_a_folder_that_refuses_new_files_is_named() -> None:
    with pytest.raises(DatabaseError, match=r"/proc.*(cannot be opened|cannot be written)"):
        open_database("sqlite:////proc/provenance.db")


@pytest.mark.parametrize("content", [b"II*\0 a scan, not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "scan.tif"
    file.write_bytes(content)
    with pytest.raises(DatabaseError, match=r"scan\.tif is not a database file"):
        open_database(sqlite_url(file))
    assert file.read_bytes() == content


def test_a_folder_instead_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is a folder"):
        open_database(sqlite_url(tmp_path))


def test_an_unreachable_server_is_named_without_the_password() -> None:
    for url in (
        "postgresql://archivist:geheim@127.0.0.1:1/provenance",
        "postgresql://archivist@127.0.0.1:1/provenance?password=geheim",
    ):
        with pytest.raises(DatabaseError, match=r"cannot reach .*provenance at 127\.0\.0\.1:1") as caught:
            open_database(url, patience_seconds=0.2)
        assert "geheim" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_database_missing_on_the_server_is_named(postgresql_server: str) -> None:
    with pytest.raises(DatabaseError, match="nowhere"):
        open_database(postgresql_server.replace("/postgres?", "/nowhere?"))


def test_the_password_is_not_in_the_representation(postgresql_url: str) -> None:
    with open_database(postgresql_url.replace("postgres:@", "postgres:geheim@")) as db:
        assert "geheim" not in repr(db)
        assert "geheim" in db.url


def test_any_folder_name_can_hold_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "Fotos? 50% #1 – Ä"
    folder.mkdir()
    open_database(sqlite_url(folder / "provenance.db")).close()
    assert [file.name for file in folder.iterdir()] == ["provenance.db"]


def test_sqlite_is_set_up_as_intended(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db, db.read() as session:
        settings = {
            name: session.execute(sa.text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 60_000}


def test_the_last_to_close_leaves_one_file(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "provenance.db")
    first, second = open_database(url), open_database(url)
    start_run(first)
    assert runs.latest(second) is not None
    first.close()
    second.close()
    assert [file.name for file in tmp_path.iterdir()] == ["provenance.db"]


def test_the_url_opens_the_same_database(db: Database) -> None:
    run_id = start_run(db)
    with open_database(db.url) as other:
        assert runs.get(other, run_id) is not None


def test_foreign_keys_are_enforced(db: Database) -> None:
    orphan = sa.text("INSERT INTO stage_timing (run_id, stage, seconds, items) VALUES (99, 'read', 1, 1)")
    with pytest.raises(sa.exc.IntegrityError):
        db.run_write(lambda session: session.execute(orphan))


def test_a_block_that_fails_changes_nothing(db: Database) -> None:
    run_id = start_run(db)

    def change_and_fail() -> None:
        with db.write() as session:
            session.execute(sa.text("UPDATE run SET archive = 'elsewhere'"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    found = runs.get(db, run_id)
    assert found is not None
    assert found.archive == ARCHIVE


def test_a_read_sees_one_state_throughout(db: Database) -> None:
    count = sa.text("SELECT count(*) FROM run")
    with db.read() as session:
        before = session.scalar(count)
        start_run(db)
        assert session.scalar(count) == before
    with db.read() as session:
        assert session.scalar(count) == 1


def test_times_are_aware_and_utc(db: Database) -> None:
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    run = runs.get(db, start_run(db, started_at=NOON.astimezone(elsewhere)))
    assert run is not None
    assert run.started_at == NOON
    assert run.started_at.utcoffset() == timedelta(0)
    with pytest.raises(sa.exc.StatementError, match="without a time zone"):
        start_run(db, started_at=NOON.replace(tzinfo=None))


def test_plain_sql_reads_times_of_sqlite_as_iso_8601(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db:
        start_run(db)
    with sqlite3.connect(tmp_path / "provenance.db") as plain:
        row = plain.execute("SELECT started_at, unixepoch(started_at) FROM audit_run").fetchone()
    plain.close()
    assert row == ("2026-03-01T12:00:00.000000+00:00", int(NOON.timestamp()))


def test_threads_may_share_it(db: Database) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in range(10):
                add_items(db, f"{number}/{count}.tif")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(items.known(db, ARCHIVE)) == 80


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_can_go_on_using_it(db: Database) -> None:
    add_items(db, "parent.tif")
    child = os.fork()
    if child == 0:
        try:
            add_items(db, "child.tif")
            db.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    add_items(db, "parent again.tif")
    assert set(items.known(db, ARCHIVE)) == {"parent.tif", "child.tif", "parent again.tif"}
