"""Near-duplicates: linked to the oldest of their group as they are added; one of a group is handed out."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance

from retrieval import ReferenceLibrary
from retrieval.near_duplicates import NearDuplicates
from storage.database import Database

from .conftest import CountingEmbedder


def cut(image: Image.Image, part: float) -> Image.Image:
    """Without this part of its width on the left, and of its height at the top."""
    return image.crop((int(image.width * part), int(image.height * part), image.width, image.height))


def half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def full(name: str) -> Image.Image:
    return Image.open(Path(skimage.data.__file__).parent / name).convert("RGB")


def links(library: ReferenceLibrary) -> dict[str, str | None]:
    """Of every reference in use the name of the file that it is a near-duplicate of."""
    listed = library.list()
    names = {one.id: one.path.name for one in listed}
    return {one.path.name: names[one.near_duplicate_of] if one.near_duplicate_of else None for one in listed}


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png"])
def test_copies_are_linked(library: ReferenceLibrary, pictures: Path, name: str) -> None:
    picture = full(name)
    picture.save(pictures / "first.png")
    library.add([pictures / "first.png"])
    copies = {
        "again.jpg": picture,
        "bright.jpg": ImageEnhance.Brightness(picture).enhance(1.25),
        "cut.jpg": cut(picture, 0.03),
        "half.jpg": half(picture),
    }
    for copy, changed in copies.items():
        changed.save(pictures / copy, quality=60)
    library.add([pictures / copy for copy in copies])
    assert links(library) == {"first.png": None} | dict.fromkeys(copies, "first.png")


def test_other_pictures_are_not(library: ReferenceLibrary, pictures: Path) -> None:
    picture = full("chelsea.png")
    third = picture.width // 3
    picture.crop((0, 0, 2 * third, picture.height)).save(pictures / "left.png")
    picture.crop((third, 0, 3 * third, picture.height)).save(pictures / "right.png")
    library.add([pictures])
    assert set(links(library).values()) == {None}
    assert len(links(library)) == 8


def test_one_of_a_group_is_found_the_best(library: ReferenceLibrary, pictures: Path) -> None:
    # together in one batch: the first by name is the oldest
    full("coffee.png").save(pictures / "a.png")
    cut(full("coffee.png"), 0.03).save(pictures / "b.png")
    (pictures / "coffee.png").unlink()
    library.add([pictures])
    assert links(library)["b.png"] == "a.png"
    assert sum(one is not None for one in links(library).values()) == 1
    for wanted in ("a.png", "b.png"):
        grey = Image.open(pictures / wanted).convert("L")
        found = [match.reference.path.name for match in library.search(grey, k=50)]
        assert found[0] == wanted
        assert len(found) == 6
        assert {"a.png", "b.png"} & set(found) == {wanted}
        by_vector = library.search_vectors(library._embedder.embed([grey]), 50)[0]
        assert [match.rank for match in by_vector] == [1, 2, 3, 4, 5, 6]


def test_two_frames_get_one_of_a_group(library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path) -> None:
    full("coffee.png").save(pictures / "a.png")
    cut(full("coffee.png"), 0.03).save(pictures / "b.png")
    (pictures / "coffee.png").unlink()
    library.add([pictures])
    described = embedder.describe([Image.open(pictures / name).convert("L") for name in ("a.png", "b.png")])
    candidates = library.candidates(described)
    assert {one[0].reference.path.name for one in candidates} == {"a.png", "b.png"}
    found = library.rerank(described, candidates, 50)
    assert len({match.reference.group for match in found}) == len(found) == 6
    assert [match.rank for match in found] == [1, 2, 3, 4, 5, 6]


def test_a_linked_one_steps_in(library: ReferenceLibrary, pictures: Path) -> None:
    picture = full("coffee.png")
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        cut(picture, 0.01 * number).save(pictures / name)
    (pictures / "coffee.png").unlink()
    library.add([pictures])
    oldest = next(one for one in library.list() if one.path.name == "a.png")
    library.remove(oldest.id)
    found = [match.reference.path.name for match in library.search(picture, k=50)]
    assert found[0] == "b.png"
    assert "c.png" not in found
    (pictures / "b.png").unlink()  # gone, and nobody has said so yet
    assert library.search(picture, k=50)[0].reference.path.name == "c.png"
    # what is added now belongs to the group still, though its oldest is retired
    half(picture).save(pictures / "d.png")
    library.add([pictures / "d.png"])
    newest = next(one for one in library.list() if one.path.name == "d.png")
    assert newest.near_duplicate_of == oldest.id


def test_a_changed_file_is_no_copy_of_itself(library: ReferenceLibrary, pictures: Path) -> None:
    library.add([pictures])
    with Image.open(pictures / "coffee.png") as picture:
        ImageEnhance.Brightness(picture.copy()).enhance(1.2).save(pictures / "coffee.png")
    assert library.add([pictures]).retired == 1
    assert set(links(library).values()) == {None}


def test_the_same_content_is_linked_too(library: ReferenceLibrary, pictures: Path) -> None:
    library.add([pictures])
    shutil.copy(pictures / "coffee.png", pictures / "again.png")
    library.add([pictures])
    assert links(library)["again.png"] == "coffee.png"


def test_a_row_of_pictures_makes_no_group(
    library: ReferenceLibrary, embedder: CountingEmbedder, pictures: Path
) -> None:
    picture = full("rocket.jpg")
    width = picture.width // 2
    for number in range(6):  # a camera that turns: each is much like the one before
        left = number * width // 10
        picture.crop((left, 0, left + width, picture.height)).save(pictures / f"turn {number}.png")
    library.add([pictures / "turn 0.png"])
    for number in range(1, 6):
        library.add([pictures / f"turn {number}.png"])
    oldest = {one.id: one for one in library.list()}
    found = {id_: one.near_duplicate_of for id_, one in oldest.items() if one.near_duplicate_of}
    described = {id_: embedder.describe([Image.open(one.path)]) for id_, one in oldest.items()}
    assert 0 < len(found) < 5
    for id_, first in found.items():
        assert oldest[first].near_duplicate_of is None
        assert float(described[id_].vectors[0] @ described[first].vectors[0]) >= 0.75


@pytest.mark.parametrize("held", [1, 2000], ids=["index brought up to date", "index as it was"])
def test_what_came_since_the_index_was_read_counts(
    library: ReferenceLibrary, pictures: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr("retrieval.near_duplicates._HELD", held)
    monkeypatch.setattr("retrieval.ingest.BATCH", 1)
    cut(full("coffee.png"), 0.02).save(pictures / "zz.png")
    library.add([pictures])
    assert links(library)["zz.png"] == "coffee.png"


def test_without_vectors_or_parts_nothing_is_alike(database: Database, library: ReferenceLibrary) -> None:
    duplicates = NearDuplicates(database, library._keeper, "v", "p")
    assert duplicates.find({}, {}) == {}
    assert duplicates.find({"a.png": np.ones(4, np.float32)}, {}) == {}
