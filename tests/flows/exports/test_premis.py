"""The PREMIS document of an output folder tells which file came from what, by what, and who decided on it."""

from pathlib import Path

import pytest

from flows.errors import ExitCode, UsageError
from flows.exports.premis import export_premis
from storage.database import (
    Database,
    audit,
    colorizations,
    events,
    fixity,
    open_database,
    reference_metadata,
    reviews,
    sqlite_url,
)
from storage.database.fixity import Checked
from storage.database.records import ReferenceMetadata
from storage.fixity import sha256_file
from tests.flows.exports.exported_archive import Colorized
from tests.storage.database import samples
from tests.storage.exports.schemas import NAMES, read_premis, texts

PHOTOGRAPH = "album & more/Tässchen.jpg"


def of_path(colorized: Colorized, path: str) -> list[colorizations.RunColorization]:
    return [row for row in colorizations.find(colorized.database, colorized.output_root, path) if row.state == "done"]


def export(colorized: Colorized, tmp_path: Path):  # type: ignore[no-untyped-def]
    target = tmp_path / "premis.xml"
    report = export_premis(colorized.database, colorized.output_root, target)
    assert (report.exit_code, report.files) == (ExitCode.DONE, (target,))
    document = read_premis(target)
    assert report.objects == len(document.xpath("//p:object", namespaces=NAMES))
    return document


def test_every_file_is_an_object_with_its_digest(colorized: Colorized, tmp_path: Path) -> None:
    document = export(colorized, tmp_path)
    seen = set()
    for file in document.xpath("//p:object[@xsi:type='file']", namespaces=NAMES):
        (place,), (digest,) = (texts(file, f".//p:{name}") for name in ("contentLocationValue", "messageDigest"))
        (size,) = texts(file, ".//p:size")
        assert sha256_file(Path(place)) == digest
        assert Path(place).stat().st_size == int(size)
        seen.add(Path(place).name)
    copies = {path.name for path in colorized.output.rglob("*.tif")} | {
        path.name for path in colorized.output.glob("*.pdf")
    }
    assert copies
    assert copies <= seen
    assert {"Tässchen.jpg", "letters.pdf"} <= seen


def test_a_copy_has_its_source_and_reference(colorized: Colorized, tmp_path: Path) -> None:
    document = export(colorized, tmp_path)
    (row,) = of_path(colorized, PHOTOGRAPH)
    copy = f"output:{row.output_sha256}:{row.output_path}"
    object_ = f"//p:object[p:objectIdentifier/p:objectIdentifierValue='{copy}']"
    source = f"source:{row.source_sha256}:{PHOTOGRAPH}"
    related = f"{object_}/p:relationship[p:relationshipSubType='has source']//p:relatedObjectIdentifierValue"
    assert texts(document, related) == [source, f"reference:{row.reference_id}"]
    inverse = f"//p:object[p:objectIdentifier/p:objectIdentifierValue='{source}']/p:relationship"
    assert texts(document, f"{inverse}/p:relationshipSubType") == ["is source of"]
    assert copy in texts(document, f"{inverse}//p:relatedObjectIdentifierValue")
    assert texts(document, f"{object_}//p:formatRegistryKey") == ["fmt/353"]


def test_the_event_says_with_what_it_was_colorized(colorized: Colorized, tmp_path: Path) -> None:
    document = export(colorized, tmp_path)
    (row,) = of_path(colorized, PHOTOGRAPH)
    event = f"//p:event[p:eventIdentifier/p:eventIdentifierValue='colorization:{row.id}']"
    assert texts(document, f"{event}/p:eventType") == ["modification"]
    assert texts(document, f"{event}//p:eventDetail") == ["colorization"]
    assert document.xpath(f"{event}//ac:parameter[@name='size']/@value", namespaces=NAMES) == ["64"]
    libraries = document.xpath(f"{event}//ac:library/@name", namespaces=NAMES)
    assert {"torch", "numpy"} <= set(libraries)
    assert document.xpath(f"{event}//ac:result/@reference_choice", namespaces=NAMES) == ["retrieved"]
    agents = texts(document, f"{event}//p:linkingAgentIdentifierValue")
    assert f"weights:{row.weights_sha256}" in agents
    roles = texts(document, f"{event}//p:linkingObjectRole")
    assert roles[:2] == ["source", "reference"]
    assert set(roles[2:]) == {"outcome"}
    digests = [text for text in texts(document, "//p:eventType") if text == "message digest calculation"]
    assert len(digests) == sum(1 for name in texts(document, "//p:objectIdentifierValue") if name.startswith("output:"))


def test_pages_are_parts_of_their_document(colorized: Colorized, tmp_path: Path) -> None:
    document = export(colorized, tmp_path)
    rows = of_path(colorized, "letters.pdf")
    assert len(rows) > 1
    pages = [f"item:{row.item_id}" for row in rows]
    entities = "//p:object[@xsi:type='intellectualEntity']"
    assert texts(document, f"{entities}/p:objectIdentifier/p:objectIdentifierValue") == pages
    whole = f"source:{rows[0].source_sha256}:letters.pdf"
    parts = "p:relationship[p:relationshipSubType='{}']//p:relatedObjectIdentifierValue"
    assert set(texts(document, f"{entities}/{parts.format('is part of')}")) == {whole}
    source = f"//p:object[p:objectIdentifier/p:objectIdentifierValue='{whole}']"
    assert texts(document, f"{source}/{parts.format('has part')}") == pages
    made = [one for one in texts(document, "//p:objectIdentifierValue") if one.startswith("output:")]
    assert [one for one in made if one.endswith(f":{rows[0].output_path}")] == [
        f"output:{rows[0].output_sha256}:{rows[0].output_path}"
    ]


def test_decisions_checks_and_reproductions(colorized: Colorized, tmp_path: Path) -> None:
    database = colorized.database
    (row,) = of_path(colorized, PHOTOGRAPH)
    assert row.output_path is not None
    assert row.output_sha256 is not None
    reviews.decide(database, row.id, "approved", reviewer="reviewer 1", reason="as the <original>")
    file = f"{colorized.output_root}/{row.output_path}"
    source = str(colorized.archive / PHOTOGRAPH)
    verification, _ = fixity.begin(database, "a test")
    intact = Checked("output", "intact", file, row.output_sha256, row.output_sha256, row.id)
    changed = Checked("source", "changed", source, row.source_sha256, "0" * 64, row.id)
    other = Checked("reference", "intact", "/elsewhere", "1" * 64, "1" * 64)
    fixity.record(database, [intact, changed, other], verification)
    with database.write() as session:
        events.append(
            session, events.REPRODUCED, agent=events.agent(), outcome="identical", run_id=1, colorization_id=row.id
        )
    document = export(colorized, tmp_path)
    review = "//p:event[p:eventOutcomeInformation/p:eventOutcome='approved']"
    assert texts(document, f"{review}/p:eventType") == ["validation"]
    assert texts(document, f"{review}//p:eventOutcomeDetailNote") == ["as the <original>"]
    assert texts(document, f"{review}//p:linkingAgentIdentifierValue") == ["person:reviewer 1"]
    assert f"output:{row.output_sha256}:{row.output_path}" in texts(
        document, f"{review}//p:linkingObjectIdentifierValue"
    )
    checks = "//p:event[p:eventType='fixity check']"
    assert texts(document, f"{checks}//p:eventOutcome") == ["fail", "pass"]
    assert texts(document, f"{checks}//p:linkingObjectIdentifierValue") == [
        f"source:{row.source_sha256}:{PHOTOGRAPH}",
        f"output:{row.output_sha256}:{row.output_path}",
    ]
    assert "identical" in texts(document, "//p:event[p:eventType='validation']//p:eventOutcome")


def test_rights_of_references(colorized: Colorized, tmp_path: Path) -> None:
    (row,) = of_path(colorized, PHOTOGRAPH)
    assert row.reference_id is not None
    described = ReferenceMetadata(rights="Archive of glass, all rights \x01 reserved")
    reference_metadata.record(colorized.database, {row.reference_id: described})
    document = export(colorized, tmp_path)
    assert texts(document, "//p:rightsBasis") == ["other"]
    assert texts(document, "//p:otherRightsNote") == ["Archive of glass, all rights \\x01 reserved"]
    linked = "//p:object[p:linkingRightsStatementIdentifier]/p:objectIdentifier/p:objectIdentifierValue"
    assert texts(document, linked) == [f"reference:{row.reference_id}"]


def test_identifiers_are_the_same_in_every_export(colorized: Colorized, tmp_path: Path) -> None:
    first = texts(export(colorized, tmp_path), "//p:objectIdentifierValue | //p:eventIdentifierValue")
    second = texts(export(colorized, tmp_path), "//p:objectIdentifierValue | //p:eventIdentifierValue")
    assert first == second


def test_the_export_goes_on_record(colorized: Colorized, tmp_path: Path) -> None:
    export(colorized, tmp_path)
    (last,) = audit.rows(colorized.database, "audit_event", limit=1)
    assert (last["type"], last["outcome"]) == ("exported", "complete")
    assert last["message"] == f"PREMIS document premis.xml, SHA-256 {sha256_file(tmp_path / 'premis.xml')}"


def test_refusals(colorized: Colorized, tmp_path: Path) -> None:
    database, root = colorized.database, colorized.output_root
    with pytest.raises(UsageError, match="is a folder"):
        export_premis(database, root, tmp_path)
    with pytest.raises(UsageError, match="one in the other"):
        export_premis(database, root, colorized.archive / "premis.xml")
    with pytest.raises(UsageError, match="nothing that counts was colorized by run 7"):
        export_premis(database, root, tmp_path / "premis.xml", 7)
    assert not (tmp_path / "premis.xml").exists()


@pytest.fixture
def film(tmp_path: Path) -> Database:
    """The record of a film in a folder of frames, with a shot of the library, one of a given picture; twice."""
    database = open_database(sqlite_url(tmp_path / "film.db"))
    ids = samples.items.upsert(database, [samples.item("reel 7", kind="film", format=None, frames=20)])
    (library,) = samples.add_references(database, "forest.jpg")
    shots = (
        samples.shot(1, 0, 9, reference_id=library, reference_path="forest.jpg", reference_sha256=samples.digest("f")),
        samples.shot(
            2, 10, 19, reference_choice="given", reference_path="/given/sea.png", reference_sha256=samples.digest("5")
        ),
    )
    for second in (0, 100):
        run = samples.start_run(database, started_at=samples.at(second))
        made = samples.done(
            ids["reel 7", 1],
            output_path="reel 7.mkv",
            output_sha256=samples.digest("e" if second else "d"),
            output_format="ffv1",
            shots=shots,
            copies=(samples.further_copy("reel 7.mp4"),),
        )
        colorizations.record(database, run, [made])
    (old,) = [row.id for row in colorizations.of_run(database, run - 1)]
    colorizations.keep(database, old, "superseded/1/reel 7.mkv")
    return database


def test_a_film_of_frames_and_what_was_kept(film: Database, tmp_path: Path) -> None:
    with film:
        export_premis(film, samples.OUTPUT, tmp_path / "premis.xml")
    document = read_premis(tmp_path / "premis.xml")
    assert texts(document, "//p:object[@xsi:type='representation']/p:originalName") == ["reel 7"]
    new, old = (f"output:{samples.digest(letter)}:reel 7.mkv" for letter in "ed")
    object_ = "//p:object[p:objectIdentifier/p:objectIdentifierValue='{}']"
    replaced = "/p:relationship[p:relationshipType='replacement']"
    assert texts(document, f"{object_.format(new)}{replaced}//p:relatedObjectIdentifierValue") == [old]
    assert texts(document, f"{object_.format(old)}{replaced}//p:relatedObjectIdentifierValue") == [new]
    assert texts(document, f"{object_.format(old)}//p:contentLocationValue") == [
        f"{samples.OUTPUT}/superseded/1/reel 7.mkv"
    ]
    given = f"reference:{samples.digest('5')}"
    related = texts(document, f"{object_.format(new)}//p:relatedObjectIdentifierValue")
    assert given in related
    assert "reference:1" in related
    assert texts(document, f"{object_.format(given)}//p:contentLocationValue") == ["/given/sea.png"]
    numbers = document.xpath("//p:event[1]//ac:shot/@number", namespaces=NAMES)
    assert numbers == ["1", "2"]
