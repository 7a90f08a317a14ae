"""A verification of many files: cut off and gone on with, begun anew, with more findings than events, by threads."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from flows.fixity import Ledger, Wanted, hashing, verify
from flows.fixity.ledger import FileToCheck, Looked
from flows.progress import SilentProgress
from storage.database import Database, colorizations, events, open_database, runs, sqlite_url
from storage.database.expected_files import ExpectedFile
from storage.database.records import ItemOutcome
from storage.fixity import sha256_bytes
from storage.paths import path_to_text
from tests.flows.conftest import CommandLine
from tests.storage.database.postgresql import fresh_database, running_server
from tests.storage.database.samples import add_items, add_references, done, further_copy, shot, start_run

MANY = 6000


class Counting(SilentProgress):
    """Counts what is looked at now, and what was before."""

    def __init__(self) -> None:
        self.now = self.before = 0

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        self.now += count

    def pass_over(self, count: int) -> None:
        self.before += count


def outputs(folder: Path, count: int, size: int = 5000) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:05}.tif" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(number.to_bytes(4, "big") * (size // 4))
    return paths


def record(db: Database, paths: list[Path]) -> int:
    """Outputs on record, in the folder that they lie in; the run."""
    root = paths[0].parent
    ids = add_items(db, *(path.name for path in paths))
    run_id = start_run(db, output_root=path_to_text(root))
    outcomes = [
        ItemOutcome(item_id=id_, state="done", output_path=path.name, output_sha256=sha256_bytes(path.read_bytes()))
        for id_, path in zip(ids, paths, strict=True)
    ]
    colorizations.record(db, run_id, outcomes)
    runs.finish(db, run_id, "completed")
    return run_id


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with running_server() as server, fresh_database(server, "fixity") as url:
        yield url


def test_killed_and_gone_on_with(tmp_path: Path, environment: dict[str, str], command: CommandLine) -> None:
    output = tmp_path / "out"
    paths = outputs(output, MANY)
    file = output / "provenance.db"
    with open_database(sqlite_url(file)) as db:
        record(db, paths)
    paths[0].write_bytes(b"changed")
    line = [sys.executable, "-m", "flows.cli", "verify", "--output", str(output)]
    checked = "SELECT path, checked_at FROM fixity"
    with subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL) as process, sqlite3.connect(file) as reader:
        while process.poll() is None and not reader.execute(checked).fetchone():
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = dict(reader.execute(checked).fetchall())
    assert 0 < len(before) < MANY

    answer = command("verify", "--output", output, "--format", "csv")
    assert answer.returncode == 2, answer.stderr
    assert "going on with the verification" in answer.stderr
    assert f"{MANY} files and the record checked, 1 changed" in answer.stderr
    # what was found before it was killed is told, though it was not looked at again
    assert [line.split(",")[:3] for line in answer.stdout.splitlines()[1:]] == [["output", "changed", str(paths[0])]]
    after = dict(reader.execute(checked).fetchall())
    assert len(after) == MANY
    assert {path: after[path] for path in before} == before
    told = reader.execute("SELECT type FROM event WHERE type LIKE 'fixity%' ORDER BY id").fetchall()
    assert [type_ for (type_,) in told] == ["fixity_check_started", "fixity_check_finding", "fixity_check_ended"]
    reader.close()


def test_ctrl_c_records_what_was_looked_at(tmp_path: Path, environment: dict[str, str]) -> None:
    output = tmp_path / "out"
    paths = outputs(output, 300)
    file = output / "provenance.db"
    with open_database(sqlite_url(file)) as db:
        record(db, paths)
    os.truncate(paths[-1], 60_000_000_000)  # sparse: hashing it takes longer than anybody waits
    line = [sys.executable, "-m", "flows.cli", "verify", "--output", str(output)]
    with subprocess.Popen(
        line,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        with sqlite3.connect(file) as reader:
            while process.poll() is None and reader.execute("SELECT count(*) FROM fixity").fetchone() != (299,):
                time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    paths[-1].write_bytes((299).to_bytes(4, "big") * 1250)
    with open_database(sqlite_url(file)) as db:
        for before, now in ((299, 1), (0, 300)):
            progress = Counting()
            with Ledger() as ledger:
                assert verify(db, Wanted(), ledger, progress).findings == 0
            assert (progress.before, progress.now) == (before, now)


def test_restart_looks_at_everything_again(tmp_path: Path) -> None:
    paths = outputs(tmp_path / "out", 20)
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db:
        run_id = record(db, paths)
        cut_off_after(db, Wanted(), 5)
        for wanted, before in ((Wanted(run_id=run_id), 0), (Wanted(restart=True), 0), (Wanted(), 0)):
            progress = Counting()
            with Ledger() as ledger:
                assert verify(db, wanted, ledger, progress).findings == 0
            assert (progress.before, progress.now) == (before, 20)
        cut_off_after(db, Wanted(run_id=run_id), 5)
        progress = Counting()
        with Ledger() as ledger:
            verify(db, Wanted(run_id=run_id), ledger, progress)
        assert (progress.before, progress.now) == (5, 15)


def cut_off_after(db: Database, wanted: Wanted, count: int) -> None:
    class Impatient(Counting):
        def advance(self, count_: int = 1, *, failed: bool = False) -> None:
            super().advance(count_)
            if self.now == count:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Ledger() as ledger:
        verify(db, wanted, ledger, Impatient())


def test_what_was_written_anew_since_is_looked_at_again(tmp_path: Path) -> None:
    paths = outputs(tmp_path / "out", 4)
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db:
        record(db, paths)
        cut_off_after(db, Wanted(), 4)
        paths[1].write_bytes(b"by a later run")
        (id_,) = add_items(db, paths[1].name)
        run_id = start_run(db, output_root=str(paths[0].parent), started_at=None)
        outcome = done(id_, output_path=paths[1].name, output_sha256=sha256_bytes(b"by a later run"))
        colorizations.record(db, run_id, [replace(outcome, source_sha256=None)])
        progress = Counting()
        with Ledger() as ledger:
            assert verify(db, Wanted(), ledger, progress).findings == 0
        assert (progress.before, progress.now) == (3, 1)


def test_more_findings_than_events(tmp_path: Path) -> None:
    paths = outputs(tmp_path / "out", 1203, size=8)
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db:
        record(db, paths)
        for path in paths[:1200]:
            path.rename(path.with_suffix(".png"))
        with Ledger() as ledger:
            assert verify(db, Wanted(), ledger, SilentProgress()).findings == 2400
            assert len(list(ledger.rows())) == 2400
        with db.read() as session:
            found = session.scalars(
                sa.select(events.Event.message)
                .where(events.Event.type == events.FIXITY_FOUND)
                .order_by(events.Event.id)
            ).all()
            head = events.head(session)
        assert len(found) == 1001
        assert found[-1] == "1400 further findings"
        assert list(events.check(db, head)) == []


def test_of_films_all_references_and_copies_are_looked_at(tmp_path: Path) -> None:
    library = tmp_path / "references"
    library.mkdir()
    output = tmp_path / "out"
    output.mkdir()
    contents = {name: name.encode() for name in ("forest.jpg", "sea.jpg", "given.png")}
    for name, content in contents.items():
        (library / name).write_bytes(content)
    digests = {name: sha256_bytes(content) for name, content in contents.items()}
    for name in ("film.mkv", "film.mp4"):
        (output / name).write_bytes(name.encode())
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db:
        (film,) = add_items(db, "film.mov")
        add_references(db, "r.jpg")
        shots = tuple(
            shot(
                number,
                number * 10,
                number * 10 + 9,
                reference_path=path,
                reference_sha256=digests[Path(path).name],
            )
            for number, path in enumerate(
                [str(library / "forest.jpg"), str(library / "sea.jpg"), str(library / "given.png")], start=1
            )
        )
        lost = shot(4, 40, 49, reference_path="nobody knows where.png", reference_sha256="0" * 64)
        outcome = done(
            film,
            source_sha256=None,
            output_path="film.mkv",
            output_sha256=sha256_bytes(b"film.mkv"),
            reference_path=str(library / "forest.jpg"),
            reference_sha256=digests["forest.jpg"],
            shots=(*shots, lost),
            copies=(further_copy("film.mp4", output_sha256=sha256_bytes(b"film.mp4")),),
        )
        colorizations.record(db, start_run(db, output_root=str(output)), [outcome])
        with Ledger() as ledger:
            result = verify(db, Wanted(), ledger, SilentProgress())
            assert (result.files, result.findings) == (5, 0)
        (library / "sea.jpg").write_bytes(b"another sea")
        (library / "given.png").unlink()
        (output / "film.mp4").write_bytes(b"cut")
        with Ledger() as ledger:
            verify(db, Wanted(), ledger, SilentProgress())
            assert [(row["what"], row["finding"], Path(str(row["path"])).name) for row in ledger.rows()] == [
                ("output", "changed", "film.mp4"),
                ("reference", "missing", "given.png"),
                ("reference", "changed", "sea.jpg"),
            ]


def test_a_file_with_two_digests_on_record_is_hashed_once(tmp_path: Path) -> None:
    file = tmp_path / "r.jpg"
    file.write_bytes(b"the later picture")
    later, earlier = sha256_bytes(b"the later picture"), sha256_bytes(b"the earlier picture")
    with Ledger() as ledger:
        ledger.expect([ExpectedFile("reference", str(file), digest, id_) for id_, digest in ((1, earlier), (2, later))])
        ledger.expect([ExpectedFile("reference", str(file), later, 3)])
        (one,) = ledger.files()
        assert ledger.count_files() == 1
        assert [(found.finding, found.expected_sha256) for found in one.compare(hashing.look_at(one.path))] == [
            ("changed", earlier)
        ]


def test_ctrl_c_does_not_wait_for_the_files_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def slowly(path: str) -> Looked:
        looked_at.append(path)
        time.sleep(60 if path == "slow" else 0.01)
        return Looked(None, "missing")

    monkeypatch.setattr(hashing, "look_at", slowly)
    files = [FileToCheck("output", "slow" if number % 50 == 9 else str(number), ("0",), 1) for number in range(200)]
    answers = hashing.look_at_all(files)
    began = time.monotonic()
    assert next(answers) is not None
    answers.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 30
    assert len(looked_at) < 50


def test_an_error_of_the_program_is_not_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> Looked:
        raise ZeroDivisionError

    monkeypatch.setattr(hashing, "look_at", broken)
    with pytest.raises(ZeroDivisionError):
        list(hashing.look_at_all([FileToCheck("output", "a", ("0",), 1)]))


@pytest.mark.parametrize(
    ("name", "finding"), [("gone.tif", "missing"), ("file/inside.tif", "missing"), (r"no\path", "missing")]
)
def test_names_that_lead_nowhere(tmp_path: Path, name: str, finding: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert hashing.look_at(f"{tmp_path}/{name}") == Looked(None, finding)  # type: ignore[arg-type]
    assert hashing.look_at(f"{tmp_path}/{'x' * 400}").finding == "unreadable"


def test_on_postgresql(tmp_path: Path, postgresql: str, environment: dict[str, str], command: CommandLine) -> None:
    paths = outputs(tmp_path / "out", 30)
    with open_database(postgresql) as db:
        record(db, paths)
        cut_off_after(db, Wanted(), 10)
        progress = Counting()
        with Ledger() as ledger:
            assert verify(db, Wanted(), ledger, progress).findings == 0
        assert (progress.before, progress.now) == (10, 20)
        paths[7].write_bytes(b"changed")
        (tmp_path / "out" / "stray.tif").write_bytes(b"not ours")
    answer = command("verify", "--database", postgresql, "--output", tmp_path / "out", "--format", "csv")
    assert answer.returncode == 2, answer.stderr
    assert [line.split(",")[:3] for line in answer.stdout.splitlines()[1:]] == [
        ["output", "changed", str(paths[7])],
        ["output", "unknown", str(tmp_path / "out" / "stray.tif")],
    ]
    with psycopg.connect(postgresql, autocommit=True) as connection:
        (before,) = connection.execute("SELECT count(*) FROM event").fetchone() or ()
        connection.execute("DROP ROLE IF EXISTS auditor")
        connection.execute("CREATE ROLE auditor LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor")
        reader = sa.make_url(postgresql).set(username="auditor").render_as_string(hide_password=False)
        again = command("verify", "--database", reader, "--format", "csv")
        assert again.returncode == 2, again.stderr
        assert again.stdout == answer.stdout
        assert "the database may only be read" in again.stderr
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (before,)
        connection.execute("DROP OWNED BY auditor")
        connection.execute("DROP ROLE auditor")
