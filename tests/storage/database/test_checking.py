"""`checking.check` finds what is wrong with a database, and nothing where nothing is."""

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database, DatabaseError, open_database, runs, sqlite_url
from storage.database.checking import check
from storage.database.structure import compare
from tests.storage.database.filled import all_rows, fill
from tests.storage.database.samples import add_items, start_run
from tests.storage.database.test_upgrade import old_url as old_url


def _wrong(url: str) -> list[tuple[str, str]]:
    return [(look.what, look.result) for look in check(url, patience_seconds=5) if not look.is_right]


def _change(db: Database, *statements: str) -> None:
    with db.write() as session:
        for statement in statements:
            session.execute(sa.text(statement))


def test_a_sound_database_has_no_finding_and_is_left_as_it_is(db: Database) -> None:
    fill(db)
    before = all_rows(db)
    looks = list(check(db.url))
    assert [look for look in looks if not look.is_right] == []
    results = {look.what: look.result for look in looks}
    assert results["schema"].startswith("0005")
    assert results["table colorization"] == "4 rows"
    assert results["counts of runs"] == "those of 2 runs agree with their rows"
    assert results["runs under way"].startswith("run 2, by process")
    assert results["record"].endswith(_last_hash(db))
    for what in ("tables", "views", "triggers"):
        assert results[what] == "as this version makes them"
    assert all("\n" not in look.result for look in looks)
    assert all_rows(db) == before


def _last_hash(db: Database) -> str:
    with db.read() as session:
        return str(session.scalar(sa.text("SELECT sha256 FROM event ORDER BY id DESC LIMIT 1")))


def test_a_database_without_records_is_sound(url: str) -> None:
    assert _wrong(url) == []


def test_an_upgraded_database_is_as_a_new_one(old_url: str) -> None:
    (version,) = [look for look in check(old_url) if not look.is_right]
    assert version.what == "schema"
    assert version.result.startswith("0001, older than this version's")
    assert "archive-colorizer database upgrade" in version.result
    with open_database(old_url, upgrade=True) as db:
        db.run_write(lambda session: session.execute(sa.text("UPDATE run SET hostname = 'elsewhere'")) and None)
    wrong = _wrong(old_url)
    # the sample's first run counts an item more than it tells of; the second never ended, on another machine
    assert [what for what, _ in wrong if what not in ("counts of runs", "record")] == []


def test_a_newer_database_and_one_of_others_are_told(url: str) -> None:
    with open_database(url) as db:
        _change(db, "UPDATE alembic_version SET version_num = '0999'")
    assert [what for what, _ in _wrong(url)] == ["schema"]
    assert "newer version" in _wrong(url)[0][1]


def test_counts_that_do_not_agree_are_told(db: Database) -> None:
    run_id = fill(db)
    _change(db, f"UPDATE run SET done = done + 1, items = 2 WHERE id = {run_id}")
    wrong = _wrong(db.url)
    assert ("counts of runs", f"run {run_id} counts 4 done, but has 3 such rows") in wrong
    assert ("counts of runs", f"run {run_id} counts 2 items, fewer than it has outcomes of") in wrong
    assert ("record", f"run {run_id}: changed") in wrong


def test_items_that_needed_nothing_have_no_row(db: Database) -> None:
    run_id = start_run(db, started_at=None)
    runs.set_planned(db, run_id, items=10, skipped=10)
    assert _wrong(db.url) == []


def test_a_run_whose_process_is_gone_is_told(db: Database) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = start_run(db, pid=gone.pid, started_at=None)
    start_run(db, pid=os.getpid(), started_at=None)
    start_run(db, pid=gone.pid, hostname="elsewhere", started_at=None)
    # a number that was given out again: this process began after the run did
    reused = start_run(db, pid=os.getpid())
    wrong = _wrong(db.url)
    assert [what for what, _ in wrong] == ["runs under way"] * 2
    assert [result.split(":")[0] for _, result in wrong] == [
        f"run {dead} never ended",
        f"run {reused} never ended",
    ]
    assert f"process {gone.pid} on {socket.gethostname()} is gone" in wrong[0][1]


def test_what_was_changed_by_hand_is_told(db: Database) -> None:
    fill(db)
    _change(db, "UPDATE colorization SET reference_path = 'another.jpg' WHERE id = 1")
    assert _wrong(db.url) == [("record", "colorization 1 of Zürich.tif: changed")]


def test_an_event_that_is_gone_is_told(db: Database) -> None:
    fill(db)
    _switch_triggers_off(db)
    _change(db, "DELETE FROM event WHERE id = 2")
    wrong = _wrong(db.url)
    assert ("record", "event 2: missing") in wrong
    assert any(what == "triggers" for what, _ in wrong)


def _switch_triggers_off(db: Database) -> None:
    if db.dialect == "sqlite":
        _change(db, "DROP TRIGGER event_no_delete", "DROP TRIGGER event_no_update")
    else:
        _change(db, "ALTER TABLE event DISABLE TRIGGER event_is_final")


def test_a_schema_that_was_meddled_with_is_told(db: Database) -> None:
    _change(
        db,
        "DROP VIEW audit_failure",
        "DROP VIEW audit_fixity",
        "CREATE VIEW audit_fixity AS SELECT what, path, 'intact' AS finding, expected_sha256, found_sha256,"
        " checked_at FROM fixity",
        "DROP INDEX ix_item_sha256",
        "ALTER TABLE copy ADD COLUMN shelf text",
        "CREATE TABLE notes (text text)",
        "CREATE INDEX of_ours ON item (width)",
    )
    wrong = _wrong(db.url)
    assert ("views", "view audit_failure is missing") in wrong
    assert ("views", "view audit_fixity asks something else") in wrong
    assert ("tables", "index ix_item_sha256 of item is missing") in wrong
    assert any(what == "rows" and "copy.shelf" in result for what, result in wrong)
    # what others keep beside our tables is none of our business
    assert not any("notes" in result or "of_ours" in result for _, result in wrong)


def test_constraints_and_types_that_differ_are_told(postgresql_url: str) -> None:
    with open_database(postgresql_url) as db:
        _change(
            db,
            "ALTER TABLE item DROP CONSTRAINT ck_item_page",
            "ALTER TABLE item ALTER COLUMN format SET NOT NULL",
            "ALTER TABLE match DROP CONSTRAINT fk_match_item_id_item",
            "ALTER TABLE match ADD CONSTRAINT fk_match_item_id_item FOREIGN KEY (item_id) REFERENCES item NOT VALID",
            "ALTER TABLE copy DROP CONSTRAINT uq_copy_colorization_id_output_path",
        )
    wrong = _wrong(postgresql_url)
    assert ("tables", "check ck_item_page of item is missing") in wrong
    assert ("tables", "column item.format: its nullable is False, not True") in wrong
    assert any(
        result.startswith("constraint uq_copy_colorization_id_output_path of copy is missing") for _, result in wrong
    )
    assert any(what == "constraints" and "fk_match_item_id_item of match" in result for what, result in wrong)


def test_who_may_only_read_can_compare_the_views(postgresql_url: str) -> None:
    with open_database(postgresql_url) as db, db.read() as session:
        assert session.scalar(sa.text("SHOW transaction_read_only")) == "on"
        engine = session.get_bind().engine
        assert {what for what, differences in compare(engine) if differences} == set()


def test_rows_that_refer_to_missing_ones_are_told(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "provenance.db")
    with open_database(url) as db:
        fill(db)
    with sqlite3.connect(tmp_path / "provenance.db") as plain:
        plain.execute("DELETE FROM reference WHERE id = 2")
    plain.close()
    wrong = _wrong(url)
    assert {what for what, _ in wrong} == {"file"}
    assert any("of match refers to a missing row of reference" in result for _, result in wrong)


def test_a_damaged_file_is_told_and_everything_else_still_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "provenance.db"
    with open_database(sqlite_url(file)) as db:
        fill(db)
        add_items(db, *(f"{number:05}.tif" for number in range(3000)))
    content = bytearray(file.read_bytes())
    content[-60_000:-20_000] = b"\xff" * 40_000
    file.write_bytes(content)
    looks = list(check(sqlite_url(file)))
    assert any(look.what == "file" and not look.is_right for look in looks)
    assert [look.is_right for look in looks if look.what == "schema"] == [True]
    assert len(looks) < 300


def test_a_database_that_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="there is no database"):
        list(check(sqlite_url(tmp_path / "provenance.db")))
    with pytest.raises(DatabaseError, match="cannot reach"):
        list(check("postgresql://archivist@127.0.0.1:1/provenance", patience_seconds=0.1))
