"""`database check | backup | restore | grant-auditor | upgrade` as people use them."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from flows.cli.entry import run_command
from storage.database import open_database, sqlite_url
from storage.database.schema import REVISIONS
from tests.flows.conftest import ROOT
from tests.storage.database.conftest import postgresql_server as postgresql_server
from tests.storage.database.conftest import postgresql_template as postgresql_template
from tests.storage.database.conftest import postgresql_url as postgresql_url
from tests.storage.database.filled import all_rows, fill
from tests.storage.database.test_upgrade import RECORDS_0001, _connected, _to


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with the records of two runs."""
    folder = tmp_path / "output"
    folder.mkdir()
    with open_database(sqlite_url(folder / "provenance.db")) as db:
        fill(db)
    return folder


@pytest.fixture
def old_output(tmp_path: Path) -> Path:
    """An output folder whose database is of the oldest schema."""
    folder = tmp_path / "old output"
    folder.mkdir()
    with _connected(sqlite_url(folder / "provenance.db")) as connection:
        _to(connection, "0001")
        for statement in RECORDS_0001.format(archive="/archive", output=folder).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement.replace("'0123'", "x'30313233'"))
    return folder


def _run(*arguments: object) -> int:
    return run_command([str(argument) for argument in arguments])


def test_check_has_a_line_for_everything_it_looked_at(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("database", "check", "--output", output, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["finding"] for row in rows} == {"right"}
    assert {"schema", "file", "table item", "tables", "views", "triggers", "counts of runs", "record"} <= {
        row["looked_at"] for row in rows
    }
    with sqlite3.connect(output / "provenance.db") as plain:
        plain.execute("UPDATE run SET done = 7 WHERE id = 1")
    plain.close()
    assert _run("database", "check", "--output", output) == 2
    said = capsys.readouterr().out
    assert "run 1 counts 7 done, but has 3 such rows" in said
    assert "run 1: changed" in said


def test_check_looks_at_an_older_database_too(old_output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("database", "check", "--output", old_output, "--format", "csv") == 2
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if ",wrong," in line).startswith("schema,wrong,")
    assert "file,right," in "\n".join(lines)


@pytest.mark.parametrize("name", ["check", "upgrade", "backup", "grant-auditor"])
def test_no_database_is_wrong_usage(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = [tmp_path / "x"] if name in ("backup", "grant-auditor") else []
    assert _run("database", name, *more, "--output", tmp_path) == 1
    assert f"there is no database {tmp_path / 'provenance.db'}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_backup_and_restore_to_postgresql_and_back(
    output: Path, postgresql_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("database", "backup", tmp_path / "first.db", "--output", output) == 0
    assert "2 runs, 4 results" in capsys.readouterr().out
    assert _run("database", "restore", tmp_path / "first.db", "--database", postgresql_url) == 0
    assert _run("database", "check", "--database", postgresql_url) == 0
    assert _run("database", "backup", tmp_path / "second.db", "--database", postgresql_url) == 0
    new = tmp_path / "new"
    new.mkdir()
    assert _run("database", "restore", tmp_path / "second.db", "--output", new) == 0
    assert _run("database", "check", "--output", new) == 0
    with (
        open_database(sqlite_url(output / "provenance.db")) as before,
        open_database(sqlite_url(new / "provenance.db")) as after,
    ):
        assert all_rows(after) == all_rows(before)
    capsys.readouterr()

    assert _run("database", "backup", tmp_path / "first.db", "--output", output) == 3
    assert "--force" in capsys.readouterr().err
    assert _run("database", "backup", tmp_path / "first.db", "--output", output, "--force") == 0
    assert _run("database", "restore", tmp_path / "first.db", "--output", output) == 3
    assert "in use already" in capsys.readouterr().err


def test_a_backup_of_changed_records_says_so(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(output / "provenance.db") as plain:
        plain.execute("UPDATE run SET device = 'cuda' WHERE id = 1")
    plain.close()
    assert _run("database", "backup", tmp_path / "backup.db", "--output", output) == 2
    assert "run 1: changed since it was written" in capsys.readouterr().err
    assert (tmp_path / "backup.db").exists()


def test_upgrade_makes_a_backup_first(old_output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("audit", "runs", "--output", old_output) == 3
    said = capsys.readouterr().err
    assert f"schema 0001, this one needs {REVISIONS[-1]}" in said
    assert "archive-colorizer database upgrade" in said
    shutil.copy(old_output / "provenance.db", old_output / "kept.db")

    assert _run("database", "upgrade", "--output", old_output) == 0
    backup = old_output / f"provenance.before-{REVISIONS[-1]}.db"
    assert str(backup) in capsys.readouterr().out
    with sqlite3.connect(backup) as plain, sqlite3.connect(old_output / "kept.db") as kept:
        assert list(plain.iterdump()) == list(kept.iterdump())
    plain.close()
    kept.close()
    assert _run("audit", "runs", "--output", old_output) == 0
    assert _run("database", "upgrade", "--output", old_output) == 0
    assert "nothing to do" in capsys.readouterr().out

    # the next one finds the name taken
    shutil.copy(old_output / "kept.db", old_output / "provenance.db")
    assert _run("database", "upgrade", "--output", old_output) == 0
    assert (old_output / f"provenance.before-{REVISIONS[-1]}-2.db").exists()


def test_upgrade_with_a_backup_elsewhere_or_none(
    old_output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(old_output / "provenance.db", old_output / "kept.db")
    there = tmp_path / "there.db"
    there.write_bytes(b"mine")
    assert _run("database", "upgrade", "--output", old_output, "--backup", there) == 3
    assert "is there already" in capsys.readouterr().err
    with sqlite3.connect(old_output / "provenance.db") as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    plain.close()
    assert _run("database", "upgrade", "--output", old_output, "--backup", tmp_path / "b.db", "--no-backup") == 1
    assert _run("database", "upgrade", "--output", old_output, "--backup", tmp_path / "b.db") == 0
    assert (tmp_path / "b.db").exists()
    shutil.copy(old_output / "kept.db", old_output / "provenance.db")
    assert _run("database", "upgrade", "--output", old_output, "--no-backup") == 0
    assert sorted(file.name for file in old_output.iterdir()) == ["kept.db", "provenance.db"]


@pytest.fixture
def old_postgresql(postgresql_url: str) -> str:
    with open_database(postgresql_url) as db:
        fill(db)
    from alembic import command
    from alembic.config import Config

    with _connected(postgresql_url) as connection:
        config = Config()
        config.set_main_option("script_location", "storage.database:migrations")
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
    return postgresql_url


def test_upgrade_of_postgresql_asks_where_the_backup_goes(
    old_postgresql: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("database", "upgrade", "--database", old_postgresql) == 1
    assert "--backup FILE" in capsys.readouterr().err
    assert _run("database", "upgrade", "--database", old_postgresql, "--output", tmp_path) == 0
    with sqlite3.connect(tmp_path / f"provenance.before-{REVISIONS[-1]}.db") as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)
        assert plain.execute("SELECT count(*) FROM colorization").fetchone() == (4,)
    plain.close()
    assert _run("database", "check", "--database", old_postgresql) == 0


def test_upgrade_of_a_newer_database_says_what_to_do(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(output / "provenance.db") as plain:
        plain.execute("UPDATE alembic_version SET version_num = '0999'")
    plain.close()
    assert _run("database", "upgrade", "--output", output) == 3
    said = capsys.readouterr().err
    assert "schema 0999" in said
    assert "update archive-colorizer" in said
    assert sorted(file.name for file in output.iterdir()) == ["provenance.db"]


def test_grant_auditor_says_how_to_connect(
    postgresql_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "password"
    secret.write_text("Geheim % 'x'\nnot this\n", encoding="utf-8")
    name = f"auditor_{os.getpid()}"
    try:
        assert _run("database", "grant-auditor", name, "--password-file", secret, "--database", postgresql_url) == 0
        said = capsys.readouterr()
        assert said.out.count("\n") == 1
        assert "Geheim" not in said.out + said.err
        url = said.out.split("psql ")[1].strip().strip("'")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT current_user, count(*) FROM audit_run").fetchone() == (name, 0)
    finally:
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(f'DROP OWNED BY "{name}"')
            connection.execute(f'DROP ROLE "{name}"')


def test_grant_auditor_has_one_line_for_what_it_cannot_do(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("database", "grant-auditor", "auditor", "--output", output) == 3
    said = capsys.readouterr().err
    assert "knows no roles" in said
    assert "sqlite3 -readonly" in said
    assert said.count("\n") == 1
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for file, code in ((tmp_path / "missing", 3), (empty, 1)):
        arguments = ("database", "grant-auditor", "auditor", "--password-file", file, "--output", output)
        assert _run(*arguments) == code
        assert str(file) in capsys.readouterr().err


def test_help_of_a_group_does_not_load_the_database() -> None:
    code = (
        "import sys; from flows.cli.entry import run_command; run_command(['database', '--help']);"
        "print([name for name in ('sqlalchemy', 'alembic', 'torch') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip().endswith("[]")
