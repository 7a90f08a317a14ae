"""`audit` lists what the database has on record."""

import csv
import io
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flows.cli.entry import run_command
from storage.database import audit, colorizations, items, open_database, runs
from storage.database.records import ItemOutcome, ItemRecord, ShotRecord
from storage.paths import path_to_text
from tests.flows.test_cli import RECORD
from tests.storage.database import audited
from tests.storage.database.samples import OUTPUT

COMMANDS = {
    "runs": "audit_run",
    "items": "audit_item",
    "outputs": "audit_output",
    "shots": "audit_shot",
    "failures": "audit_failure",
    "references": "audit_reference",
    "runtimes": "audit_runtime",
    "stages": "audit_stage",
    "reviews": "audit_review",
    "events": "audit_event",
    "fixity": "audit_fixity",
}
OPTIONS = {
    "--run": "run_id",
    "--state": "state",
    "--since": "since",
    "--until": "until",
    "--reference": "reference",
    "--below": "below",
    "--reviewed": "reviewed",
    "--unreviewed": "reviewed",
    "--path": "path",
    "--current": "current",
}
"""By option: the field of `AuditFilter` that it sets."""


@pytest.fixture
def two_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the record of two runs, each of a film: of two shots, and of one."""
    monkeypatch.chdir(tmp_path)
    with open_database("sqlite:///provenance.db") as database:
        for name, cuts in (("forest.mkv", (0, 30, 50)), ("sea.mkv", (0, 20))):
            film = ItemRecord(archive=RECORD.archive, path=name, kind="film", size_bytes=1, mtime_ns=1, frames=cuts[-1])
            (id_,) = items.upsert(database, [film]).values()
            shots = tuple(
                ShotRecord(
                    number=number,
                    first_frame=first,
                    last_frame=end - 1,
                    frames=end - first,
                    reference_path="meadow.jpg",
                    flicker=0.25,
                )
                for number, (first, end) in enumerate(pairwise(cuts), start=1)
            )
            outcome = ItemOutcome(item_id=id_, state="done", output_path=name, output_sha256="0" * 64, shots=shots)
            colorizations.record(database, runs.start(database, RECORD), [outcome])


@pytest.mark.usefixtures("two_films")
def test_shots(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["audit", "shots", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["run_id"], row["path"], row["shot"], row["first_frame"], row["last_frame"]) for row in rows] == [
        (2, "sea.mkv", 1, 0, 19),
        (1, "forest.mkv", 1, 0, 29),
        (1, "forest.mkv", 2, 30, 49),
    ]
    assert list(rows[0]) == audit.columns("audit_shot")
    assert (rows[0]["reference_path"], rows[0]["flicker"], rows[0]["seconds"]) == ("meadow.jpg", 0.25, None)

    assert run_command(["audit", "shots", "--run", "1", "--format", "csv"]) == 0
    listed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["run_id"], row["shot"], row["frames"]) for row in listed] == [("1", "1", "30"), ("1", "2", "20")]

    assert run_command(["audit", "shots", "--run", "3"]) == 0
    assert capsys.readouterr().out.strip() == "nothing to list"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the records of `audited`."""
    monkeypatch.chdir(tmp_path)
    with open_database("sqlite:///provenance.db") as database:
        audited.fill(database)
    return tmp_path


def _rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert run_command(["audit", *arguments, "--format", "json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("command", COMMANDS)
def test_each_view_in_each_format(capsys: pytest.CaptureFixture[str], command: str) -> None:
    view = COMMANDS[command]
    assert {*COMMANDS.values()} == {*audit.VIEWS}
    rows = _rows(capsys, command)
    with open_database("sqlite:///provenance.db") as database:
        expected = len(audit.rows(database, view))
    assert len(rows) == expected > 0
    assert [*rows[0]] == audit.columns(view)
    assert run_command(["audit", command, "--format", "csv"]) == 0
    assert len([*csv.DictReader(io.StringIO(capsys.readouterr().out))]) == expected
    assert run_command(["audit", command, "--limit", "1"]) == 0
    header, row = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]
    assert header == audit.columns(view)
    assert row


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_the_options_that_its_view_takes(command: str) -> None:
    from typer.main import get_command

    from flows.cli.audit import app

    found = get_command(app).commands[command]  # type: ignore[attr-defined]
    names = {name for option in found.params for name in (*option.opts, *option.secondary_opts)}
    taken = {option for option, field in OPTIONS.items() if field in audit.filters(COMMANDS[command])}
    assert names & {*OPTIONS} == taken
    assert names >= {"--limit", "--format", "--output", "--database"}


@pytest.mark.usefixtures("records")
def test_filters(capsys: pytest.CaptureFixture[str]) -> None:
    def paths(*arguments: str) -> list[str]:
        return [row["path"] for row in _rows(capsys, *arguments)]

    assert paths("items", "--state", "failed") == ["album.pdf", "plates/dark.tif"]
    assert paths("items", "--reference", audited.MEADOW[:8]) == ["films/reel.mkv", "plates/mill.tif"]
    assert paths("items", "--reference", "given.jpg") == ["plates/gate.tif"]
    assert paths("outputs", "--unreviewed", "--below", "0.5", "--current") == ["plates/gate.tif"]
    assert paths("outputs", "--reviewed", "--current") == ["album.pdf", "plates/quay.tif"]
    assert paths("items", "--path", "plates", "--run", "2", "--limit", "2") == ["plates/gate.tif", "plates/mill.tif"]
    assert paths("stages", "--path", "*quay*", "--limit", "1") == ["plates/quay.tif"]
    assert paths("references", "--below", "0.5") == ["meadow.jpg"]
    assert paths("reviews", "--decision", "rejected") == ["album.pdf"] == paths("reviews", "--state", "rejected")
    assert paths("fixity", "--finding", "missing") == [f"{OUTPUT}/album.pdf"]
    assert [row["type"] for row in _rows(capsys, "events", "--type", "reviewed", "--path", "plates")] == [
        "reviewed"
    ] * 2


@pytest.mark.usefixtures("records")
def test_days_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    def reviews(*arguments: str) -> list[str]:
        return [row["at"] for row in _rows(capsys, "reviews", *arguments)]

    nine, ten, later = (f"2026-03-0{day}T{hour}:00:00+00:00" for day, hour in ((1, "09"), (1, "10"), (3, "12")))
    assert reviews("--since", "2026-03-01", "--until", "2026-03-01") == [ten, nine]
    assert reviews("--until", "2026-03-03") == [later, ten, nine]
    assert reviews("--since", "2026-03-02") == [later]
    assert reviews("--since", "2026-03-01T10:00") == [later, ten]
    assert reviews("--until", "2026-03-01T10:00Z") == [nine]
    assert reviews("--since", "2026-03-01T10:30+01:00", "--until", "2026-03-02") == [ten]
    assert reviews("--until", "2026-03-01T11:00:00+02:00") == []


@pytest.mark.usefixtures("records")
def test_names_that_are_no_clean_text(capsys: pytest.CaptureFixture[str]) -> None:
    with open_database("sqlite:///provenance.db") as database:
        text = path_to_text(os.fsdecode(b"caf\xe9.tif"))
        found = ItemRecord(archive=RECORD.archive, path=text, kind="photograph", size_bytes=1, mtime_ns=1)
        (id_,) = items.upsert(database, [found]).values()
        outcome = ItemOutcome(item_id=id_, state="skipped")
        colorizations.record(database, runs.start(database, RECORD), [outcome])
    for given in (os.fsdecode(b"caf\xe9.tif"), text, "caf*.tif"):
        assert [row["path"] for row in _rows(capsys, "items", "--path", given)] == [text]
    assert _rows(capsys, "events", "--type", os.fsdecode(b"\xe9")) == []


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["items", "--state", "finished"], "'finished' is none of done, failed, skipped"),
        (["runs", "--state", "done"], "'done' is none of running, completed"),
        (["fixity", "--finding", "lost"], "'lost' is none of intact, changed"),
        (["items", "--below", "40"], "a confidence is from 0 to 1, not 40"),
        (["items", "--since", "yesterday"], "'yesterday' is no day or time; write 2026-03-01"),
        (["items", "--until", "2026-13-01"], "'2026-13-01' is no day or time"),
        (["items", "--since", "0001-01-01T00:00+14:00"], "is no day or time"),
        (["items", "--until", "9999-12-31"], "after 9999-12-31 there is no other day"),
        (["items", "--since", "2026-03-02", "--until", "2026-03-01"], "nothing can be between them"),
        (["items", "--reference", "nowhere.jpg"], "no reference 'nowhere.jpg' is on record"),
        (["items", "--limit", "0"], "0 rows cannot be asked for"),
        (["items", "--limit", f"{2**63}"], "rows cannot be asked for"),
        (["items", "--run", f"{2**63}"], "there is no run 9223372036854775808"),
        (["items", "--reference", "9" * 5000], "is on record: give its path"),
        (["items", "--path", ""], "the path to look for is empty"),
        (["items", "--path", "[z-a]"], "a range runs backwards"),
    ],
)
def test_wrong_values(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    for form in ("table", "csv", "json"):
        assert run_command(["audit", *arguments, "--format", form]) == 1
        told = capsys.readouterr()
        assert said in told.err
        assert len(told.err.splitlines()) == 1
        assert told.out == ""


def test_rows_come_before_all_of_them_are_read(records: Path) -> None:
    """Who reads only the first lines does not wait for the others."""
    with open_database("sqlite:///provenance.db") as database:
        archive = [
            ItemRecord(archive=RECORD.archive, path=f"{n:06}.tif", kind="photograph", size_bytes=1, mtime_ns=1)
            for n in range(30_000)
        ]
        ids = items.upsert(database, archive)
        outcomes = [
            ItemOutcome(item_id=id_, state="done", output_path=path, output_sha256="0" * 64)
            for (path, _), id_ in ids.items()
        ]
        colorizations.record(database, runs.start(database, RECORD), outcomes)
    command = [sys.executable, "-m", "flows.cli", "audit", "items", "--format", "csv"]
    with subprocess.Popen(
        command, cwd=records, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141
    assert [line.split(",")[1] for line in lines] == ["path", "000000.tif", "000001.tif"]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_COLORIZER_")} | {
        "PYTHONPATH": str(Path(__file__).parents[2])
    }
