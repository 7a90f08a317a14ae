"""Copies go into the output folder only, and never over a file that this program did not make."""

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from flows.destination import Destination, carries_our_mark
from flows.errors import UsageError
from flows.failures import ItemFailure
from flows.pair import PairSettings, colorize_pair
from flows.progress import SilentProgress
from flows.run_record import SOFTWARE
from flows.running import run_archive
from flows.settings import run_settings
from flows.summary import RunSummary
from storage.images import DerivativeProvenance, read_master, write_derivative
from tests.flows.conftest import tree_digests


def run(archive: Path, references: Path, output: Path, **more: object) -> RunSummary:
    given = {"archive": archive, "references": references, "output": output, "size": 64, "device": "cpu", **more}
    return run_archive(run_settings(given), SilentProgress())


@pytest.mark.parametrize("form", ["tiff", "png", "jp2"])
def test_our_copies_are_known_by_their_mark(archive: Path, tmp_path: Path, form: str) -> None:
    master = read_master(archive / "cup.png")
    rgb = np.repeat(master.pixels[..., None], 3, axis=2)
    provenance = DerivativeProvenance(
        software=SOFTWARE, version="1", ai_system="a", ai_system_version="b", when=datetime.now(UTC), parameters={}
    )
    write_derivative(tmp_path / "copy", rgb, master, provenance, format=form)  # type: ignore[arg-type]
    assert carries_our_mark(tmp_path / "copy")
    (tmp_path / "empty").touch()
    for other in (archive / "cup.png", archive / "cat.tif", tmp_path / "empty", tmp_path / "gone", tmp_path):
        assert not carries_our_mark(other)


def test_a_run_into_a_backup_of_the_archive_leaves_the_backup_alone(
    archive: Path, references: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(archive, backup)
    before = tree_digests(backup)
    summary = run(archive, references, backup)
    assert {path: content for path, content in tree_digests(backup).items() if path in before} == before
    assert [failure.path for failure in summary.failures] == ["cat.tif"]
    assert "move it away" in summary.failures[0].message
    with sqlite3.connect(backup / "provenance.db") as database:
        assert database.execute("SELECT path, error_type FROM audit_failure WHERE stage = 'write'").fetchall() == [
            ("cat.tif", "in_the_way")
        ]
    (backup / "cat.tif").unlink()
    (backup / "cup.png.tif").write_bytes(b"edited since")  # on record here, so it is ours
    again = run(archive, references, backup)
    assert (again.done, again.failures) == (2, ())


def test_a_recorded_copy_is_ours_without_its_mark(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "a.tif").write_bytes(b"edited")
    ours = Destination(tmp_path / "archive", tmp_path / "output", lambda path: path == "a.tif")
    assert ours.place("a.tif", "a.tif") == tmp_path / "output" / "a.tif"
    foreign = Destination(tmp_path / "archive", tmp_path / "output", lambda path: False)
    with pytest.raises(ItemFailure, match="not a copy made here"):
        foreign.place("a.tif", "a.tif")


def test_copies_of_a_killed_run_are_made_again(archive: Path, references: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    assert run(archive, references, output).done == 3
    (output / "provenance.db").unlink()
    again = run(archive, references, output)
    assert (again.done, again.failures) == (3, ())


def test_colorize_overwrites_only_its_own(archive: Path, references: Path, tmp_path: Path) -> None:
    output = tmp_path / "copy.tif"
    output.write_text("a will\n")
    settings = PairSettings(
        target=archive / "cup.png", reference=references / "coffee.jpg", output=output, size=64, device="cpu"
    )
    with pytest.raises(UsageError, match="not made by this program"):
        colorize_pair(settings)
    assert output.read_text() == "a will\n"
    output.unlink()
    colorize_pair(settings)
    assert colorize_pair(settings).path == output


@pytest.mark.parametrize("target", ["archive/album", "elsewhere"])
def test_a_link_in_the_output_leads_nowhere_else(archive: Path, references: Path, tmp_path: Path, target: str) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (output / "album").symlink_to(tmp_path / target)
    before = tree_digests(archive)
    summary = run(archive, references, output)
    assert tree_digests(archive) == before
    assert not list((tmp_path / "elsewhere").iterdir())
    assert [failure.path for failure in summary.failures] == ["album/portrait.jpg"]
    assert "remove the link" in summary.failures[0].message


def test_the_gallery_is_not_written_into_the_archive(archive: Path, references: Path, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "gallery").symlink_to(archive)
    before = tree_digests(archive)
    with pytest.raises(UsageError, match="remove the link"):
        run(archive, references, tmp_path / "output")
    assert tree_digests(archive) == before
