"""Pins: a person's reference for an item, a folder or a shot is taken, and makes pending only what it touches."""

import csv
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from flows.dry_run import dry_run
from flows.errors import UsageError
from flows.pins import Pins
from flows.planning import Request
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import RunSettings, run_settings
from flows.summary import RunSummary
from retrieval import ReferenceLibrary
from storage.fixity import sha256_file
from tests.flows.conftest import CommandLine, picture
from tests.flows.film.films import FOREST, SEA, encode, pan

ALL = {"cat.tif": "photograph", "cup.png": "photograph", "album/portrait.jpg": "photograph", "album/film.mkv": "film"}


@pytest.fixture
def given(tmp_path: Path, archive: Path, references: Path) -> dict[str, object]:
    return {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}


def table(folder: Path, *rows: tuple[str, ...], columns: tuple[str, ...] = ("path", "reference", "shot")) -> Path:
    file = folder / "pins.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([columns, *rows])
    return file


def run(given: dict[str, object], **changes: object) -> tuple[RunSettings, RunSummary]:
    settings = run_settings({**given, **changes})
    return settings, run_archive(settings, SilentProgress())


def rows(settings: RunSettings, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(settings.output / "provenance.db") as database:
        return database.execute(query).fetchall()


def chosen(settings: RunSettings) -> dict[object, tuple[object, ...]]:
    """By path what is current."""
    query = """SELECT i.path, c.reference_path, c.reference_choice, c.reference_rank, c.low_match
               FROM colorization c JOIN item i ON i.id = c.item_id WHERE c.superseded_at IS NULL"""
    return {path: tuple(rest) for path, *rest in rows(settings, query)}


def test_a_pinned_reference_is_taken_and_only_what_it_touches_is_pending(
    given: dict[str, object], tmp_path: Path
) -> None:
    settings, summary = run(given)
    assert summary.done == 3
    before = chosen(settings)
    assert before["cat.tif"][:3] == ("chelsea.jpg", "retrieved", 1)

    pins = table(tmp_path, ("cat.tif", "rocket.jpg", ""))
    settings, summary = run(given, pins=pins, low_match=1)
    assert (summary.done, summary.finished_before, summary.low_matches) == (1, 2, 0)
    after = chosen(settings)
    assert after["cat.tif"][:2] == ("rocket.jpg", "pinned")
    assert after["cat.tif"][2] in (2, 3)  # it is among the candidates
    assert after["cat.tif"][3] is None  # a person's choice is not doubted
    query = """SELECT COUNT(*), SUM(m.chosen), MAX(CASE WHEN m.chosen THEN r.path END) FROM match m
               JOIN reference r ON r.id = m.reference_id WHERE m.run_id = 2"""
    assert rows(settings, query) == [(3, 1, "rocket.jpg")]
    assert {path: what for path, what in after.items() if path != "cat.tif"} == {
        path: what for path, what in before.items() if path != "cat.tif"
    }
    files = "SELECT json_extract(parameters, '$.pins'), json_extract(parameters, '$.pins_sha256') FROM run ORDER BY id"
    assert rows(settings, files) == [(None, None), (str(pins), sha256_file(pins))]
    assert run(given, pins=pins)[1].finished_before == 3
    # without the pin the item is as any other again
    settings, summary = run(given)
    assert (summary.done, summary.finished_before) == (1, 2)
    assert chosen(settings) == before


def test_a_reference_that_is_no_candidate_has_no_rank(given: dict[str, object], tmp_path: Path) -> None:
    settings, summary = run(
        given, pins=table(tmp_path, (".", "rocket.jpg"), columns=("path", "reference")), candidates=1
    )
    assert summary.done == 3
    assert chosen(settings)["cat.tif"] == ("rocket.jpg", "pinned", None, None)
    assert rows(settings, "SELECT DISTINCT reference_path FROM audit_item") == [("rocket.jpg",)]
    assert summary.gallery is not None
    assert "rocket.jpg" in summary.gallery.read_text()


def test_the_most_exact_pin_counts(given: dict[str, object], tmp_path: Path) -> None:
    file = table(
        tmp_path,
        (".", "coffee.jpg", ""),
        ("album/", "chelsea.jpg", ""),
        ("album/portrait.jpg", "rocket.jpg", ""),
        ("album/film.mkv", "coffee.jpg", "2"),
    )
    pins = Pins.read(run_settings({**given, "pins": file}), None)
    pins.check(ALL)  # type: ignore[arg-type]

    def reference(path: str, shot: int | None = None) -> str | None:
        pin = pins.of(path, shot)
        return pin.reference.name if pin else None

    assert reference("cup.png") == "coffee.jpg"
    assert reference("album/portrait.jpg") == "rocket.jpg"
    assert reference("album/film.mkv") == reference("album/film.mkv", 1) == "chelsea.jpg"
    assert reference("album/film.mkv", 2) == "coffee.jpg"
    assert pins.parts_of("album/film.mkv") == [2]
    request = Request("automatic", "w", {}, ("tiff",))
    keys = {request.key("a", pins.state(path)) for path in ("cup.png", "album/portrait.jpg", "album/film.mkv")}
    assert len(keys) == 3
    assert Pins().state("cup.png") == ""
    assert request.key("a", "") == request.key("a")


def test_the_same_picture_elsewhere_makes_nothing_pending(
    given: dict[str, object], tmp_path: Path, references: Path
) -> None:
    folder = tmp_path / "refs"
    shutil.copytree(references, folder)
    file = table(tmp_path, ("cat.tif", "rocket.jpg", ""))
    settings = run_settings({**given, "references": folder, "pins": file})
    first = Pins.read(settings, None).state("cat.tif")
    (folder / "rocket.jpg").rename(folder / "moon.jpg")
    table(tmp_path, ("cat.tif", "moon.jpg", ""))
    assert Pins.read(settings, None).state("cat.tif") == first
    picture("rocket.jpg", 100).save(folder / "moon.jpg")
    assert Pins.read(settings, None).state("cat.tif") != first


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("dog.tif", "coffee.jpg", ""), "line 2 of {} pins dog.tif, which is not in the archive"),
        (("cat.tif", "coffee.jpg", "1"), "line 2 of {} pins a shot of cat.tif, which is no film"),
        (("cat.tif", "tea.jpg", ""), "line 2 of {} names the reference tea.jpg, which is not among the references"),
        (("cat.tif", "77", ""), "line 2 of {} names the reference 77, which is not among the references"),
        (("cat.tif", "", ""), "line 2 of {} needs a path and a reference"),
        (("cat.tif", "coffee.jpg", "0"), "line 2 of {}: '0' is no shot"),
        (("cat\\x.tif", "coffee.jpg", ""), "line 2 of {} has a path with a backslash"),
    ],
)
def test_a_wrong_line_ends_the_run_before_it_starts(
    given: dict[str, object], tmp_path: Path, row: tuple[str, ...], message: str
) -> None:
    file = table(tmp_path, row)
    for mode in (run_archive, dry_run):
        with pytest.raises(UsageError) as error:
            mode(run_settings({**given, "pins": file}), SilentProgress())
        assert str(error.value).startswith(message.format(file))
        assert int(error.value.exit_code) == 1
    assert rows(run_settings(given), "SELECT COUNT(*) FROM run") == [(0,)]


def test_a_table_that_is_none(given: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are no file"):
        run(given, pins=tmp_path / "missing.csv")
    with pytest.raises(UsageError, match="need a first line with the columns path and reference"):
        run(given, pins=table(tmp_path, columns=("film", "picture")))
    (tmp_path / "pins.csv").write_bytes("path,reference\ncaf\xe9.tif,coffee.jpg\n".encode("latin-1"))
    with pytest.raises(UsageError, match="save them as CSV in UTF-8"):
        run(given, pins=tmp_path / "pins.csv")
    twice = table(tmp_path, ("album", "coffee.jpg", ""), ("./album/", "rocket.jpg", ""))
    with pytest.raises(UsageError, match=r"line 3 of .* pins album once more"):
        run(given, pins=twice)


def test_a_picture_without_colour_cannot_be_pinned(
    given: dict[str, object], tmp_path: Path, references: Path, command: CommandLine
) -> None:
    folder = tmp_path / "refs"
    shutil.copytree(references, folder)
    Image.open(folder / "rocket.jpg").convert("L").save(folder / "grey.jpg")
    file = table(tmp_path, ("cat.tif", "grey.jpg", ""))
    arguments = ["--references", folder, "--output", tmp_path / "out", "--pins", file, "--no-prefect", "--size", 64]
    ended = command("run", given["archive"], *arguments)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"archive-colorizer: line 2 of {file} names {folder / 'grey.jpg'}, "
        "which cannot be used as a reference; take a colour photograph"
    )


def test_ids_are_those_of_the_library_or_of_the_run(given: dict[str, object], tmp_path: Path, references: Path) -> None:
    settings, _ = run(given)
    ((id_,),) = rows(settings, "SELECT id FROM reference WHERE path = 'rocket.jpg'")
    settings, summary = run(given, pins=table(tmp_path, ("cup.png", str(id_), "")))
    assert (summary.done, chosen(settings)["cup.png"][:2]) == (1, ("rocket.jpg", "pinned"))

    with ReferenceLibrary.open(tmp_path / "library") as library:
        library.add([references / "rocket.jpg"])
        library.add([references / "coffee.jpg", references / "chelsea.jpg"])
        (cat,) = [one.id for one in library.list() if one.path.name == "chelsea.jpg"]
        listed = {one.id: one.path for one in library.list()}
    given = {**given, "references": tmp_path / "library", "output": tmp_path / "other"}
    settings, summary = run(given, pins=table(tmp_path, ("cup.png", str(cat), ""), ("album", str(listed[1]), "")))
    assert summary.done == 3
    taken = {path: (Path(str(reference)).name, choice) for path, (reference, choice, *_) in chosen(settings).items()}
    assert taken["cup.png"] == ("chelsea.jpg", "pinned")
    assert taken["album/portrait.jpg"] == ("rocket.jpg", "pinned")
    # the library's pictures lie elsewhere: a path may be relative to the table's own folder
    beside = os.path.relpath(references / "rocket.jpg", tmp_path)
    settings, summary = run(given, pins=table(tmp_path, ("cup.png", beside, ""), ("album", str(listed[1]), "")))
    assert summary.done == 1
    assert Path(str(chosen(settings)["cup.png"][0])).name == "rocket.jpg"
    with pytest.raises(UsageError, match="not among the references"):  # a picture, but not of the library
        run(given, pins=table(tmp_path, ("cup.png", str(references / "broken.jpg"), "")))


def test_a_shot_of_a_film_is_pinned(tmp_path: Path, references: Path) -> None:
    archive = tmp_path / "films"
    archive.mkdir()
    encode([*pan(FOREST, 6), *pan(SEA, 6)], archive / "walk.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    given: dict[str, object] = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64}
    file = table(tmp_path, ("walk.mkv", "rocket.jpg", "2"), ("walk.mkv", "coffee.jpg", ""))
    settings, summary = run(given, pins=file, reference=references / "chelsea.jpg")  # a pin wins
    assert summary.done == 1
    query = "SELECT number, reference_path, reference_choice, low_match FROM shot ORDER BY number"
    assert rows(settings, query) == [(1, "coffee.jpg", "pinned", None), (2, "rocket.jpg", "pinned", None)]
    assert chosen(settings)["walk.mkv"][1] == "pinned"

    _, summary = run(given, pins=table(tmp_path, ("walk.mkv", "rocket.jpg", "3")))
    assert summary.failed == 1
    assert "has 2 shots, but shot 3 is pinned" in summary.failures[0].message
