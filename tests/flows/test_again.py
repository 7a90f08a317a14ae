"""Again: a person's other reference is taken, the old result kept, and later runs leave it so."""

import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.again import colorize_again, confidence_map
from flows.dry_run import dry_run
from flows.errors import EnvironmentProblem, UsageError
from flows.failures import ItemFailure
from flows.output_lock import locked
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import RunSettings, run_settings
from storage.database import Database, colorizations, events, open_database
from storage.database.records import RunColorization
from storage.fixity import sha256_file
from storage.images import read_master
from tests.flows.documents import leaves, write_tiff
from tests.flows.film.films import FOREST, SEA, encode, pan


@pytest.fixture
def settings(tmp_path: Path) -> RunSettings:
    """A photograph, a document and a film, colorized."""
    archive, references = tmp_path / "archive", tmp_path / "references"
    archive.mkdir()
    references.mkdir()
    for name in (FOREST, SEA):
        shutil.copy(name, references)
    Image.fromarray(leaves()[0]).save(archive / "foto.jpg", quality=90)
    write_tiff(archive / "akte.tif", leaves())
    encode([*pan(FOREST, 6), *pan(SEA, 6)], archive / "film.mkv")
    given: Mapping[str, object] = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    made = run_settings({**given, "colorize_all": True, "access": "jpeg:50", "device": "cpu"})
    assert run_archive(made, SilentProgress()).done == 5
    return made


def rows(database: Database, settings: RunSettings, item: str) -> list[RunColorization]:
    return colorizations.find(database, str(settings.output), item)


def other(row: RunColorization) -> int:
    """The candidate that was not taken."""
    return next(one.reference_id for one in row.candidates if not one.chosen)


def again(database: Database, row: RunColorization, reference_id: int, **more: object) -> RunColorization:
    given = {"reviewer": "reviewer 1", "progress": SilentProgress(), **more}
    return colorize_again(database, row, reference_id, **given)  # type: ignore[arg-type]


def nothing_pending(settings: RunSettings) -> bool:
    return dry_run(settings, SilentProgress()).pending == 0


def test_a_photograph_gets_another_reference_and_keeps_it(settings: RunSettings) -> None:
    with open_database(settings.database_url) as database:
        (before,) = rows(database, settings, "foto.jpg")
        digest, wanted = before.output_sha256, other(before)
        new = again(database, before, wanted, reason="the sea was taken for grass")
        assert (new.reference_id, new.reference_choice, new.state) == (wanted, "pinned", "done")
        assert new.output_sha256 == sha256_file(settings.output / "foto.jpg.tif") != digest
        (old,) = colorizations.get(database, [before.id])
        assert old.superseded_at is not None
        assert old.kept_path is not None
        assert sha256_file(settings.output / old.kept_path) == digest
        assert [row.id for row in rows(database, settings, "foto.jpg")] == [new.id]
        assert list(events.check(database)) == []
        with sqlite3.connect(settings.output / "provenance.db") as plain:
            query = "SELECT run_id, review FROM audit_item WHERE path = 'foto.jpg' ORDER BY run_id"
            assert plain.execute(query).fetchall() == [(before.run_id, "replaced"), (new.run_id, None)]
            query = "SELECT agent, outcome, message FROM audit_event WHERE type = 'reviewed'"
            assert plain.execute(query).fetchall() == [("reviewer 1", "replaced", "the sea was taken for grass")]
        assert nothing_pending(settings)
        back = again(database, new, before.reference_id or 0)  # and back: the same bytes as at first but for the time
        first, last = (read_master(settings.output / path) for path in (old.kept_path, "foto.jpg.tif"))
        assert np.array_equal(first.pixels, last.pixels)
        assert back.reference_sha256 == before.reference_sha256
        assert nothing_pending(settings)


def test_one_page_of_a_document_gets_another_reference(settings: RunSettings) -> None:
    with open_database(settings.database_url) as database:
        pages = rows(database, settings, "akte.tif")
        second = next(row for row in pages if row.page == 2)
        new = again(database, second, other(second))
        assert (new.page, new.reference_id, new.reference_choice) == (2, other(second), "pinned")
        now = rows(database, settings, "akte.tif")
        assert [row.reference_id for row in now if row.page != 2] == [
            row.reference_id for row in pages if row.page != 2
        ]
        kept = {row.kept_path for row in colorizations.get(database, [row.id for row in pages])}
        (path,) = kept
        assert path is not None
        assert sha256_file(settings.output / path) == pages[0].output_sha256
        for page in (1, 2, 3):
            was, is_now = (read_master(settings.output / one, page=page).pixels for one in (path, "akte.tif"))
            assert np.array_equal(was, is_now) == (page != 2)
        assert nothing_pending(settings)


def test_one_shot_of_a_film_gets_another_reference(settings: RunSettings) -> None:
    with open_database(settings.database_url) as database:
        (film,) = rows(database, settings, "film.mkv")
        first, second = film.shots
        wanted = next(
            one.reference_id for one in film.candidates if one.shot == 2 and one.reference_id != second.reference_id
        )
        new = again(database, film, wanted, shot=2)
        assert [shot.reference_id for shot in new.shots] == [first.reference_id, wanted]
        assert [shot.reference_choice for shot in new.shots] == ["retrieved", "pinned"]
        assert nothing_pending(settings)
        with pytest.raises(UsageError, match="has no shot 3"):
            again(database, new, wanted, shot=3)


def test_what_cannot_be_done_changes_nothing(settings: RunSettings, tmp_path: Path) -> None:
    with open_database(settings.database_url) as database:
        (row,) = rows(database, settings, "foto.jpg")
        with pytest.raises(UsageError, match="there is no reference 999 in use"):
            again(database, row, 999)
        with locked(settings.output), pytest.raises(EnvironmentProblem):
            again(database, row, other(row))
        picture = settings.references / next(one.path for one in row.candidates if not one.chosen)
        content = picture.read_bytes()
        picture.write_bytes(content[:-1])
        with pytest.raises(ItemFailure, match="not the picture any more"):
            again(database, row, other(row))
        picture.write_bytes(content)
        (settings.archive / "foto.jpg").write_bytes(b"another master")
        with pytest.raises(ItemFailure, match="not the master any more"):
            again(database, row, other(row))
        assert rows(database, settings, "foto.jpg") == [row]
        assert sha256_file(settings.output / "foto.jpg.tif") == row.output_sha256
        with sqlite3.connect(settings.output / "provenance.db") as plain:
            assert plain.execute("SELECT count(*) FROM review").fetchone() == (0,)


def test_a_chosen_reference_that_is_gone_costs_its_item_only(settings: RunSettings) -> None:
    with open_database(settings.database_url) as database:
        (row,) = rows(database, settings, "foto.jpg")
        wanted = next(one for one in row.candidates if not one.chosen)
        again(database, row, wanted.reference_id)
    (settings.references / wanted.path).unlink()
    (settings.output / "foto.jpg.tif").unlink()
    summary = run_archive(settings, SilentProgress())
    assert [(failure.path, failure.stage) for failure in summary.failures] == [("foto.jpg", "search")]
    assert "a review chose" in summary.failures[0].message


def test_the_confidence_map_is_that_of_the_record(settings: RunSettings) -> None:
    with open_database(settings.database_url) as database:
        (row,) = rows(database, settings, "foto.jpg")
        found = confidence_map(database, row)
        assert found.dtype == np.float32
        assert found.ndim == 2
        assert row.confidence is not None
        assert abs(float(found.mean()) - row.confidence) < 0.01
        (film,) = rows(database, settings, "film.mkv")
        with pytest.raises(UsageError, match="photographs and pages only"):
            confidence_map(database, film)
