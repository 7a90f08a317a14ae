"""References that are hardly to be trusted: flagged for review, or left out until there are better ones."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import RunSettings, run_settings
from flows.summary import RunSummary
from storage.fixity import sha256_file
from tests.flows.film.films import FOREST, encode, pan


@pytest.fixture
def given(tmp_path: Path, archive: Path, references: Path) -> dict[str, object]:
    return {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}


def run(given: dict[str, object], **changes: object) -> tuple[RunSettings, RunSummary]:
    settings = run_settings({**given, **changes})
    return settings, run_archive(settings, SilentProgress())


def rows(settings: RunSettings, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(settings.output / "provenance.db") as database:
        return database.execute(query).fetchall()


NEWEST = "SELECT MAX(run_id) FROM audit_run"


def test_a_doubtful_reference_is_flagged_and_the_item_colorized(given: dict[str, object]) -> None:
    settings, summary = run(given, low_match=1)
    assert (summary.done, summary.low_matches, summary.left_out) == (3, 3, 0)
    found = rows(settings, "SELECT path, match_confidence, low_match FROM audit_item ORDER BY path")
    assert [(path, low) for path, _, low in found] == [("album/portrait.jpg", 1), ("cat.tif", 1), ("cup.png", 1)]
    confidence = {path: value for path, value, _ in found}
    assert all(0 <= value <= 1 for value in confidence.values())  # type: ignore[operator]
    assert confidence["cup.png"] > confidence["album/portrait.jpg"]  # type: ignore[operator]
    chosen = rows(settings, "SELECT DISTINCT m.confidence FROM match m JOIN audit_item USING (run_id) WHERE m.chosen")
    assert {value for (value,) in chosen} == set(confidence.values())
    html = summary.gallery.read_text() if summary.gallery else ""
    assert html.count("doubtful reference: look at this one") == 3
    assert f"{confidence['cup.png']:.2f}" in html


def test_the_threshold_decides(given: dict[str, object]) -> None:
    settings, summary = run(given, low_match=0)
    assert (summary.done, summary.low_matches) == (3, 0)
    assert rows(settings, "SELECT DISTINCT low_match FROM audit_item") == [(0,)]
    assert summary.gallery is not None
    assert "look at this one" not in summary.gallery.read_text()


def test_what_has_no_fitting_reference_is_left_out_with_the_remedy(given: dict[str, object]) -> None:
    settings, summary = run(given, low_match=1, skip_low_match=True)
    assert (summary.done, summary.failed, summary.left_out, int(summary.exit_code)) == (0, 0, 3, 0)
    assert not list(settings.output.rglob("*.tif"))
    query = """SELECT i.path, c.state, c.error_type, c.message, c.low_match
               FROM colorization c JOIN item i ON i.id = c.item_id"""
    found = rows(settings, query)
    assert {(state, slug, low) for _, state, slug, _, low in found} == {("skipped", "low_match", 1)}
    for path, _, _, message, _ in found:
        assert str(message).startswith(f"{path}: no reference fits (match confidence ")
        assert "--keep-low-match" in str(message)
    assert summary.gallery is not None
    assert "no reference fits" in summary.gallery.read_text()


def test_what_was_left_out_is_done_once_a_reference_fits(
    given: dict[str, object], references: Path, tmp_path: Path
) -> None:
    given["references"] = tmp_path / "few"
    shutil.copytree(references, tmp_path / "few", ignore=shutil.ignore_patterns("coffee*", "broken*"))
    settings, summary = run(given, skip_low_match=True)
    assert (summary.done, summary.left_out) == (1, 2)
    assert rows(settings, "SELECT path FROM audit_item WHERE state = 'done'") == [("cat.tif",)]

    shutil.copy(references / "coffee.jpg", tmp_path / "few")
    settings, summary = run(given, skip_low_match=True)
    assert (summary.done, summary.finished_before, summary.left_out) == (1, 1, 1)
    assert rows(settings, f"SELECT path FROM audit_item WHERE state = 'done' AND run_id = ({NEWEST})") == [("cup.png",)]

    settings, summary = run(given)  # a doubtful colour is better than none
    assert (summary.done, summary.finished_before, summary.low_matches) == (1, 2, 1)
    # what is done stays done, whatever is asked of later matches
    settings, summary = run(given, low_match=1, skip_low_match=True)
    assert (summary.done, summary.finished_before, summary.left_out) == (0, 3, 0)
    assert len(list(settings.output.rglob("*.tif"))) == 3


def test_a_film_is_flagged_shot_by_shot_or_left_out(tmp_path: Path, references: Path) -> None:
    archive = tmp_path / "films"
    archive.mkdir()
    encode(pan(FOREST, 6), archive / "walk.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    given: dict[str, object] = {
        "archive": archive,
        "references": references,
        "output": tmp_path / "out",
        "size": 64,
        "low_match": 1,
    }
    settings, summary = run(given, skip_low_match=True)
    assert (summary.done, summary.left_out) == (0, 1)
    ((state, message),) = rows(settings, "SELECT state, message FROM colorization")
    assert state == "skipped"
    assert str(message).startswith("walk.mkv, frames 0 to 5: no reference fits")

    settings, summary = run(given)
    assert (summary.done, summary.low_matches) == (1, 1)
    assert rows(settings, "SELECT low_match FROM audit_shot") == [(1,)]
    query = (
        "SELECT s.match_confidence = i.match_confidence, i.low_match FROM audit_shot s JOIN audit_item i USING (run_id)"
    )
    assert rows(settings, query) == [(1, 1)]
    assert summary.gallery is not None
    assert "look at this one" in summary.gallery.read_text()
    copy = settings.output / "walk.mkv"
    before = sha256_file(copy)
    assert run(given, skip_low_match=True)[1].finished_before == 1
    assert sha256_file(copy) == before


def test_a_given_reference_is_not_doubted(tmp_path: Path, references: Path) -> None:
    archive = tmp_path / "films"
    archive.mkdir()
    encode(pan(FOREST, 4), archive / "walk.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    given: dict[str, object] = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    settings, summary = run(given, reference=references / "coffee.jpg", low_match=1, skip_low_match=True)
    assert (summary.done, summary.low_matches) == (1, 0)
    assert rows(settings, "SELECT match_confidence, low_match FROM audit_shot") == [(None, None)]
