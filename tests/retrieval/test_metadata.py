"""What describes references: from their files and from tables, taken over by runs, and what a filter makes of it."""

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from retrieval import ReferenceFilter, ReferenceLibrary, RetrievalError
from retrieval.metadata_table import TableReport
from storage.database import Database, reference_metadata
from storage.database.records import ReferenceMetadata
from tests.storage.images.test_description import packet

from .conftest import CountingEmbedder

SHEEP = packet("<dc:rights>CC0</dc:rights><dc:subject>Farm</dc:subject>", 'photoshop:DateCreated="c. 1936"')


@pytest.fixture
def described(library: ReferenceLibrary, pictures: Path, photographs: dict[str, Image.Image]) -> ReferenceLibrary:
    """A library of the photographs, of which the file of one says something."""
    photographs["chelsea"].save(pictures / "chelsea.webp", lossless=True, xmp=SHEEP)
    (pictures / "chelsea.png").unlink()
    library.add([pictures])
    return library


def ids(library: ReferenceLibrary) -> dict[str, int]:
    return {one.path.stem: one.id for one in library.list()}


def known(database: Database, library: ReferenceLibrary, name: str) -> ReferenceMetadata:
    (found,) = reference_metadata.get(database, [ids(library)[name]]).values()
    return found


def table(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    file = folder / "table.csv"
    file.write_bytes("\n".join(lines).encode(encoding))
    return file


def found(library: ReferenceLibrary, image: Image.Image, **conditions: object) -> list[str]:
    where = ReferenceFilter(**conditions)  # type: ignore[arg-type]
    return [match.reference.path.stem for match in library.search(image, k=9, where=where)]


def test_files_are_asked_once(described: ReferenceLibrary, database: Database, pictures: Path) -> None:
    sheep = ReferenceMetadata(rights="CC0", created="c. 1936", year_first=1931, year_last=1941, tags=("Farm",))
    assert known(database, described, "chelsea") == sheep
    assert known(database, described, "coffee") == ReferenceMetadata()
    other = ReferenceMetadata(rights="all reserved")
    reference_metadata.record(database, {ids(described)["chelsea"]: other})
    described.add([pictures])
    assert known(database, described, "chelsea") == other


def test_a_library_from_before_is_asked_when_it_is_added_again(
    described: ReferenceLibrary, database: Database, pictures: Path, embedder: CountingEmbedder
) -> None:
    with database.write() as session:
        session.execute(sa.text("UPDATE reference SET metadata_read = FALSE, rights = NULL"))
        session.execute(sa.text("DELETE FROM reference_tag"))
    embedder.embedded = 0
    version = described.index_version
    assert described.add([pictures]).unchanged == 6
    assert (known(database, described, "chelsea").tags, known(database, described, "chelsea").rights) == (
        ("Farm",),
        "CC0",
    )
    assert (embedder.embedded, described.index_version) == (0, version)


def test_new_content_is_asked_anew_and_the_same_content_elsewhere_too(
    described: ReferenceLibrary, database: Database, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    (pictures / "again.webp").write_bytes((pictures / "chelsea.webp").read_bytes())
    photographs["chelsea"].rotate(90, expand=True).save(pictures / "chelsea.webp", lossless=True)
    described.add([pictures])
    assert known(database, described, "chelsea") == ReferenceMetadata()
    assert known(database, described, "again").rights == "CC0"


def test_a_table_describes_what_it_names_and_nothing_is_embedded(
    described: ReferenceLibrary, database: Database, pictures: Path, embedder: CountingEmbedder
) -> None:
    embedder.embedded = 0
    version = described.index_version
    rows = ["path,caption,rights,creator,date,tags", 'coffee.png,"A cup, full",PD,M. Keller,1930s,"Cup; table;cup"']
    rows += ["Außer Haus/rocket.png,,CC BY 4.0,,soon,", f"{pictures / 'chelsea.webp'},Katze,,,-,-", ""]
    file = table(pictures, *rows)
    assert described.describe(file, pictures) == TableReport(described=3, changed=3)
    cup = ReferenceMetadata(
        caption="A cup, full",
        rights="PD",
        creator="M. Keller",
        created="1930s",
        year_first=1930,
        year_last=1939,
        tags=("Cup", "table"),
    )
    assert known(database, described, "coffee") == cup
    assert known(database, described, "rocket") == ReferenceMetadata(rights="CC BY 4.0", created="soon")
    # an empty cell leaves what the file says, a hyphen takes it away
    assert known(database, described, "chelsea") == ReferenceMetadata(caption="Katze", rights="CC0")
    assert described.describe(file, pictures) == TableReport(described=3, changed=0)
    file = table(pictures, *rows[:1], rows[1].replace("PD", "CC0"), *rows[2:])
    assert described.describe(file, pictures) == TableReport(described=3, changed=1)
    assert (embedder.embedded, described.index_version) == (0, version)


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-8", ",")], ids=["Excel", "Unicode", "plain"]
)
def test_tables_as_offices_save_them(
    described: ReferenceLibrary, database: Database, pictures: Path, tmp_path: Path, encoding: str, delimiter: str
) -> None:
    lines = [
        delimiter.join(cells) for cells in (("Rights", "Path"), ("Ä", "coffee.png"), ("Ö", "Außer Haus\\rocket.png"))
    ]
    file = table(tmp_path, "\r\n".join(lines), encoding=encoding)
    assert described.describe(file, pictures) == TableReport(described=2, changed=2)
    assert [known(database, described, name).rights for name in ("coffee", "rocket")] == ["Ä", "Ö"]


def test_what_is_wrong_in_a_table_is_told_line_by_line_and_the_rest_done(
    described: ReferenceLibrary, database: Database, pictures: Path
) -> None:
    lines = [b"path,rights,shelf", b"gone.png,CC0,1", b"coffee.png,CC0,2", b"rocket.png,\xc4,3", b"coffee.png,PD,4"]
    lines += [b",CC0,5", b"chelsea.webp,all, rights,reserved", b'retina.png,"a"b,6', b"astronaut.png,PD,7"]
    file = pictures / "table.csv"
    file.write_bytes(b"\n".join(lines))
    report = described.describe(file, pictures)
    assert (report.described, report.changed) == (2, 2)
    problems = [line.removeprefix("line ").replace(f" of {file}", "") for line in sorted(report.problems)]
    assert [line.split(":")[0] for line in problems] == ["2", "4", "5", "6", "7", "8"]
    assert [part in line for part, line in zip(PARTS, problems, strict=True)] == [True] * 6, problems
    assert report.notes == (f"{file}: not read: the columns shelf",)
    assert known(database, described, "coffee").rights == "CC0"
    assert known(database, described, "astronaut").rights == "PD"


PARTS = ("is no reference in use", "not UTF-8", "line 3 already", "names no picture", "more cells", "quotation marks")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("rights\nCC0", "has no column path in its first line; name the columns path, caption, rights"),
        ("path\ncoffee.png", "has no column that describes a reference"),
        ("path,rights,rights\ncoffee.png,a,b", "has the column rights twice"),
        ("", "has no column path"),
    ],
)
def test_a_table_without_its_columns_is_one_line(
    described: ReferenceLibrary, pictures: Path, content: str, problem: str
) -> None:
    report = described.describe(table(pictures, content), pictures)
    assert report.described == 0
    assert [problem in line for line in report.problems] == [True]


def test_a_table_that_is_gone_is_one_line(described: ReferenceLibrary, pictures: Path) -> None:
    (problem,) = described.describe(pictures / "gone.csv", pictures).problems
    assert "gone.csv cannot be read (no such file or directory)" in problem


def test_filters_decide_what_is_found(
    described: ReferenceLibrary, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    rows = ["path,rights,date,tags", "coffee.png,CC0,1905,cup", "Außer Haus/rocket.png,CC0,1969,sky;farm"]
    described.describe(table(pictures, *rows), pictures)
    cup = photographs["coffee"]
    assert found(described, cup)[0] == "coffee"
    assert len(found(described, cup)) == 6
    assert found(described, cup, rights=("cc0",))[0] == "coffee"
    assert {*found(described, cup, rights=("cc0",))} == {"coffee", "chelsea", "rocket"}
    assert {*found(described, cup, tags=("FARM",))} == {"chelsea", "rocket"}
    assert found(described, cup, tags=("FARM", "sky")) == ["rocket"]
    assert {*found(described, cup, years=(1900, 1931))} == {"coffee", "chelsea"}
    assert found(described, cup, rights=("PD",)) == []
    assert found(described, cup, only=(pictures / "retina.png",)) == ["retina"]
    assert found(described, cup, only=(pictures / "retina.png", pictures / "coffee.png"), tags=("cup",)) == ["coffee"]
    never = found(described, cup, never=(pictures / "coffee.png",))
    assert (len(never), "coffee" in never) == (5, False)
    with pytest.raises(RetrievalError, match=r"gone\.png is not in the reference library; check the path"):
        found(described, cup, never=(pictures / "gone.png",))


def test_never_means_the_content_wherever_it_lies(
    described: ReferenceLibrary, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    (pictures / "copy.png").write_bytes((pictures / "coffee.png").read_bytes())
    described.add([pictures])
    left = found(described, photographs["coffee"], never=(pictures / "coffee.png",))
    assert not {"coffee", "copy"} & {*left}
    # what was listed and is gone since is no mistake
    (pictures / "coffee.png").unlink()
    described.add([pictures])
    assert found(described, photographs["coffee"], never=(pictures / "coffee.png",)) == left


def test_what_is_described_anew_counts_at_once(
    described: ReferenceLibrary, pictures: Path, photographs: dict[str, Image.Image]
) -> None:
    where = ReferenceFilter(tags=("cup",))
    assert described.search(photographs["coffee"], where=where) == []
    described.describe(table(pictures, "path,tags", "coffee.png,cup"), pictures)
    assert len(described.search(photographs["coffee"], where=where)) == 1
    allowed = described.allowed(where)
    described.remove(int(allowed[0]))
    assert described.search(photographs["coffee"], where=where) == []


def test_the_key_of_a_filter_is_that_of_its_conditions(tmp_path: Path) -> None:
    one = ReferenceFilter(rights=("CC0", "PD"), tags=("a", "b"), only=(tmp_path / "x", tmp_path / "y"))
    other = ReferenceFilter(rights=("pd", "cc0"), tags=("B", "a", "a"), only=(tmp_path / "y", tmp_path / "x"))
    assert one.key == other.key
    different = [
        ReferenceFilter(),
        ReferenceFilter(only=()),
        ReferenceFilter(rights=("a",)),
        ReferenceFilter(tags=("a",)),
    ]
    different += [
        ReferenceFilter(years=(1900, 1901)),
        ReferenceFilter(never=(tmp_path,)),
        ReferenceFilter(only=(tmp_path,)),
    ]
    assert len({where.key for where in [one, *different]}) == len(different) + 1


def test_a_filter_equals_exact_search(
    described: ReferenceLibrary, embedder: CountingEmbedder, photographs: dict[str, Image.Image]
) -> None:
    vectors = {one.path.stem: embedder.describe([photographs[one.path.stem]]).vectors[0] for one in described.list()}
    allowed = described.allowed(ReferenceFilter(tags=("Farm",)))
    assert [ids(described)["chelsea"]] == allowed.tolist()
    query = vectors["coffee"][np.newaxis]
    ((match,),) = described.search_vectors(query, 5, allowed)
    assert match.score == pytest.approx(max(0.0, float(vectors["chelsea"] @ vectors["coffee"])), abs=1e-5)
