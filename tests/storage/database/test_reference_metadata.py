"""What describes references: kept by id, written only where it differs, and looked for exactly."""

import numpy as np
import pytest

from storage.database import Database, reference_metadata, reference_vectors, references
from storage.database.records import ReferenceMetadata
from tests.storage.database.samples import LIBRARY, add_references, reference

FARM = ReferenceMetadata(
    caption="Sheep below the Säntis",
    rights="CC BY 4.0, Zürich",
    creator="M. Keller",
    created="c. 1936",
    year_first=1931,
    year_last=1941,
    tags=("Farm", "Äcker"),
)
TOWN = ReferenceMetadata(rights="© ETH-Bibliothek", year_first=1890, year_last=1900, tags=("farm", "town"))
NOTHING = ReferenceMetadata()


def _matching(db: Database, **conditions: object) -> list[int]:
    return list(reference_metadata.matching(db, LIBRARY, **conditions).tolist())  # type: ignore[arg-type]


@pytest.fixture
def four(db: Database) -> list[int]:
    """A farm, a town, one of which its file says nothing, one that was not asked; and one elsewhere, like the farm."""
    ids = add_references(db, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    elsewhere = references.upsert(db, [reference("a.jpg", library="/elsewhere")])["a.jpg"]
    written = reference_metadata.record(db, {ids[0]: FARM, ids[1]: TOWN, ids[2]: NOTHING, elsewhere: FARM})
    assert written == 4
    return ids


def test_it_comes_back_as_it_was(db: Database, four: list[int]) -> None:
    a, b, c, d = four
    assert reference_metadata.get(db, [*four, 999]) == {a: FARM, b: TOWN, c: NOTHING}
    assert reference_metadata.unread(db, LIBRARY) == [(d, "d.jpg")]


def test_only_what_differs_is_written_and_no_change_is_counted(db: Database, four: list[int]) -> None:
    a, b, c, _ = four
    change = reference_vectors.latest_change(db, LIBRARY)
    other = ReferenceMetadata(caption="Goats", tags=("Farm",))
    assert reference_metadata.record(db, {a: FARM, b: TOWN, c: NOTHING}) == 0
    assert reference_metadata.record(db, {a: other, b: TOWN, 999: FARM}) == 1
    assert reference_metadata.get(db, [a, b]) == {a: other, b: TOWN}
    assert reference_vectors.latest_change(db, LIBRARY) == change


def test_what_no_database_can_hold_is_kept_readable(db: Database, four: list[int]) -> None:
    strange = ReferenceMetadata(caption="nul\0 and \udcff", tags=("\udcff", "a\0"))
    for written in (1, 0):
        assert reference_metadata.record(db, {four[3]: strange}) == written
    (found,) = reference_metadata.get(db, [four[3]]).values()
    assert (found.caption, found.tags) == ("nul\\x00 and \\udcff", ("\\udcff", "a\\x00"))


def test_an_embedding_made_anew_leaves_it(db: Database, four: list[int]) -> None:
    references.retire(db, four[:1])
    again = references.upsert(db, [reference("a.jpg", sha256="a" * 64, embedding_version="vgg-2")])
    assert again == {"a.jpg": four[0]}
    assert reference_metadata.get(db, four[:1]) == {four[0]: FARM}


def test_filters(db: Database, four: list[int]) -> None:
    a, b, c, d = four
    assert _matching(db) == [a, b, c, d]
    # databases lower "Ü" differently or not at all; here it is always done
    assert _matching(db, rights=["cc by 4.0,  ZÜRICH"]) == [a]
    assert _matching(db, rights=["CC BY 4.0"]) == []
    assert _matching(db, rights=["cc by 4.0, zürich", "© eth-bibliothek"]) == [a, b]
    assert _matching(db, tags=["FARM"]) == [a, b]
    assert _matching(db, tags=["farm", "äCKER"]) == [a]
    assert _matching(db, tags=["farm", "sea"]) == []
    assert _matching(db, tags=["farm"], rights=["© ETH-Bibliothek"], years=(1900, 1936)) == [b]


@pytest.mark.parametrize(
    ("years", "found"),
    [((1941, 1950), [0]), ((1942, 1950), []), ((1900, 1931), [0, 1]), ((1000, 1889), []), ((1895, 1896), [1])],
)
def test_years_overlap(db: Database, four: list[int], years: tuple[int, int], found: list[int]) -> None:
    assert _matching(db, years=years) == [four[number] for number in found]


def test_what_is_not_in_use_never_matches(db: Database, four: list[int]) -> None:
    references.retire(db, four[:1])
    assert _matching(db, tags=["farm"]) == [four[1]]
    assert reference_metadata.matching(db, LIBRARY, tags=["nothing"]).dtype == np.int64
