"""The reference library on the command line, and a run that takes its vectors over."""

import csv
import io
import json
import shutil
import sqlite3
from pathlib import Path

from tests.flows.conftest import CommandLine, picture


def test_library_from_add_to_run(tmp_path: Path, archive: Path, references: Path, command: CommandLine) -> None:
    library = tmp_path / "library"
    added = command("references", "add", references, "--library", library)
    assert added.returncode == 2  # one of them is broken, and named
    assert "broken.jpg" in added.stderr
    assert added.stdout == "3 added, 0 unchanged, 1 left out\n"
    again = command("references", "add", references, "--library", library)
    assert again.stdout == "0 added, 3 unchanged, 1 left out\n"

    listed = json.loads(command("references", "list", "--library", library, "--format", "json").stdout)
    assert {Path(row["path"]).name for row in listed} == {"coffee.jpg", "chelsea.jpg", "rocket.jpg"}
    search = ["references", "search", archive / "cup.png", "--library", library, "-k", 2, "--format", "csv"]
    found = list(csv.DictReader(io.StringIO(command(*search).stdout)))
    assert [row["rank"] for row in found] == ["1", "2"]
    assert Path(found[0]["path"]).name == "coffee.jpg"

    checked = json.loads(command("references", "check", "--library", library, "--format", "json").stdout)
    figures = {row["figure"]: row["value"] for row in checked}
    assert (figures["references in use"], figures["index"]) == (3, "flat")
    assert figures["the database's own references"] == "yes"
    assert figures["recall of the ten nearest"] == 1

    rocket = next(row["id"] for row in listed if "rocket" in row["path"])
    assert command("references", "remove", rocket, "--library", library).returncode == 0
    assert command("references", "remove", 99, "--library", library).returncode == 1
    assert command("references", "rebuild", "--library", library).returncode == 0

    output = tmp_path / "out"
    ran = command("run", archive, "--references", library, "--output", output, "--size", 64, "--no-prefect")
    assert ran.returncode == 0, ran.stderr
    with sqlite3.connect(output / "provenance.db") as database:
        used = database.execute("SELECT path FROM audit_reference").fetchall()
    assert {Path(path).name for (path,) in used} == {"coffee.jpg", "chelsea.jpg"}
    assert command("verify", "--output", output).returncode == 0


def test_near_duplicates_are_listed_with_the_oldest(tmp_path: Path, references: Path, command: CommandLine) -> None:
    pictures, library = tmp_path / "pictures", tmp_path / "library"
    pictures.mkdir()
    shutil.copy(references / "coffee.jpg", pictures / "a.jpg")
    picture("coffee.png", 320).save(pictures / "b.jpg", quality=50)
    picture("rocket.jpg", 320).save(pictures / "c.jpg")
    assert command("references", "add", pictures, "--library", library).returncode == 0
    listed = json.loads(command("references", "list", "--library", library, "--format", "json").stdout)
    a, b, c = sorted(listed, key=lambda row: row["path"])
    assert (a["near_duplicate_of"], b["near_duplicate_of"], c["near_duplicate_of"]) == (None, a["id"], None)
    search = ["references", "search", pictures / "b.jpg", "--library", library, "--format", "json"]
    found = [Path(row["path"]).name for row in json.loads(command(*search).stdout)]
    assert found == ["b.jpg", "c.jpg"]
