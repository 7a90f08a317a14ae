"""`audit` lists what the database has on record."""

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import pytest

from flows.cli.entry import run_command
from storage.database import audit, colorizations, items, open_database, runs
from storage.database.records import ItemOutcome, ItemRecord, ShotRecord
from tests.flows.test_cli import RECORD


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
