"""References that a person gives for shots: a picture, a table, a folder of coloured frames."""

import os
from pathlib import Path

import pytest
from PIL import Image

from flows.errors import UsageError
from flows.film.given import GivenReferences
from storage.film import Shot
from storage.paths import path_to_text

FIRST, SECOND = Shot(0, 99, 0.0, (50,)), Shot(100, 149, 20.0, (120,))


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), "red").save(folder / name)


def table(folder: Path, text: str, *, bom: bool = False) -> Path:
    write(folder, "pictures/forest.png", "sea.jpg")
    path = folder / "given.csv"
    path.write_text(text, encoding="utf-8-sig" if bom else "utf-8")
    return path


def test_nothing_given() -> None:
    given = GivenReferences.read(None)
    assert given.pictures == []
    assert given.for_shot("reel.mkv", FIRST) is None


def test_a_picture_is_for_every_shot_of_every_film(tmp_path: Path) -> None:
    write(tmp_path, "sea.jpg")
    given = GivenReferences.read(tmp_path / "sea.jpg")
    assert given.pictures == [tmp_path / "sea.jpg"]
    assert {given.for_shot(film, shot) for film in ("a", "b/c") for shot in (FIRST, SECOND)} == {tmp_path / "sea.jpg"}


@pytest.mark.parametrize("bom", [False, True])
def test_a_table(bom: bool, tmp_path: Path) -> None:
    rows = "frame,reference\r\n12,pictures/forest.png\r\n 100 , sea.jpg \r\n"
    given = GivenReferences.read(table(tmp_path, rows, bom=bom))
    assert given.pictures == [tmp_path / "pictures/forest.png", tmp_path / "sea.jpg"]
    for film in ("a.mkv", "b.mkv"):
        assert given.for_shot(film, FIRST) == tmp_path / "pictures/forest.png"
        assert given.for_shot(film, SECOND) == tmp_path / "sea.jpg"


def test_a_table_of_several_films(tmp_path: Path) -> None:
    rows = "film,frame,reference,who\nreels/1.mkv,0,sea.jpg,me\nscan,99,pictures/forest.png,me\n,100,sea.jpg,\n"
    given = GivenReferences.read(table(tmp_path, rows))
    assert given.for_shot("reels/1.mkv", FIRST) == tmp_path / "sea.jpg"
    assert given.for_shot("scan", FIRST) == tmp_path / "pictures/forest.png"
    assert given.for_shot("other", FIRST) is None
    assert given.for_shot("other", SECOND) == tmp_path / "sea.jpg"


def test_absolute_paths_in_a_table(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "lake.png")
    given = GivenReferences.read(table(tmp_path / "here", f"frame,reference\n0,{tmp_path}/elsewhere/lake.png\n"))
    assert given.for_shot("a", FIRST) == tmp_path / "elsewhere/lake.png"


def test_of_several_in_one_shot_the_one_nearest_its_middle(tmp_path: Path) -> None:
    rows = "frame,reference\n0,sea.jpg\n45,pictures/forest.png\n99,sea.jpg\n148,sea.jpg\n"
    given = GivenReferences.read(table(tmp_path, rows))
    assert given.for_shot("a", FIRST) == tmp_path / "pictures/forest.png"
    assert given.for_shot("a", SECOND) == tmp_path / "sea.jpg"
    assert given.for_shot("a", Shot(150, 160, 9.0, (155,))) is None
    assert len(given.pictures) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "needs a first line with the columns frame and reference"),
        ("frame,reference\n", "needs a first line with the columns frame and reference, and a row"),
        ("frame;reference\n0;sea.jpg\n", "needs a first line with the columns frame and reference"),
        ("0,sea.jpg\n1,sea.jpg\n", "needs a first line with the columns frame and reference"),
        ("frame,reference\n0,sea.jpg\nzero,sea.jpg\n", "line 3 of .* needs a frame number and a picture"),
        ("frame,reference\n-1,sea.jpg\n", "line 2 of .* needs a frame number"),
        ("frame,reference\n1.5,sea.jpg\n", "line 2 of .* needs a frame number"),
        ("frame,reference\n7\n", "line 2 of .* needs a frame number and a picture, not '7' and ''"),
        ("frame,reference\n7,\n", "line 2 of .* needs a frame number and a picture"),
        ("frame,reference\n7,lake.jpg\n", "line 2 of .* names .*lake.jpg, which does not exist; check the path"),
        ("frame,reference\n7,pictures\n", "line 2 of .* names .*pictures, which does not exist"),
        ("frame,reference\n7,pictures\\forest.png\n", "line 2 of .* pictures.*forest.png"),
    ],
)
def test_tables_that_cannot_be_used(rows: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        GivenReferences.read(table(tmp_path, rows))
    assert "\n" not in str(refused.value)
    assert "given.csv" in str(refused.value)


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_bytes("frame,reference\n0,M\xfchle.jpg\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"cannot be read .*; save it as CSV in UTF-8"):
        GivenReferences.read(tmp_path / "given.csv")


def test_a_folder_of_coloured_frames(tmp_path: Path) -> None:
    write(tmp_path, "000010.png", "frame_0120.jpg", "0090 retouched.tif", "notes.png")
    (tmp_path / "0200.txt").write_text("no picture")
    given = GivenReferences.read(tmp_path)
    assert [(entry.frame, entry.picture.name) for entry in given.entries] == [
        (10, "000010.png"),
        (90, "0090 retouched.tif"),
        (120, "frame_0120.jpg"),
    ]
    for film in ("a", "b"):
        assert given.for_shot(film, FIRST) == tmp_path / "000010.png"
        assert given.for_shot(film, SECOND) == tmp_path / "frame_0120.jpg"


def test_a_folder_for_each_film(tmp_path: Path) -> None:
    write(tmp_path, "reels/1.mkv/0.png", "scan/0.png", "120.png")
    given = GivenReferences.read(tmp_path)
    assert given.for_shot("reels/1.mkv", FIRST) == tmp_path / "reels/1.mkv/0.png"
    assert given.for_shot("scan", FIRST) == tmp_path / "scan/0.png"
    assert given.for_shot("1.mkv", FIRST) is None
    assert given.for_shot("1.mkv", SECOND) == tmp_path / "120.png"


def test_films_whose_names_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"M\xfchle.mkv")
    write(tmp_path, f"{name}/0.png")
    given = GivenReferences.read(tmp_path)
    assert given.for_shot(path_to_text(Path(name)), FIRST) == tmp_path / name / "0.png"


def test_a_folder_without_numbered_pictures(tmp_path: Path) -> None:
    write(tmp_path, "sea.png")
    with pytest.raises(UsageError, match=r"holds no picture named by a frame's number, such as 000123\.png"):
        GivenReferences.read(tmp_path)
