"""verify names every file and every record that is not what it was, and only those."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.fixity import Ledger, Wanted, open_to_verify, verify
from flows.output_lock import locked
from flows.progress import SilentProgress
from storage.database import colorizations, open_database, reviews, sqlite_url
from storage.database.read_only import open_read_only
from storage.database.records import ItemOutcome
from storage.fixity import atomic_write, sha256_file
from tests.flows.conftest import ROOT, CommandLine, picture

Found = set[tuple[str, str, str]]


class Made:
    """An archive that was colorized."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.archive, self.references, self.output = base / "archive", base / "references", base / "out"
        self.database = self.output / "provenance.db"

    def sql(self, *statements: str) -> None:
        """What somebody does to the database by hand."""
        with sqlite3.connect(self.database) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    def verified(self, **wanted: object) -> Found:
        """The findings: what, finding and path in the collection, or record."""
        with open_to_verify(None, self.output) as database, Ledger() as ledger:
            verify(database, Wanted(**wanted), ledger, SilentProgress())  # type: ignore[arg-type]
            rows = list(ledger.rows())
        return {(str(r["what"]), str(r["finding"]), str(r["path"]).removeprefix(f"{self.base}/")) for r in rows}

    def query(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.database) as connection:
            found = connection.execute(query).fetchall()
        connection.close()
        return found


def flip_byte(path: Path) -> None:
    """Change one byte in the middle, and neither size nor times."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, references: Path) -> tuple[Path, Path]:
    """A folder with a collection that was colorized, and another with what was in it."""
    base = tmp_path_factory.mktemp("collection")
    (base / "archive" / "album").mkdir(parents=True)
    picture("astronaut.png", 200).convert("L").save(base / "archive" / "album" / "portrait.jpg")
    picture("coffee.png", 200).convert("L").save(base / "archive" / "cup.png")
    picture("chelsea.png", 200).convert("L").save(base / "archive" / "cat.tif")
    shutil.copytree(references, base / "references")
    line = [sys.executable, "-m", "flows.cli", "run", base / "archive", "--references", base / "references"]
    line += ["--output", base / "out", "--size", "64", "--format", "tiff,png", "--no-prefect"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_COLORIZER_")}
    subprocess.run(line, check=True, env=environment | {"PYTHONPATH": str(ROOT)}, cwd=base, capture_output=True)
    saved = base.with_name(f"{base.name} saved")
    shutil.copytree(base, saved)
    return base, saved


@pytest.fixture
def made(pristine: tuple[Path, Path]) -> Iterator[Made]:
    base, saved = pristine
    yield Made(base)
    shutil.rmtree(base)
    shutil.copytree(saved, base)


def test_nothing_is_found_where_nobody_touched_anything(made: Made, command: CommandLine) -> None:
    answer = command("verify", "--output", made.output, "--format", "json")
    assert (answer.returncode, json.loads(answer.stdout)) == (0, []), answer.stderr
    assert "files and the record checked, 0 changed, missing or unknown" in answer.stderr
    ((number, sha256),) = made.query("SELECT id, sha256 FROM event ORDER BY id DESC LIMIT 1")
    assert f"the record's last event is {number}:{sha256}; note it down elsewhere" in answer.stderr
    again = command("verify", "--output", made.output, "--noted", f"{number}:{sha256}", "--run", 1)
    assert again.returncode == 0, again.stderr
    assert (
        made.query("SELECT type, outcome FROM event WHERE type LIKE 'fixity%' ORDER BY id")
        == [
            ("fixity_check_started", None),
            ("fixity_check_ended", "intact"),
        ]
        * 2
    )
    assert made.query("SELECT DISTINCT finding FROM audit_fixity") == [("intact",)]
    # three copies in two formats each, three masters, and their references
    (uses,) = made.query("SELECT count(DISTINCT reference_path) FROM audit_item")[0]
    assert made.query("SELECT count(*) FROM audit_fixity") == [(6 + 3 + int(str(uses)),)]


def test_files_that_changed_or_are_missing_or_unknown(made: Made, command: CommandLine) -> None:
    ((reference,),) = made.query("SELECT reference_path FROM audit_item WHERE path = 'cup.png'")
    picture("rocket.jpg", 100).save(made.references / str(reference))
    flip_byte(made.output / "cup.png.tif")
    flip_byte(made.output / "cup.png")  # the copy in the other format
    flip_byte(made.archive / "cat.tif")
    (made.output / "album" / "portrait.jpg.tif").unlink()
    (made.output / "album" / "another.tif").write_bytes(b"nobody knows")
    answer = command("verify", "--output", made.output, "--format", "json")
    assert answer.returncode == 2
    rows = json.loads(answer.stdout)
    assert {(row["what"], row["finding"], row["path"].removeprefix(f"{made.base}/")) for row in rows} == {
        ("output", "changed", "out/cup.png.tif"),
        ("output", "changed", "out/cup.png"),
        ("source", "changed", "archive/cat.tif"),
        ("reference", "changed", f"references/{reference}"),
        ("output", "missing", "out/album/portrait.jpg.tif"),
        ("output", "unknown", "out/album/another.tif"),
    }
    assert "6 changed, missing or unknown" in answer.stderr
    told = made.query("SELECT outcome, path, message FROM audit_event WHERE type = 'fixity_check_finding'")
    of_outputs = {(outcome, path) for outcome, path, message in told if not str(message).startswith("reference")}
    assert len(told) == len(rows)
    assert of_outputs == {
        ("changed", "cup.png"),
        ("changed", "cat.tif"),
        ("missing", "album/portrait.jpg"),
        ("unknown", None),
    }
    assert made.query("SELECT path, expected_sha256 FROM fixity WHERE finding = 'unknown'") == [
        (f"{made.output}/album/another.tif", None)
    ]


PORTRAIT = "colorization {} of album/portrait.jpg"


@pytest.mark.parametrize(
    ("edits", "name"),
    [
        (["UPDATE colorization SET confidence = 0.99 WHERE id = {}"], PORTRAIT),
        (["UPDATE match SET score = 0.99 WHERE item_id = (SELECT item_id FROM colorization WHERE id = {})"], PORTRAIT),
        (["UPDATE copy SET output_bytes = 1 WHERE colorization_id = {}"], PORTRAIT),
        (["UPDATE review SET decision = 'rejected'"], "review 1 of album/portrait.jpg"),
        (["UPDATE run SET weights_sha256 = 'w'"], "run 1"),
        (
            ["UPDATE colorization SET superseded_at = created_at WHERE id = {}"],
            f"{PORTRAIT}, superseded though nothing took its place",
        ),
        (["DROP TRIGGER event_no_update", "UPDATE event SET message = 'x' WHERE id = 2"], "event 2 (recorded)"),
    ],
)
def test_a_record_edited_by_hand(made: Made, edits: list[str], name: str) -> None:
    ((id_,),) = made.query("SELECT id FROM colorization WHERE item_id = (SELECT id FROM item WHERE path LIKE 'album%')")
    with open_database(sqlite_url(made.database)) as database:
        reviews.decide(database, int(str(id_)), "approved", reviewer="reviewer 1")
    made.sql(*(edit.format(id_) for edit in edits))
    expected = {("record", "changed", name.format(id_))}
    assert made.verified() == expected
    assert made.verified(files=False) == expected
    assert made.verified(record=False) == set()
    outcome = "SELECT outcome FROM event WHERE type = 'fixity_check_ended' ORDER BY id"
    assert made.query(outcome) == [("findings",), ("findings",), ("intact",)]


def test_a_file_changed_together_with_its_record(made: Made) -> None:
    flip_byte(made.output / "cup.png.tif")
    made.sql(
        f"UPDATE colorization SET output_sha256 = '{sha256_file(made.output / 'cup.png.tif')}'"
        " WHERE output_path = 'cup.png.tif'"
    )
    ((id_,),) = made.query("SELECT id FROM colorization WHERE output_path = 'cup.png.tif'")
    assert made.verified() == {("record", "changed", f"colorization {id_} of cup.png")}


def test_a_colorization_taken_out_with_all_that_hangs_on_it(made: Made) -> None:
    ((id_, item_id),) = made.query("SELECT id, item_id FROM colorization WHERE output_path = 'cup.png.tif'")
    made.sql(
        *(f"DELETE FROM {table} WHERE colorization_id = {id_}" for table in ("stage_timing", "copy")),
        f"DELETE FROM match WHERE item_id = {item_id}",
        f"DELETE FROM colorization WHERE id = {id_}",
    )
    assert made.verified() == {
        ("record", "missing", f"colorization {id_}"),
        ("output", "unknown", "out/cup.png.tif"),
        ("output", "unknown", "out/cup.png"),
    }


def test_the_digest_of_a_reference_edited_together_with_its_file(made: Made) -> None:
    ((id_, path, used),) = made.query(
        "SELECT r.id, r.path, min(c.id) FROM reference r JOIN colorization c ON c.reference_id = r.id"
        " WHERE c.output_path = 'cup.png.tif'"
    )
    made.sql(f"UPDATE reference SET sha256 = 'f' WHERE id = {id_}")
    ((first,),) = made.query(f"SELECT min(id) FROM colorization WHERE reference_id = {id_}")
    assert used is not None
    assert made.verified() == {("record", "changed", f"reference {id_}, {path}, as used for colorization {first}")}


def test_events_cut_off_show_only_against_an_end_that_was_noted(made: Made, command: CommandLine) -> None:
    with open_database(sqlite_url(made.database)) as database:
        reviews.decide(database, 1, "rejected", reviewer="reviewer 1")
    ((number, sha256),) = made.query("SELECT id, sha256 FROM event ORDER BY id DESC LIMIT 1")
    made.sql("DROP TRIGGER event_no_delete", f"DELETE FROM event WHERE id = {number}", "DELETE FROM review")
    noted = f"{number}:{sha256}"
    answer = command("verify", "--record-only", "--output", made.output, "--noted", noted, "--format", "csv")
    assert answer.returncode == 2
    # the event of this verification's own start has the number now
    assert answer.stdout.splitlines()[1:] == [f'record,changed,"event {number}, which was noted with another hash",,']
    assert made.verified() == set()
    wrong = command("verify", "--output", made.output, "--noted", "12")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)


def test_what_this_program_keeps_in_the_output_folder_is_not_unknown(made: Made) -> None:
    (made.output / "stray.txt").write_text("not ours")
    (made.output / "album" / "reel").mkdir()
    (made.output / "album" / "reel" / "x.tif").write_text("not ours")
    (made.output / ".album.0123456789abcdef.archive-colorizer-partial").write_text("left by a killed run")
    shutil.copy(made.database, made.output / "provenance.before-0005.db")
    (made.output / "gallery" / "kept.jpg").write_text("part of a gallery")
    held = sqlite3.connect(made.database)  # -wal and -shm lie beside it
    held.execute("SELECT count(*) FROM event").fetchall()
    writer = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(path=str(made.output / "album" / "now.tif"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert made.verified() == {
            ("output", "unknown", "out/stray.txt"),
            ("output", "unknown", "out/album/reel/x.tif"),
            ("output", "unknown", "out/.album.0123456789abcdef.archive-colorizer-partial"),
        }
        assert made.verified(run_id=1) == set()
    finally:
        writer.communicate(b"\n")
        held.close()


HOLD = """
from pathlib import Path
from storage.fixity import atomic_write, sha256_file
try:
    with atomic_write(Path({path!r})):
        print("open", flush=True)
        input()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
"""


def test_a_link_to_a_folder_of_copies(made: Made) -> None:
    (made.output / "album").rename(made.output / "box")
    (made.output / "album").symlink_to("box")
    assert made.verified() == set()
    (made.output / "box" / "other.tif").write_text("not ours")
    assert made.verified() == {("output", "unknown", "out/box/other.tif")}


def test_while_a_run_is_at_work_no_file_is_called_unknown(made: Made) -> None:
    made.sql(
        "INSERT INTO run SELECT 99, NULL, started_at, NULL, NULL, 'running', archive, output_root, references_root, 0,"
        " 0, 0, 0, code_version, weights_sha256, index_version, device, precision, hostname, pid, library_versions,"
        " parameters, NULL FROM run WHERE id = 1"
    )
    with atomic_write(made.output / "next.tif") as partial:
        partial.write_bytes(b"written, and not recorded yet")
    with locked(made.output):
        assert made.verified() == set()
    assert made.verified() == {("output", "unknown", "out/next.tif")}  # that run died


def test_a_replaced_result_that_was_kept_is_looked_at(made: Made) -> None:
    ((id_, item_id),) = made.query("SELECT id, item_id FROM colorization WHERE output_path = 'cup.png.tif'")
    kept = ".archive-colorizer/superseded/cup.png.tif"
    (made.output / kept).parent.mkdir(parents=True)
    (made.output / "cup.png.tif").rename(made.output / kept)
    (made.output / "cup.png").unlink()
    made.sql(
        "INSERT INTO run SELECT 2, NULL, started_at, NULL, NULL, 'running', archive, output_root, references_root, 0,"
        " 0, 0, 0, code_version, weights_sha256, index_version, device, precision, hostname, pid, library_versions,"
        " parameters, NULL FROM run WHERE id = 1"
    )
    with open_database(sqlite_url(made.database)) as database:
        (before,) = colorizations.get(database, [int(str(id_))])
        other = made.output / "cup.png.tif"
        other.write_bytes(b"made again")
        outcome = ItemOutcome(
            item_id=int(str(item_id)),
            state="done",
            source_sha256=before.source_sha256,
            output_path="cup.png.tif",
            output_sha256=sha256_file(other),
        )
        colorizations.record(database, 2, [outcome])
        colorizations.keep(database, before.id, kept)
    assert made.verified() == set()
    flip_byte(made.output / kept)
    assert made.verified() == {("output", "changed", f"out/{kept}")}
    assert made.verified(run_id=2) == set()


def test_a_pipe_or_a_folder_in_the_place_of_a_file_ends(made: Made) -> None:
    for name in ("cup.png.tif", "cat.tif"):
        (made.output / name).unlink()
    os.mkfifo(made.output / "cup.png.tif")
    (made.output / "cat.tif").mkdir()
    assert made.verified(record=False) == {
        ("output", "changed", "out/cup.png.tif"),
        ("output", "changed", "out/cat.tif"),
    }


def test_a_database_that_may_only_be_read(made: Made) -> None:
    flip_byte(made.output / "cat.tif")
    before = made.database.read_bytes()
    said: list[str] = []

    class Listening(SilentProgress):
        def say(self, line: str) -> None:
            said.append(line)

    with open_read_only(made.database) as database, Ledger() as ledger:
        result = verify(database, Wanted(), ledger, Listening())
        assert [row["path"] for row in ledger.rows()] == [str(made.output / "cat.tif")]
    assert result.findings == 1
    assert result.head is not None
    assert "note: the database may only be read, so what is found is not recorded in it" in said
    assert made.database.read_bytes() == before


def test_somebody_elses_database_is_only_read(made: Made, environment: dict[str, str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        Path(folder).chmod(0o755)
        copied = Path(shutil.copy(made.database, folder))
        copied.chmod(0o644)
        answer = subprocess.run(
            [sys.executable, "-m", "flows.cli", "verify", "--record-only", "--database", f"sqlite:///{copied}"],
            user=65534,
            group=65534,
            env=environment | {"HOME": folder},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(Path(folder).iterdir()) == [copied]
    if "Permission denied" in answer.stderr and "provenance" not in answer.stderr:
        pytest.skip("this program is closed to others")
    assert answer.returncode == 0, answer.stderr
    assert "the database may only be read" in answer.stderr


def test_wrong_usage_is_one_line(made: Made, command: CommandLine) -> None:
    url = sqlite_url(made.database)
    for arguments, words in (
        (["--run", 7], "there is no run 7"),
        (["--files-only", "--record-only"], "leave nothing to do"),
        (["--database", url, "--output", made.base], "no records of the output folder"),
    ):
        answer = command("verify", *arguments, *([] if "--database" in arguments else ["--output", made.output]))
        assert answer.returncode == 1
        assert words in answer.stderr
        assert answer.stderr.count("\n") == 1
    assert command("verify", "--database", url, "--output", made.output).returncode == 0
