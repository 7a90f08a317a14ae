"""The library: incremental, honest about failures, and never a reference that is not there as recorded."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from retrieval import ReferenceLibrary, RetrievalError
from storage.database import Database, references

from .conftest import CountingEmbedder


def test_adds_a_folder_and_finds_in_it(
    library: ReferenceLibrary, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    steps: list[tuple[int, int]] = []
    report = library.add([pictures], progress=lambda done, found: steps.append((done, found)))
    assert (report.added, report.unchanged, report.failed) == (6, 0, ())
    assert steps == [(number, 6) for number in range(1, 7)]
    assert len(library) == len(library.list()) == 6
    for name, photograph in photographs.items():
        matches = library.search(photograph.convert("L"), k=3)
        assert matches[0].reference.path.stem == name
        assert matches[0].score > 0.95
        assert [match.rank for match in matches] == [1, 2, 3]
        scores = [match.score for match in matches]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
    rocket = next(one for one in library.list() if one.path.stem == "rocket")
    assert rocket.path == pictures / "Außer Haus" / "rocket.png"
    assert (rocket.width, rocket.height) == photographs["rocket"].size


def test_only_what_is_new_or_changed_is_embedded(
    library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path
) -> None:
    library.add([pictures])
    assert embedder.embedded == 6
    version = library.index_version

    report = library.add([pictures])
    assert (report.added, report.unchanged, embedder.embedded) == (0, 6, 6)

    os.utime(pictures / "coffee.png")  # touched: read again, not embedded again
    report = library.add([pictures])
    assert (report.added, report.unchanged, embedder.embedded) == (0, 6, 6)
    assert library.index_version == version

    Image.open(pictures / "chelsea.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pictures / "cat.png")
    report = library.add([pictures])
    assert (report.added, report.unchanged, embedder.embedded) == (1, 6, 7)
    assert library.index_version != version


def test_a_changed_file_is_a_new_reference(
    library: ReferenceLibrary, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    library.add([pictures])
    before = {one.path.stem: one for one in library.list()}
    photographs["retina"].rotate(90, expand=True).save(pictures / "coffee.png")
    assert all(match.reference.path.stem != "coffee" for match in library.search(photographs["coffee"], k=6))
    report = library.add([pictures])
    after = {one.path.stem: one for one in library.list()}
    assert (report.added, report.retired) == (1, 1)
    assert after["coffee"].id not in {one.id for one in before.values()}
    assert after["coffee"].sha256 != before["coffee"].sha256


def test_the_same_content_is_embedded_and_returned_once(
    library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    shutil.copy(pictures / "coffee.png", pictures / "coffee again.png")
    library.add([pictures])
    shutil.copy(pictures / "coffee.png", pictures / "coffee later.png")
    report = library.add([pictures])
    assert (report.added, report.linked, embedder.embedded) == (1, 1, 6)
    paths = [match.reference.path for match in library.search(photographs["coffee"], k=8)]
    assert len(paths) == 6
    assert sum(path.stem.startswith("coffee") for path in paths) == 1
    paths[0].unlink()  # another copy steps in
    assert library.search(photographs["coffee"], k=1)[0].reference.path.stem.startswith("coffee")


def test_a_removed_reference_stays_out_until_named(
    library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    library.add([pictures])
    removed = library.search(photographs["astronaut"], k=1)[0].reference
    library.remove(removed.id)
    assert all(one.reference.id != removed.id for one in library.search(photographs["astronaut"], k=9))
    assert library.add([pictures]).left_out == 1
    assert len(library.list()) == 5
    with pytest.raises(RetrievalError, match="no reference"):
        library.remove(removed.id)
    count = embedder.embedded
    report = library.add([removed.path])
    assert (report.added, report.linked, embedder.embedded) == (1, 1, count)
    assert library.search(photographs["astronaut"], k=1)[0].reference.sha256 == removed.sha256


def test_what_another_process_retires_is_not_returned(
    library: ReferenceLibrary, database: Database, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    library.add([pictures])
    version = library.index_version
    retired = library.search(photographs["coffee"], k=1)[0].reference
    references.retire(database, [retired.id])
    matches = library.search(photographs["coffee"], k=6)
    assert len(matches) == 5
    assert all(match.reference.id != retired.id for match in matches)
    assert library.index_version != version


def test_a_file_that_is_gone_is_not_returned_and_then_retired(
    library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    library.add([pictures])
    (pictures / "coffee.png").rename(pictures.parent / "coffee.png")
    matches = library.search(photographs["coffee"], k=5)
    assert len(matches) == 5
    assert all(match.reference.path.exists() for match in matches)
    assert library.add([pictures / "Außer Haus"]).retired == 0  # another folder says nothing about it
    assert library.add([pictures]).retired == 1
    assert len(library.list()) == 5
    (pictures.parent / "coffee.png").rename(pictures / "coffee.png")  # a share that is mounted again
    count = embedder.embedded
    assert library.add([pictures]).added == 1
    assert embedder.embedded == count


def test_failures_are_recorded_and_do_not_stop_the_rest(
    library: ReferenceLibrary, database: Database, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    whole = (pictures / "chelsea.png").read_bytes()
    (pictures / "broken.png").write_bytes(whole[: len(whole) // 2])
    (pictures / "empty.jpg").write_bytes(b"")
    (pictures / "text.tif").write_text("this is no picture")
    (pictures / "notes.txt").write_text("this is no picture and does not claim to be one")
    (pictures / "dangling.png").symlink_to("nowhere.png")
    photographs["coffee"].convert("L").save(pictures / "grey.png")
    photographs["coffee"].convert("L").convert("RGB").save(pictures / "grey as RGB.png")
    sepia = np.asarray(photographs["coffee"].convert("L"), np.float32)[:, :, None] * (1.0, 0.87, 0.68)
    Image.fromarray(sepia.astype(np.uint8)).save(pictures / "sepia.jpg")

    for _ in range(2):
        report = library.add([pictures])
        failed = {one.path.name: one for one in report.failed}
        assert {name: one.error_type for name, one in failed.items()} == {
            "broken.png": "truncated",
            "empty.jpg": "empty",
            "text.tif": "not_an_image",
            "dangling.png": "dangling_link",
            "grey.png": "no_colour",
            "grey as RGB.png": "no_colour",
            "sepia.jpg": "no_colour",
        }
        for name, one in failed.items():
            assert name.split(".")[0] in one.message
            assert "\n" not in one.message
        assert len(library.list()) == 6
    known = references.known(database, str(pictures.resolve()))
    assert {path for path, one in known.items() if one.state == "failed"} == set(failed)

    shutil.copy(pictures / "chelsea.png", pictures / "text.tif")  # mended
    assert library.add([pictures]).added == 1


def test_a_path_that_does_not_exist_is_one_clear_line(library: ReferenceLibrary, pictures: Path) -> None:
    with pytest.raises(RetrievalError, match=r"nowhere.* cannot be read") as caught:
        library.add([pictures / "nowhere"])
    assert "\n" not in str(caught.value)


def test_a_damaged_index_is_built_again(
    library: ReferenceLibrary,
    database: Database,
    embedder: CountingEmbedder,
    pictures: Path,
    photographs: dict[str, Image.Image],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    library.add([pictures])
    expected = library.search(photographs["coffee"], k=6)
    damaged = next((tmp_path / "index").glob("*.vectors"))
    data = bytearray(damaged.read_bytes())
    data[-50] ^= 1
    damaged.write_bytes(data)
    again = ReferenceLibrary(database, tmp_path / "index", embedder, library_root=pictures)
    (line,) = caplog.messages
    assert str(damaged) in line
    assert "built again from the database" in line
    assert again.search(photographs["coffee"], k=6) == expected
    assert again.index_version == library.index_version
    caplog.clear()
    ReferenceLibrary(database, tmp_path / "index", embedder, library_root=pictures)
    assert caplog.messages == []  # what was built again is whole


def test_only_those_allowed_are_returned(
    library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    shutil.copy(pictures / "coffee.png", pictures / "coffee again.png")
    library.add([pictures])
    by_name = {one.path.stem: one for one in library.list()}
    queries = embedder.embed([photographs["coffee"], photographs["chelsea"]])
    among = np.array([by_name[name].id for name in ("coffee again", "rocket", "retina")] + [10**9])
    for matches in library.search_vectors(queries, 5, among):
        assert {one.reference.path.stem for one in matches} == {"coffee again", "rocket", "retina"}
    assert library.search_vectors(queries, 5, np.empty(0, np.int64)) == [[], []]


def test_an_index_that_disagrees_with_the_database_is_built_again(
    library: ReferenceLibrary,
    database: Database,
    pictures: Path,
    photographs: dict[str, Image.Image],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As when rows are changed by hand, without a count: the index is noticed to be of other rows, and files that were
    touched since they were recorded are held against their digests."""
    library.add([pictures])
    by_name = {one.path.stem: one for one in library.list()}
    one, other = by_name["coffee"], by_name["rocket"]
    with database.write() as session:
        for id_, sha256 in ((one.id, other.sha256), (other.id, one.sha256)):
            session.execute(
                sa.text("UPDATE reference SET sha256 = :sha256 WHERE id = :id"), {"sha256": sha256, "id": id_}
            )
    for touched in (one, other):
        touched.path.touch()
    matches = library.search(photographs["coffee"], k=6)
    assert any("built again" in line for line in caplog.messages)
    assert {match.reference.path.stem for match in matches} == set(by_name) - {"coffee", "rocket"}


def test_a_folder_that_cannot_be_written_does_not_stop_a_search(
    database: Database, embedder: CountingEmbedder, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "index").write_text("a file where the folder should be")
    library = ReferenceLibrary(database, tmp_path / "index", embedder, library_root=pictures)
    library.add([pictures])
    assert len(library.search(Image.open(pictures / "coffee.png"), k=2)) == 2


def test_another_root_in_the_same_database_is_another_library(
    library: ReferenceLibrary, database: Database, embedder: CountingEmbedder, pictures: Path, tmp_path: Path
) -> None:
    library.add([pictures])
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(pictures / "coffee.png", other)
    second = ReferenceLibrary(database, tmp_path / "second", embedder, library_root=other)
    assert second.search(Image.open(pictures / "chelsea.png"), k=5) == []
    count = embedder.embedded
    assert second.add([other]).linked == 1
    assert embedder.embedded == count
    assert len(second) == 1
    assert len(library.list()) == 6


def test_search_by_vectors_is_search(
    library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    library.add([pictures])
    queries = [photograph.convert("L") for photograph in photographs.values()]
    together = library.search_vectors(embedder.embed(queries), 200)
    for query, candidates in zip(queries, together, strict=True):
        assert library.search(query, k=4) == library.rerank(embedder.describe([query]), [candidates], 4)
    with pytest.raises(RetrievalError, match="1 or more"):
        library.search(queries[0], k=0)
    with pytest.raises(RetrievalError, match="shape"):
        library.search_vectors(np.zeros((2, 3), np.float32), 1)


def test_documents_are_no_references(library: ReferenceLibrary, pictures: Path) -> None:
    with Image.open(pictures / "coffee.png") as coffee:
        coffee.save(pictures / "pages.tif", save_all=True, append_images=[coffee])
        coffee.save(pictures / "scan.pdf")
    for paths in ([pictures], [pictures / "scan.pdf", pictures / "pages.tif"]):
        failed = {one.path.name: one.error_type for one in library.add(paths).failed}
        assert failed == {"pages.tif": "unsupported", "scan.pdf": "unsupported"}
