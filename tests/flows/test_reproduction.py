"""Reproduce: what is on record is enough to make the same bytes once more."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from storage.fixity import sha256_file
from tests.flows.conftest import CommandLine
from tests.flows.documents import leaves, write_pdf, write_tiff
from tests.flows.film.films import FOREST, SEA, encode, pan


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive of every kind of item, and its copies in `out`."""
    root = tmp_path_factory.mktemp("reproduction")
    archive, references = root / "archive", root / "references"
    (archive / "album").mkdir(parents=True)
    references.mkdir()
    for name in (FOREST, SEA):
        shutil.copy(name, references)
    page = leaves()[0]
    Image.fromarray(page).save(archive / "foto.jpg", quality=90)
    Image.fromarray(page.astype(np.uint16) * 257).save(archive / "album" / "tief & weiß.tif")
    write_tiff(archive / "akte.tif", leaves())
    write_pdf(archive / "akte.pdf", leaves())
    encode([*pan(FOREST, 6), *pan(SEA, 6)], archive / "film.mkv")
    given = {"archive": archive, "references": references, "output": root / "out", "size": 64, "device": "cpu"}
    summary = run_archive(
        run_settings(
            {**given, "format": "tiff,jp2,png", "access": "jpeg:100", "film_format": "ffv1,h264", "colorize_all": True}
        ),
        SilentProgress(),
    )
    assert not summary.failures
    assert summary.done == 9
    return root


@pytest.fixture
def root(made: Path) -> Path:
    return made


def events(root: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(root / "out" / "provenance.db") as database:
        return database.execute("SELECT outcome, message FROM event WHERE type = 'reproduced' ORDER BY id").fetchall()


def test_every_kind_of_item_gives_the_same_bytes(root: Path, command: CommandLine, tmp_path: Path) -> None:
    with sqlite3.connect(root / "out" / "provenance.db") as database:
        recorded = dict(database.execute("SELECT output_path, output_sha256 FROM audit_output").fetchall())
    items = ["foto.jpg", "album/tief & weiß.tif", "akte.tif", "akte.pdf", "film.mkv"]
    before = len(events(root))
    kept = tmp_path / "kept"
    ran = command("reproduce", *items, "--output", root / "out", "--format", "json", "--keep", kept)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert {row["finding"] for row in found} == {"identical"}
    assert {row["output_path"]: row["reproduced_sha256"] for row in found} == recorded
    assert len(recorded) == 2 * 4 + (1 + 3) * 2 + 2
    assert all(sha256_file(kept / path) == digest for path, digest in recorded.items())
    assert [outcome for outcome, _ in events(root)[before:]] == ["identical"] * len(recorded)


def test_the_bytes_do_not_hang_on_the_number_of_threads(
    archive: Path, references: Path, tmp_path: Path, command: CommandLine
) -> None:
    output = tmp_path / "out"
    arguments = ["--references", references, "--output", output, "--size", 256, "--device", "cpu", "--no-prefect"]
    ran = command("run", archive, *arguments, OMP_NUM_THREADS="1")
    assert ran.returncode == 0, ran.stderr
    with sqlite3.connect(output / "provenance.db") as database:
        ((parameters,),) = database.execute("SELECT parameters FROM run").fetchall()
    assert json.loads(parameters)["threads"] == 1
    for count in "23":
        again = command("reproduce", "--sample", 3, "--output", output, "--format", "json", OMP_NUM_THREADS=count)
        assert again.returncode == 0, again.stdout
        assert {row["finding"] for row in json.loads(again.stdout)} == {"identical"}


def test_a_sample_is_taken_of_all_items(root: Path, command: CommandLine) -> None:
    ran = command("reproduce", "--sample", 2, "--output", root / "out", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    assert len({row["path"] for row in json.loads(ran.stdout)}) == 2


def test_what_differs_or_cannot_be_made_is_said(made: Path, command: CommandLine, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    with sqlite3.connect(root / "out" / "provenance.db") as database:
        roots = [("item", "archive"), ("run", "archive"), ("run", "references_root"), ("run", "output_root")]
        for table, column in [*roots, ("colorization", "output_root"), ("reference", "library")]:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(made), str(root)))
        database.execute("UPDATE colorization SET output_sha256 = ? WHERE output_path = 'foto.jpg.tif'", ("0" * 64,))
        database.execute("""UPDATE run SET code_version = '0.0.1'""")
        number = database.execute("SELECT id FROM item WHERE path = 'foto.jpg'").fetchone()[0]
    (root / "archive" / "akte.tif").write_bytes(b"not as it was")
    ran = command("reproduce", number, "akte.tif", "--output", root / "out", "--format", "json")
    assert ran.returncode == 2
    found = {row["output_path"]: row for row in json.loads(ran.stdout)}
    assert found["foto.jpg.tif"]["finding"] == "different"
    assert "archive-colorizer 0.0.1, now" in found["foto.jpg.tif"]["message"]
    assert found["foto.jpg.jp2"]["finding"] == "identical"
    assert found["akte.tif"]["finding"] == "failed"
    assert "is not the file any more that the record names" in found["akte.tif"]["message"]


def test_wrong_use_is_told(root: Path, command: CommandLine) -> None:
    nothing = command("reproduce", "--output", root / "out")
    assert (nothing.returncode, "--sample" in nothing.stderr) == (1, True)
    unknown = command("reproduce", "nicht da.jpg", "--output", root / "out")
    assert (unknown.returncode, "there is no item nicht da.jpg" in unknown.stderr) == (1, True)
