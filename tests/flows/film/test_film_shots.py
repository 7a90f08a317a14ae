"""A film with a hard cut: two shots, two references; references that a person gives; steady or frame by frame."""

import sqlite3
from pathlib import Path

import pytest

from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from flows.summary import RunSummary
from storage.film import probe
from storage.fixity import sha256_file
from tests.flows.conftest import picture
from tests.flows.film.films import DEMO, FOREST, SEA, encode, luma_md5s, pan

LENGTHS = (14, 11)
OTHERS = ("coffee-cup.jpg", "cat-chelsea.jpg", "portrait-astronaut.jpg", "rocket-at-dusk.jpg")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of one film, from forest to sea, and references of both among others."""
    folder = tmp_path_factory.mktemp("cut")
    (folder / "archive").mkdir()
    (folder / "references").mkdir()
    frames = [*pan(FOREST, LENGTHS[0]), *pan(SEA, LENGTHS[1])]
    encode(frames, folder / "archive" / "walk.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    for path in (FOREST, SEA, *(DEMO / name for name in OTHERS)):
        (folder / "references" / path.name).write_bytes(path.read_bytes())
    return folder


def run(root: Path, **changes: object) -> RunSummary:
    given = {
        "archive": root / "archive",
        "references": root / "references",
        "output": root / "output",
        "size": 64,
    }
    return run_archive(run_settings({**given, **changes}), SilentProgress())


def shots(root: Path) -> list[tuple[object, ...]]:
    """The shots of the newest run."""
    query = """SELECT shot, first_frame, last_frame, reference_path, reference_choice, reference_rank FROM audit_shot
               WHERE run_id = (SELECT MAX(run_id) FROM audit_run) ORDER BY shot"""
    with sqlite3.connect(root / "output" / "provenance.db") as database:
        return database.execute(query).fetchall()


def choices(root: Path) -> list[tuple[object, ...]]:
    return [row[3:] for row in shots(root)]


@pytest.fixture(scope="module")
def retrieved(root: Path) -> str:
    """The digest of the film as it comes out with the references that are found for it."""
    summary = run(root)
    assert [failure.message for failure in summary.failures] == []
    assert summary.done == 1
    return sha256_file(root / "output" / "walk.mkv")


def test_from_forest_to_sea(root: Path, retrieved: str) -> None:
    assert shots(root) == [
        (1, 0, LENGTHS[0] - 1, FOREST.name, "retrieved", 1),
        (2, LENGTHS[0], sum(LENGTHS) - 1, SEA.name, "retrieved", 1),
    ]
    with sqlite3.connect(root / "output" / "provenance.db") as database:
        candidates = database.execute("SELECT shot, rank, chosen FROM match ORDER BY shot, rank").fetchall()
        reused = database.execute("SELECT path, times_used FROM audit_reference ORDER BY path").fetchall()
        cuts = database.execute("SELECT cut_score FROM audit_shot ORDER BY shot").fetchall()
    assert candidates == [(shot, rank, rank == 1) for shot in (1, 2) for rank in range(1, 6)]
    assert {str(path): count for path, count in reused if count} == {FOREST.name: 1, SEA.name: 1}
    assert cuts[0] == (None,)
    assert cuts[1][0] > 8


def test_frame_by_frame_is_another_request_with_another_result(root: Path, retrieved: str) -> None:
    assert run(root, steady=False).done == 1
    other = sha256_file(root / "output" / "walk.mkv")
    assert other != retrieved
    assert luma_md5s(root / "output" / "walk.mkv") == luma_md5s(root / "archive" / "walk.mkv")
    assert run(root, steady=False).run_id is None
    assert run(root).done == 1
    assert sha256_file(root / "output" / "walk.mkv") == retrieved


def test_the_threshold_decides_what_is_a_cut(root: Path, retrieved: str) -> None:
    assert run(root, shot_threshold=100).done == 1
    assert [row[:3] for row in shots(root)] == [(1, 0, sum(LENGTHS) - 1)]


def test_a_picture_given_is_for_all_shots(root: Path, retrieved: str, tmp_path: Path) -> None:
    picture("coffee.png", 100).save(tmp_path / "mine.png")
    assert run(root, reference=tmp_path / "mine.png").done == 1
    assert choices(root) == [("mine.png", "given", None)] * 2
    assert sha256_file(root / "output" / "walk.mkv") != retrieved
    assert run(root, reference=tmp_path / "mine.png").run_id is None
    picture("chelsea.png", 100).save(tmp_path / "mine.png")
    assert run(root, reference=tmp_path / "mine.png").done == 1


def test_a_picture_of_the_library_may_be_given(root: Path, retrieved: str) -> None:
    assert run(root, reference=root / "references" / SEA.name).done == 1
    assert choices(root) == [(SEA.name, "given", None)] * 2
    assert run(root).done == 1
    assert [row[3] for row in shots(root)] == [FOREST.name, SEA.name]
    assert sha256_file(root / "output" / "walk.mkv") == retrieved


def test_a_table_may_name_the_reference_of_one_shot(root: Path, retrieved: str, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    picture("coffee.png", 100).save(tmp_path / "pictures" / "mine.png")
    (tmp_path / "given.csv").write_text(f"frame,reference\n{LENGTHS[0]},pictures/mine.png\n")
    assert run(root, reference=tmp_path / "given.csv").done == 1
    assert choices(root) == [(FOREST.name, "retrieved", 1), ("mine.png", "given", None)]


def test_a_folder_of_coloured_frames(root: Path, retrieved: str, tmp_path: Path) -> None:
    """A frame of the film itself, coloured by hand, and for the other shot that of another film of the folder."""
    (tmp_path / "walk.mkv").mkdir()
    picture("coffee.png", 100).save(tmp_path / "walk.mkv" / "000003.png")
    picture("chelsea.png", 100).save(tmp_path / "000020.png")
    assert run(root, reference=tmp_path).done == 1
    assert choices(root) == [("000003.png", "given", None), ("000020.png", "given", None)]
    found = probe(root / "output" / "walk.mkv")
    assert (found.codec, found.subsampling) == ("ffv1", "420")
