"""Backup and restore: everything arrives, from either kind of database into either kind, or nothing does."""

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database, DatabaseError, SchemaError, events, open_database, runs, sqlite_url, transfer
from storage.database.backup import backup, restore
from storage.database.models import Base, Event, Item
from storage.database.schema import REVISIONS
from tests.storage.database.filled import all_rows, fill
from tests.storage.database.postgresql import fresh_database
from tests.storage.database.samples import add_items, add_references, start_run
from tests.storage.database.test_upgrade import old_url as old_url

Empty = Callable[[str], str]


@pytest.fixture
def empty(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Empty]:
    """Gives the URL of a database without a schema, of the kind that is asked for."""
    with ExitStack() as stack:

        def make(kind: str) -> str:
            if kind == "sqlite":
                return sqlite_url(tmp_path / f"{uuid.uuid4().hex}.db")
            server = request.getfixturevalue("postgresql_server")
            return stack.enter_context(fresh_database(server, f"test_{uuid.uuid4().hex}"))

        yield make


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_everything_comes_back_in_either_kind(db: Database, empty: Empty, tmp_path: Path, kind: str) -> None:
    run_id = fill(db)
    before = all_rows(db)
    copied = backup(db.url, tmp_path / "backup.db")
    assert copied.rows == {name: len(rows) for name, rows in before.items()}
    assert copied.findings == ()
    assert copied.schema == REVISIONS[-1]

    url = empty(kind)
    restored = restore(tmp_path / "backup.db", url)
    assert (restored.rows, restored.head, restored.findings) == (copied.rows, copied.head, ())
    with open_database(url, create=False) as other:
        assert all_rows(other) == before
        assert list(events.check(other, copied.head)) == []
        # new rows get numbers of their own
        assert add_items(other, "new.tif")[0] > max(row[0] for row in before["item"])
        assert add_references(other, "new.jpg")[0] > max(row[0] for row in before["reference"])
        assert start_run(other, started_at=None) > run_id + 1
        runs.finish(other, run_id + 1, "interrupted")
        assert list(events.check(other)) == []
        with other.read() as session:
            inspector = sa.inspect(session.connection())
            assert len(inspector.get_view_names()) > 5
        with pytest.raises((DatabaseError, sa.exc.IntegrityError), match="cannot be changed"), other.write() as session:
            session.execute(sa.update(Event).values(type="else"))


def test_a_backup_is_one_sound_file_that_opens_read_only(db: Database, tmp_path: Path) -> None:
    fill(db)
    folder = tmp_path / "backups"
    folder.mkdir()
    file = folder / "50% of it? #1.db"
    backup(db.url, file)
    assert [found.name for found in folder.iterdir()] == [file.name]
    plain = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)
    assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert plain.execute("SELECT count(*) FROM audit_item").fetchone() == (4,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        plain.execute("DELETE FROM item")
    plain.close()
    with open_database(sqlite_url(file), create=False) as copy:
        assert all_rows(copy) == all_rows(db)


def test_a_backup_is_of_one_moment_while_others_write(db: Database, tmp_path: Path) -> None:
    """Two rows are written together; in no backup is one without the other."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            with open_database(db.url) as other:
                number = 0
                while not stop.is_set():
                    add_items(other, f"{number}/a.tif", f"{number}/b.tif")
                    start_run(other, started_at=None)
                    number += 1
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [_pairs_and_chain(db, tmp_path / f"{number}.db") for number in range(4)]
    finally:
        stop.set()
        writer.join()
    assert errors == []
    assert seen[-1] > seen[0]


def _pairs_and_chain(db: Database, file: Path) -> int:
    copied = backup(db.url, file)
    assert copied.findings == ()
    with open_database(sqlite_url(file), create=False) as copy, copy.read() as session:
        paths = session.scalars(sa.select(Item.path)).all()
    assert len(paths) == copied.rows["item"]
    assert {path for path in paths if path.endswith("a.tif")} == {
        path.replace("b.tif", "a.tif") for path in paths if path.endswith("b.tif")
    }
    return len(paths)


def test_an_older_database_is_copied_as_it_is_and_restored_as_a_new_one(
    old_url: str, empty: Empty, tmp_path: Path
) -> None:
    copied = backup(old_url, tmp_path / "old.db")
    assert (copied.schema, copied.head) == ("0001", None)
    with sqlite3.connect(tmp_path / "old.db") as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert plain.execute("SELECT count(*) FROM audit_item").fetchone() == (5,)
    plain.close()
    for kind in ("sqlite", "postgresql"):
        url = empty(kind)
        restored = restore(tmp_path / "old.db", url)
        assert {name: restored.rows[name] for name in copied.rows} == copied.rows
        assert restored.findings == ()
        with open_database(url, create=False) as database:
            assert runs_of(database) == [1, 2]


def runs_of(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(sa.select(Base.metadata.tables["run"].c.id)))


def test_a_file_that_is_there_is_only_written_over_if_asked(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    file.write_bytes(b"something else")
    with pytest.raises(DatabaseError, match=r"backup\.db is there already.*--force"):
        backup(db.url, file)
    assert file.read_bytes() == b"something else"
    backup(db.url, file, force=True)
    with open_database(sqlite_url(file)) as used:
        add_items(used, "a.tif")
        with pytest.raises(DatabaseError, match="in use as a database"):
            backup(db.url, file, force=True)
    with pytest.raises(DatabaseError, match="does not exist"):
        backup(db.url, tmp_path / "nowhere" / "backup.db")
    with pytest.raises(DatabaseError, match="is a folder"):
        backup(db.url, tmp_path, force=True)


def test_a_database_is_not_its_own_backup(tmp_path: Path) -> None:
    file = tmp_path / "provenance.db"
    with open_database(sqlite_url(file)) as db:
        add_items(db, "a.tif")
    (tmp_path / "link.db").symlink_to(file)
    for name in ("provenance.db", "link.db"):
        with pytest.raises(DatabaseError, match="the database itself"):
            backup(sqlite_url(file), tmp_path / name, force=True)
        with pytest.raises(DatabaseError, match="the backup itself"):
            restore(file, sqlite_url(tmp_path / name))
    with open_database(sqlite_url(file), create=False) as db, db.read() as session:
        assert session.scalars(sa.select(Item.path)).all() == ["a.tif"]


def test_a_damaged_database_gives_no_backup(tmp_path: Path) -> None:
    file = tmp_path / "provenance.db"
    with open_database(sqlite_url(file)) as db:
        add_items(db, *(f"{number:05}.tif" for number in range(2000)))
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = b"\xff" * 20_000
    file.write_bytes(content)
    with pytest.raises(DatabaseError, match=r"provenance\.db is damaged"):
        backup(sqlite_url(file), tmp_path / "backup.db")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["provenance.db"]


def test_records_changed_by_hand_are_copied_and_told(db: Database, tmp_path: Path) -> None:
    run_id = fill(db)
    with db.write() as session:
        session.execute(sa.text("UPDATE run SET device = 'cuda' WHERE id = :id"), {"id": run_id})
    copied = backup(db.url, tmp_path / "backup.db")
    assert [(finding.kind, finding.id, finding.finding) for finding in copied.findings] == [("run", run_id, "changed")]
    assert (tmp_path / "backup.db").exists()


def test_only_an_empty_database_is_restored_into(db: Database, empty: Empty, tmp_path: Path) -> None:
    fill(db)
    backup(db.url, tmp_path / "backup.db")
    kind = db.dialect
    used = empty(kind)
    with open_database(used) as other:
        add_items(other, "mine.tif")
        before = all_rows(other)
        with pytest.raises(DatabaseError, match=r"in use already.*empty database"):
            restore(tmp_path / "backup.db", used)
        assert all_rows(other) == before
    made = empty(kind)
    open_database(made).close()  # the schema is there, but no record
    restore(tmp_path / "backup.db", made)
    with open_database(made, create=False) as other:
        assert all_rows(other) == all_rows(db)


def test_what_is_no_backup_is_refused_and_leaves_nothing(tmp_path: Path, empty: Empty) -> None:
    scan = tmp_path / "scan.tif"
    scan.write_bytes(b"II*\0 a scan, not a database")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as plain:
        plain.execute("CREATE TABLE cats (name TEXT)")
    plain.close()
    newer = tmp_path / "newer.db"
    open_database(sqlite_url(newer)).close()
    with sqlite3.connect(newer) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '0999'")
    plain.close()
    url = empty("sqlite")
    for file, kind, message in (
        (tmp_path / "missing.db", DatabaseError, "there is no backup"),
        (scan, DatabaseError, r"scan\.tif is no backup"),
        (other, SchemaError, "another program"),
        (newer, SchemaError, r"newer version.*0999"),
    ):
        with pytest.raises(kind, match=message) as caught:
            restore(file, url)
        assert "\n" not in str(caught.value)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["newer.db", "other.db", "scan.tif"]


def test_a_restore_that_fails_leaves_the_database_empty(
    db: Database, empty: Empty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db)
    backup(db.url, tmp_path / "backup.db")
    url = empty(db.dialect)
    arrived = transfer.content

    def losing(connection: sa.Connection) -> dict[str, transfer.Content]:
        connection.execute(sa.text("DELETE FROM fixity"))
        return arrived(connection)

    monkeypatch.setattr(transfer, "content", losing)
    with pytest.raises(DatabaseError, match="rows of fixity did not arrive"):
        restore(tmp_path / "backup.db", url)
    monkeypatch.undo()
    with pytest.raises(DatabaseError, match=r"no database|no records yet"):
        open_database(url, create=False)
    restore(tmp_path / "backup.db", url)


def test_the_backup_is_not_changed_by_being_restored(db: Database, empty: Empty, tmp_path: Path) -> None:
    fill(db)
    file = tmp_path / "backup.db"
    backup(db.url, file)
    before = file.read_bytes()
    restore(file, empty("sqlite"))
    assert file.read_bytes() == before


def test_columns_of_others_would_be_lost_so_they_are_refused(postgresql_url: str, tmp_path: Path) -> None:
    with open_database(postgresql_url) as db:
        add_items(db, "a.tif")
        with db.write() as session:
            session.execute(sa.text("ALTER TABLE item ADD COLUMN shelf text"))
        with pytest.raises(SchemaError, match=r"column item\.shelf"):
            backup(postgresql_url, tmp_path / "backup.db")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_is_not_held_up_by_a_backup(tmp_path: Path) -> None:
    """The backup's reading transaction is open; a write goes through meanwhile and is not in the backup."""
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db:
        add_items(db, "before.tif")
        original = transfer.counts

        def and_meanwhile(connection: sa.Connection) -> dict[str, int]:
            found = original(connection)
            if "partial" not in str(connection.engine.url):
                add_items(db, "meanwhile.tif")
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transfer, "counts", and_meanwhile)
            copied = backup(db.url, tmp_path / "backup.db", patience_seconds=5)
        assert copied.rows["item"] == 1
        with db.read() as session:
            assert session.scalar(sa.select(sa.func.count()).select_from(Item)) == 2
