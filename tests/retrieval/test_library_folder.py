"""A library in a folder of its own: opened, filled from elsewhere, killed."""

import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from retrieval import ReferenceLibrary
from retrieval.library import DATABASE_NAME, OWN_FOLDER
from storage.database import Database, open_database, reference_parts, references
from tests.storage.database.postgresql import fresh_database, running_server

from .conftest import CountingEmbedder

_ADD = "import sys; from pathlib import Path; from retrieval import ReferenceLibrary\n"
_ADD += "ReferenceLibrary.open(Path(sys.argv[1])).add([Path(sys.argv[2])])"


def test_a_library_keeps_what_lies_elsewhere(
    tmp_path: Path, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    with ReferenceLibrary.open(tmp_path / "library") as library:
        assert library.add([pictures / "coffee.png", pictures / "Außer Haus"]).added == 2
        expected = library.search(photographs["coffee"], k=2)
    with ReferenceLibrary.open(tmp_path / "library") as library:
        assert library.search(photographs["coffee"], k=2) == expected
        assert expected[0].reference.path == pictures / "coffee.png"
    assert ReferenceLibrary.is_library(tmp_path / "library")
    assert not ReferenceLibrary.is_library(pictures)
    assert sorted(path.name for path in (tmp_path / "library").iterdir()) == ["index", DATABASE_NAME]


def test_a_library_can_be_moved(tmp_path: Path, pictures: Path) -> None:
    shutil.copytree(pictures, tmp_path / "here" / "pictures")
    with ReferenceLibrary.open(tmp_path / "here") as library:
        library.add([tmp_path / "here" / "pictures"])
        names = {one.path.name for one in library.list()}
    shutil.move(tmp_path / "here", tmp_path / "there")
    with ReferenceLibrary.open(tmp_path / "there") as library:
        assert {one.path.name for one in library.list()} == names
        assert len(library.search(Image.open(pictures / "coffee.png"), k=3)) == 3


def test_rebuild_embeds_again_what_another_model_embedded(
    tmp_path: Path, pictures: Path, database: Database, embedder: CountingEmbedder
) -> None:
    library = ReferenceLibrary(database, tmp_path / "index", embedder, library_root=pictures)
    library.add([pictures])
    newer = CountingEmbedder.from_pretrained()
    newer.version += "+newer"
    changed = ReferenceLibrary(database, tmp_path / "index", newer, library_root=pictures)
    assert changed.search(Image.open(pictures / "coffee.png"), k=3) == []  # vectors of two kinds never mix
    changed.rebuild()
    assert len(changed.search(Image.open(pictures / "coffee.png"), k=3)) == 3
    assert {one.id for one in changed.list()} == {one.id for one in library.list()}


def test_rebuild_makes_parts_that_are_missing(
    tmp_path: Path, pictures: Path, database: Database, embedder: CountingEmbedder
) -> None:
    library = ReferenceLibrary(database, tmp_path / "index", embedder, library_root=pictures)
    library.add([pictures])
    expected = library.search(Image.open(pictures / "coffee.png"), k=6)
    forget_parts(tmp_path / "provenance.db")
    assert len(reference_parts.without(database, embedder.parts_version, str(pictures))) == 6
    library.rebuild()
    assert reference_parts.without(database, embedder.parts_version, str(pictures)) == []
    assert library.search(Image.open(pictures / "coffee.png"), k=6) == expected


def forget_parts(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM reference_parts")
    connection.close()


def test_a_killed_add_leaves_a_consistent_library(tmp_path: Path, photographs: dict[str, Image.Image]) -> None:
    folder, pictures = tmp_path / "library", tmp_path / "pictures"
    pictures.mkdir()
    for number in range(24):
        photograph = list(photographs.values())[number % len(photographs)]
        photograph.rotate(number, expand=True).save(pictures / f"{number:02d}.png")
    ReferenceLibrary.open(folder).close()
    for least in (1, 17):
        process = subprocess.Popen(
            [sys.executable, "-c", _ADD, str(folder), str(pictures)], cwd=Path(__file__).parents[2]
        )
        try:
            wait_for_references(folder, least, process)
        finally:
            process.kill()
            process.wait()
        with ReferenceLibrary.open(folder) as library:
            found = library.list()
            assert len({one.path for one in found}) == len(found) >= least
            assert len(library.search(photographs["coffee"], k=50)) == len({one.group for one in found})
    with ReferenceLibrary.open(folder) as library:
        before = len(library)
        report = library.add([pictures])
        assert (report.added, report.unchanged) == (24 - before, before)
        assert {one.path.name for one in library.list()} == {path.name for path in pictures.iterdir()}
    assert not list(folder.rglob("*partial*"))


def wait_for_references(folder: Path, least: int, process: "subprocess.Popen[bytes]") -> None:
    """Until the other process has recorded so many references."""
    deadline = time.monotonic() + 120
    with open_database(f"sqlite:///{folder / DATABASE_NAME}") as database:
        while process.poll() is None and time.monotonic() < deadline:
            if len(references.known(database, OWN_FOLDER)) >= least:
                return
            time.sleep(0.02)
    pytest.fail("the other process ended or hung before it had recorded enough")


@pytest.fixture
def postgresql() -> Iterator[Database]:
    name = f"test_{uuid.uuid4().hex}"
    with running_server() as server, fresh_database(server, name) as url, open_database(url) as database:
        yield database


def test_on_postgresql_the_same(
    postgresql: Database,
    embedder: CountingEmbedder,
    tmp_path: Path,
    pictures: Path,
    photographs: dict[str, Image.Image],
) -> None:
    library = ReferenceLibrary(postgresql, tmp_path / "index", embedder, library_root=pictures)
    assert library.add([pictures]).added == 6
    assert library.add([pictures]).unchanged == 6
    assert embedder.embedded == 6
    best = library.search(photographs["coffee"].convert("L"), k=3)[0].reference
    assert best.path.stem == "coffee"
    library.remove(best.id)
    again = ReferenceLibrary(postgresql, tmp_path / "other", embedder, library_root=pictures)
    assert again.index_version == library.index_version
    assert all(match.reference.id != best.id for match in again.search(photographs["coffee"], k=9))
