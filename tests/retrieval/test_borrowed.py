"""A library that a run borrows: searched where it lies, and only what it hands out is put on the run's record."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval import BorrowedLibrary, ReferenceFilter, ReferenceLibrary, RetrievalError
from retrieval.library import DATABASE_NAME
from storage.database import Database, open_database, reference_metadata, reference_parts, reference_vectors, references
from storage.database.records import KnownReference
from tests.retrieval.test_library_folder import forget_parts
from tests.storage.database.postgresql import fresh_database, running_server

from .conftest import CountingEmbedder


@pytest.fixture
def folder(tmp_path: Path, pictures: Path, embedder: CountingEmbedder) -> Path:
    """A library of pictures that lie elsewhere, described by a table."""
    table = pictures / "about.csv"
    table.write_text("path,rights,tags\ncoffee.png,CC0,cup;table\nchelsea.png,CC BY 4.0,cat\n")
    with ReferenceLibrary.open(tmp_path / "library") as library:
        library.add([pictures])
        assert library.describe(table, pictures).problems == ()
    return tmp_path / "library"


@pytest.fixture
def borrowed(folder: Path, embedder: CountingEmbedder, database: Database) -> Iterator[BorrowedLibrary]:
    library = BorrowedLibrary(folder, embedder, database)
    yield library
    library.close()


def asked(embedder: CountingEmbedder, photograph: Image.Image):
    return embedder.describe([np.asarray(photograph.convert("L"))])


def on_record(database: Database, folder: Path) -> list[KnownReference]:
    return list(references.active(database, str(folder)))


def test_only_what_is_handed_out_is_on_record(
    borrowed: BorrowedLibrary,
    folder: Path,
    pictures: Path,
    embedder: CountingEmbedder,
    database: Database,
    photographs: dict[str, Image.Image],
) -> None:
    assert len(borrowed) == 6
    assert on_record(database, folder) == []
    described = asked(embedder, photographs["coffee"])
    before = embedder.embedded
    candidates = borrowed.candidates(described)
    assert on_record(database, folder) == []
    matches = borrowed.rerank(described, candidates, 2)
    assert embedder.embedded == before
    assert [match.rank for match in matches] == [1, 2]
    assert matches[0].reference.path == pictures / "coffee.png"
    rows = on_record(database, folder)
    assert sorted(row.id for row in rows) == sorted(match.reference.id for match in matches)
    with ReferenceLibrary.open(folder) as library:
        expected = library.search(photographs["coffee"].convert("L"), k=2)
        assert [replace(one.reference, id=0) for one in matches] == [replace(one.reference, id=0) for one in expected]
        assert [(one.score, one.confidence) for one in matches] == [(one.score, one.confidence) for one in expected]
        assert borrowed.index_version == library.index_version
        vectors = reference_vectors.of(library._database, [expected[0].reference.id])
        first = matches[0].reference.id
        assert np.array_equal(reference_vectors.of(database, [first])[first], vectors[expected[0].reference.id])
    metadata = reference_metadata.get(database, [first])[first]
    assert (metadata.rights, metadata.tags) == ("CC0", ("cup", "table"))
    again = borrowed.rerank(described, candidates, 2)
    assert again == matches
    assert len(on_record(database, folder)) == 2


def test_a_second_run_finds_the_same_rows_and_newer_words(
    folder: Path,
    pictures: Path,
    embedder: CountingEmbedder,
    database: Database,
    photographs: dict[str, Image.Image],
) -> None:
    described = asked(embedder, photographs["coffee"])
    ids = []
    for rights in ("CC0", "PD"):
        (pictures / "about.csv").write_text(f"path,rights\ncoffee.png,{rights}\n")
        with ReferenceLibrary.open(folder) as library:
            library.describe(pictures / "about.csv", pictures)
        borrowed = BorrowedLibrary(folder, embedder, database)
        (match,) = borrowed.rerank(described, borrowed.candidates(described), 1)
        borrowed.close()
        ids.append(match.reference.id)
        assert reference_metadata.get(database, [match.reference.id])[match.reference.id].rights == rights
    assert ids[0] == ids[1]


def test_filters_and_pins_work_as_in_the_library(
    borrowed: BorrowedLibrary,
    pictures: Path,
    embedder: CountingEmbedder,
    database: Database,
    folder: Path,
    photographs: dict[str, Image.Image],
) -> None:
    described = asked(embedder, photographs["coffee"])
    where = ReferenceFilter(tags=("cat",))
    assert len(borrowed.allowed(where)) == 1
    (match,) = borrowed.rerank(described, borrowed.candidates(described, where), 5)
    assert match.reference.path == pictures / "chelsea.png"
    pinned = borrowed.at(pictures / "retina.png")
    assert pinned is not None
    assert references.get(database, [pinned.id])[pinned.id].sha256 == pinned.sha256
    assert borrowed.at(pictures / "gone.png") is None
    assert len(on_record(database, folder)) == 2


def test_what_is_removed_meanwhile_is_not_handed_out(
    borrowed: BorrowedLibrary,
    folder: Path,
    embedder: CountingEmbedder,
    database: Database,
    photographs: dict[str, Image.Image],
) -> None:
    described = asked(embedder, photographs["coffee"])
    found = borrowed.candidates(described)
    best = borrowed.rerank(described, found, 6)[0].reference
    with ReferenceLibrary.open(folder) as library:
        library.remove(next(one.id for one in library.list() if one.sha256 == best.sha256))
    assert best.sha256 not in {
        match.reference.sha256 for match in borrowed.rerank(described, borrowed.candidates(described), 6)
    }
    fresh = BorrowedLibrary(folder, embedder, database)
    # found before it was removed, handed out after: the record of the library is believed
    assert [match.rank for match in fresh.rerank(described, found, 6)] == [1, 2, 3, 4, 5]
    fresh.close()
    assert best.id in references.get(database, [best.id])  # what was handed out once stays on record


def test_a_library_that_was_moved_with_its_pictures(
    tmp_path: Path, pictures: Path, embedder: CountingEmbedder, database: Database, photographs: dict[str, Image.Image]
) -> None:
    shutil.copytree(pictures, tmp_path / "here" / "pictures")
    with ReferenceLibrary.open(tmp_path / "here") as library:
        library.add([tmp_path / "here" / "pictures"])
    shutil.move(tmp_path / "here", tmp_path / "there")
    borrowed = BorrowedLibrary(tmp_path / "there", embedder, database)
    described = asked(embedder, photographs["coffee"])
    (match,) = borrowed.rerank(described, borrowed.candidates(described), 1)
    borrowed.close()
    assert match.reference.path.is_relative_to(tmp_path / "there")
    assert on_record(database, tmp_path / "there")[0].path == "pictures/coffee.png"


def test_parts_that_a_library_from_before_lacks_are_made_there(
    folder: Path, embedder: CountingEmbedder, database: Database, photographs: dict[str, Image.Image]
) -> None:
    described = asked(embedder, photographs["coffee"])
    forget_parts(folder / DATABASE_NAME)
    borrowed = BorrowedLibrary(folder, embedder, database)
    assert len(borrowed.rerank(described, borrowed.candidates(described), 3)) == 3
    borrowed.close()
    with open_database(f"sqlite:///{folder / DATABASE_NAME}") as source:
        assert reference_parts.without(source, embedder.parts_version, ".") == []


def test_refused_in_one_line(folder: Path, pictures: Path, embedder: CountingEmbedder, database: Database) -> None:
    with pytest.raises(RetrievalError, match="no reference library in"):
        BorrowedLibrary(pictures, embedder, database)
    newer = CountingEmbedder.from_pretrained()
    newer.version += "+newer"
    with pytest.raises(RetrievalError, match="embedded by another model; run: archive-colorizer references rebuild"):
        BorrowedLibrary(folder, newer, database)


def test_a_run_on_postgresql_borrows_from_a_folder(
    folder: Path, embedder: CountingEmbedder, photographs: dict[str, Image.Image]
) -> None:
    described = asked(embedder, photographs["chelsea"])
    with (
        running_server() as server,
        fresh_database(server, "borrowed") as url,
        open_database(url) as database,
    ):
        borrowed = BorrowedLibrary(folder, embedder, database)
        matches = borrowed.rerank(described, borrowed.candidates(described), 3)
        borrowed.close()
        assert sorted(one.id for one in on_record(database, folder)) == sorted(one.reference.id for one in matches)
