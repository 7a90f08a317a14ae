"""The archive run as a user sees it: what becomes of good and bad files, and that a second run changes nothing."""

import re
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.dry_run import dry_run
from flows.engine import Engine
from flows.errors import UsageError
from flows.film.given import GivenReferences
from flows.filters import reference_filter
from flows.planning import Request
from flows.progress import SilentProgress
from flows.requests import requests_of
from flows.running import execute, open_run, run_archive
from flows.settings import run_settings
from sscn import Colorizer
from sscn.colour import luminance
from storage.database import DatabaseError, audit, colorizations, runs
from storage.database.records import ItemRecord, Kind
from storage.fixity import PARTIAL_SUFFIX
from storage.images import read_master
from tests.flows.awkward import BAD, GOOD, make_awkward_archive
from tests.flows.conftest import CommandLine, picture, tree_digests

TIMESTAMP = re.compile(rb"\d{4}[-:]\d\d[-:]\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?")


def rows(output: Path, query: str) -> list[tuple[object, ...]]:
    """What an auditor's plain SQL answers."""
    with sqlite3.connect(output / "provenance.db") as database:
        return database.execute(query).fetchall()


def copies(output: Path) -> dict[str, bytes]:
    """Content of the colorized copies, without database and gallery."""
    return {
        path: content
        for path, content in tree_digests(output).items()
        if not path.startswith(("gallery/", "provenance.db", ".archive-colorizer/"))
    }


def test_awkward_archive(tmp_path: Path, references: Path, command: CommandLine) -> None:
    archive = make_awkward_archive(tmp_path / "archive")
    output = tmp_path / "output"
    before = tree_digests(archive)

    arguments = [
        "run",
        archive,
        "--references",
        references,
        "--output",
        output,
        "--size",
        128,
        "--no-prefect",
    ]
    answer = command(*arguments)
    assert answer.returncode == 2, answer.stderr
    assert tree_digests(archive) == before

    done = dict(rows(output, "SELECT path, output_path FROM audit_item WHERE state = 'done'"))
    assert set(done) == set(GOOD)
    for path, (depth, width, height) in GOOD.items():
        copy, master = read_master(output / str(done[path])), read_master(archive / path)
        assert (copy.bit_depth, copy.facts.width, copy.facts.height) == (depth, width, height)
        assert copy.pixels.shape == (height, width, 3)
        difference = np.abs(luminance(copy.pixels) - luminance(master.pixels)).max()
        assert difference <= (0.5 if depth == 8 else 0.05), path
    assert set(copies(output)) == set(done.values())

    failures = rows(output, "SELECT path, error_type, message FROM audit_failure WHERE stage <> 'reference'")
    assert sorted((path, kind) for path, kind, _ in failures) == sorted(BAD.items())
    for path, _, message in failures:
        assert str(path) in str(message)
        assert not re.search(r"Error|Exception|Traceback|\n", str(message))
        assert str(message) in answer.stdout

    states = {path: path.stat().st_mtime_ns for path in output.rglob("*") if not path.name.startswith("provenance.db")}
    again = command(*arguments)
    assert again.returncode == 2
    assert "nothing to do: 5 of 10 items are done" in again.stdout
    assert {
        path: path.stat().st_mtime_ns for path in output.rglob("*") if not path.name.startswith("provenance.db")
    } == states
    assert len(rows(output, "SELECT * FROM audit_run")) == 1


def test_same_bytes_into_two_folders(tmp_path: Path, archive: Path, references: Path, command: CommandLine) -> None:
    found = []
    for name, batch_size in (("one", 1), ("two", 16)):
        arguments = ["--output", tmp_path / name, "--size", 128, "--batch-size", batch_size, "--no-prefect"]
        assert command("run", archive, "--references", references, *arguments).returncode == 0
        found.append({path: TIMESTAMP.sub(b"WHEN", content) for path, content in copies(tmp_path / name).items()})
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_only_what_changed_is_done_again(tmp_path: Path, archive: Path, references: Path) -> None:
    settings = run_settings({"archive": archive, "references": references, "output": tmp_path / "out", "size": 64})

    def run() -> tuple[int, int]:
        with open_run(settings, SilentProgress()) as opened:
            if not opened.prepare().has_work:
                return (0, len(opened.plan.finished))
            opened.index_references()
            summary = execute(opened)
            return (summary.done, summary.finished_before)

    assert run() == (3, 0)
    picture("rocket.jpg", 150).convert("L").save(archive / "cup.png")
    picture("rocket.jpg", 150).convert("L").save(archive / "new.png")
    assert run() == (2, 2)
    (tmp_path / "out" / "cat.tif").unlink()
    assert run() == (1, 3)
    assert run() == (0, 4)
    query = "SELECT COUNT(*) FROM colorization WHERE state = 'done' AND superseded_at IS NULL GROUP BY item_id"
    assert rows(tmp_path / "out", query) == [(1,)] * 4


def requested(given: dict[str, object], colorizer: Colorizer) -> dict[Kind, Request]:
    """What a run with these settings asks for."""
    settings = run_settings(given)
    where = reference_filter(settings, settings.references)
    return dict(requests_of(settings, colorizer, GivenReferences.read(settings.reference), where))


def test_what_chooses_the_reference_makes_all_pending(tmp_path: Path, archive: Path, references: Path) -> None:
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    engine = Engine.load(run_settings(given))

    def requests(**changes: object) -> dict[str, Request]:
        return requested({**given, **changes}, engine.colorizer)

    plain = requests()
    assert set(plain) == {"photograph", "page", "film"}
    assert all(engine.embedder.version in request.reference_choice for request in plain.values())
    assert requests(batch_size=1, candidates=1, low_match=0.9, skip_low_match=True) == plain
    for kind in plain:
        assert requests(references=archive)[kind].key("0") != plain[kind].key("0")
    assert requests(format="png")["film"] == plain["film"]
    assert requests(format="png")["page"] == plain["page"]
    assert requests(access="jpeg:100")["page"].key("0") != plain["page"].key("0")
    of_pdf = ItemRecord(archive="/a", path="a.pdf", kind="page", size_bytes=1, mtime_ns=1, format="pdf")
    assert requests(pdf="tiff")["page"] != plain["page"]
    assert requests(pdf_quality=80)["page"].of(of_pdf).key("0") != plain["page"].of(of_pdf).key("0")
    assert requests(pdf_quality=80)["page"].key("0") == plain["page"].key("0")
    (tmp_path / "only.txt").write_text("coffee.jpg\nchelsea.jpg\n")
    only = {"only_references": tmp_path / "only.txt"}
    for change in ({"rights": ["CC0"]}, {"tags": ["farm"]}, {"years": "1936"}, only):
        filtered = requests(**change)
        assert all(filtered[kind].key("0") != plain[kind].key("0") for kind in plain)
    assert requests(rights=["CC0", "PD"], tags=["a", "B"]) == requests(rights=["pd", "cc0"], tags=["b", "a"])
    chosen = requests(**only)
    (tmp_path / "only.txt").write_text("chelsea.jpg\ncoffee.jpg\n")
    assert requests(**only) == chosen
    (tmp_path / "only.txt").write_text("chelsea.jpg\n")
    assert requests(**only) != chosen


@pytest.mark.parametrize(
    "change",
    [
        {"steady": False},
        {"shot_threshold": 9},
        {"sequence_rate": "24000/1001"},
        {"film_format": "ffv1,h264"},
        {"film_format": "prores"},
        {"reference": "reference.png"},
    ],
)
def test_what_decides_the_colours_of_films_makes_films_pending_alone(
    change: dict[str, object], tmp_path: Path, archive: Path, references: Path
) -> None:
    picture("coffee.png", 100).save(tmp_path / "reference.png")
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    colorizer = Engine.load(run_settings(given)).colorizer
    if "reference" in change:
        change = {"reference": tmp_path / "reference.png"}
    before = requested(given, colorizer)
    after = requested({**given, **change}, colorizer)
    assert after["photograph"] == before["photograph"]
    assert after["film"].key("0") != before["film"].key("0")


def test_a_given_reference_counts_with_its_content(tmp_path: Path, archive: Path, references: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    picture("coffee.png", 100).save(folder / "0.png")
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64, "reference": folder}
    colorizer = Engine.load(run_settings(given)).colorizer
    keys = [requested(given, colorizer)["film"].key("0")]
    picture("chelsea.png", 100).save(folder / "0.png")
    keys.append(requested(given, colorizer)["film"].key("0"))
    picture("chelsea.png", 100).save(folder / "7.png")
    keys.append(requested(given, colorizer)["film"].key("0"))
    assert len(set(keys)) == 3


def test_one_more_reference_makes_nothing_pending(tmp_path: Path, archive: Path, references: Path) -> None:
    own = tmp_path / "references"
    shutil.copytree(references, own)
    settings = run_settings({"archive": archive, "references": own, "output": tmp_path / "out", "size": 64})
    assert run_archive(settings, SilentProgress()).done == 3
    picture("astronaut.png", 320).save(own / "astronaut.jpg")
    assert run_archive(settings, SilentProgress()).run_id is None


def test_a_folder_named_in_another_way_is_the_same_folder(
    tmp_path: Path, archive: Path, references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    assert run_archive(run_settings(given), SilentProgress()).done == 3
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for root in (tmp_path / "link", Path("..")):
        other = {"archive": root / "archive", "references": references, "output": root / "out", "size": 64}
        again = run_archive(run_settings(other), SilentProgress())
        assert (again.run_id, again.finished_before) == (None, 3)


def test_a_master_that_changes_meanwhile_fails_aloud(tmp_path: Path, archive: Path, references: Path) -> None:
    settings = run_settings({"archive": archive, "references": references, "output": tmp_path / "out", "size": 64})
    with open_run(settings, SilentProgress()) as run:
        run.prepare()
        picture("rocket.jpg", 150).convert("L").save(archive / "cup.png")
        run.index_references()
        summary = execute(run)
    assert summary.done == 2
    assert [item.path for item in summary.failures] == ["cup.png"]
    assert "changed while the run was under way; run again" in summary.failures[0].message
    assert not (tmp_path / "out" / "cup.png.tif").exists()


def test_no_usable_reference(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "text.jpg").write_text("no picture")
    settings = {"archive": archive, "references": tmp_path / "empty", "output": tmp_path / "out", "size": 64}
    with open_run(run_settings(settings), SilentProgress()) as run:
        run.prepare()
        with pytest.raises(UsageError, match="no usable reference"):
            run.index_references()


def test_failed_items_are_tried_again_only_when_asked(tmp_path: Path, archive: Path, references: Path) -> None:
    whole = (archive / "album" / "portrait.jpg").read_bytes()
    (archive / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    with open_run(run_settings(given), SilentProgress()) as run:
        run.prepare()
        run.index_references()
        assert execute(run).failed == 1
    with open_run(run_settings(given), SilentProgress()) as run:
        assert not run.prepare().has_work
        assert run.summary().exit_code == 2
    with open_run(run_settings({**given, "retry_failed": True}), SilentProgress()) as run:
        assert [item.path for item in run.prepare().pending] == ["cut.jpg"]


def test_the_run_is_on_record_before_its_references(tmp_path: Path, archive: Path, references: Path) -> None:
    settings = run_settings({"archive": archive, "references": references, "output": tmp_path / "out", "size": 64})
    before = datetime.now(UTC)
    with open_run(settings, SilentProgress()) as run:
        prepared = run.prepare()
        after_prepare = datetime.now(UTC)
        assert prepared.has_work
        run.index_references()
        summary = execute(run, flow_run_id="flow-7")
        assert summary.run_id == 1
        recorded = runs.get(run.database, 1)
        assert recorded is not None
        assert before <= recorded.started_at < after_prepare
        assert recorded.seconds is not None
        assert abs(recorded.seconds - summary.seconds) < 1
        assert recorded.flow_run_id == "flow-7"
        assert recorded.index_version
        failures = audit.rows(run.database, "audit_failure", 1)
        assert ["broken.jpg" in str(row["path"]) for row in failures] == [True]
        items = {row["stage"]: row["items"] for row in audit.rows(run.database, "audit_runtime", 1)}
    stages = ("ingest", "load", "plan", "index", "record", "orchestrate")
    assert [items[stage] for stage in stages] == [3, 1, 1, 4, 3, 3]


def test_a_run_that_cannot_begin_does_not_stay_running(
    tmp_path: Path, archive: Path, references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive / "empty.jpg").touch()
    settings = run_settings({"archive": archive, "references": references, "output": tmp_path / "out", "size": 64})

    def refuse(*arguments: object) -> None:
        raise DatabaseError("the database is away")

    monkeypatch.setattr(colorizations, "record", refuse)
    with pytest.raises(DatabaseError, match="away"):
        run_archive(settings, SilentProgress())
    assert rows(tmp_path / "out", "SELECT state FROM run") == [("failed",)]


def test_a_gallery_that_cannot_be_written_is_a_note(
    tmp_path: Path, archive: Path, references: Path, command: CommandLine
) -> None:
    (tmp_path / "out" / "gallery" / "run-1" / "index.html" / "in the way").mkdir(parents=True)
    answer = command(
        "run", archive, "--references", references, "--output", tmp_path / "out", "--size", 64, "--no-prefect"
    )
    assert answer.returncode == 0, answer.stderr
    assert "the gallery of run 1 could not be written" in answer.stderr
    assert rows(tmp_path / "out", "SELECT state FROM run") == [("completed",)]


def test_the_gallery_of_a_run_that_was_cut_off(tmp_path: Path, archive: Path, references: Path) -> None:
    settings = run_settings({"archive": archive, "references": references, "output": tmp_path / "out", "size": 64})
    run_archive(settings, SilentProgress())
    page = tmp_path / "out" / "gallery" / "run-1" / "index.html"
    page.unlink()
    with sqlite3.connect(tmp_path / "out" / "provenance.db") as database:
        database.execute("UPDATE run SET state = 'running', ended_at = NULL, seconds = NULL")
    with open_run(settings, SilentProgress()):
        assert "crashed" in page.read_text()
        assert "thumbnails/" in page.read_text()


def test_a_dry_run_answers_as_the_run_would(tmp_path: Path, archive: Path, references: Path) -> None:
    (archive / "empty.jpg").touch()
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    dry = dry_run(run_settings(given), SilentProgress())
    real = run_archive(run_settings(given), SilentProgress())
    assert [item.path for item in dry.failures] == ["empty.jpg"]
    assert (dry.failures, dry.exit_code) == (real.failures, real.exit_code)
    again = dry_run(run_settings(given), SilentProgress())
    assert (again.failures, again.exit_code, again.pending) == (real.failures, real.exit_code, 0)


def test_dry_run_changes_nothing(tmp_path: Path, archive: Path, references: Path, command: CommandLine) -> None:
    output = tmp_path / "out"
    arguments = ["run", archive, "--references", references, "--output", output, "--size", 64]
    answer = command(*arguments, "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert "dry run: 3 to colorize" in answer.stdout
    assert not output.exists()


def test_environment_alone_is_enough(tmp_path: Path, archive: Path, references: Path, command: CommandLine) -> None:
    answer = command(
        "run",
        ARCHIVE_COLORIZER_ARCHIVE=str(archive),
        ARCHIVE_COLORIZER_REFERENCES=str(references),
        ARCHIVE_COLORIZER_OUTPUT=str(tmp_path / "out"),
        ARCHIVE_COLORIZER_SIZE="64",
        ARCHIVE_COLORIZER_FORMAT="png",
        ARCHIVE_COLORIZER_PREFECT="no",
    )
    assert answer.returncode == 0, answer.stderr
    assert set(copies(tmp_path / "out")) == {"album/portrait.jpg.png", "cup.png", "cat.tif.png"}
    with Image.open(tmp_path / "out" / "cup.png") as copy:
        assert copy.mode == "RGB"
    assert not list((tmp_path / "out").rglob(f"*{PARTIAL_SUFFIX}"))
