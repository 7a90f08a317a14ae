"""PREMIS documents hold against the schema of PREMIS 3.0, whatever texts are in them."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from lxml import etree

from storage.exports.premis import IDENTIFIER_TYPE, PremisCounts, write_premis
from storage.exports.records import (
    Creation,
    Fact,
    FileFormat,
    FileObject,
    FramesObject,
    Link,
    PageObject,
    PremisAgent,
    PremisEvent,
    PremisObject,
    Relationship,
    RightsStatement,
)
from tests.storage.exports.schemas import PREMIS_XSD, read_premis, texts

NOON = datetime(2026, 3, 1, 13, 0, 0, 500, tzinfo=timezone(timedelta(hours=1)))
TIFF = FileFormat("image/tiff", "fmt/353")


def file_object(identifier: str, **changes: object) -> FileObject:
    values: dict[str, object] = {"original_name": "a.tif", "sha256": "a" * 64, "size": 12, "format": TIFF}
    return FileObject(identifier=identifier, **(values | changes))  # type: ignore[arg-type]


def everything() -> tuple[list[PremisObject], list[PremisEvent], list[PremisAgent], list[RightsStatement]]:
    """One of each, with everything that it can have."""
    made = file_object(
        "output:1",
        location=("file path", "/out/a.tif"),
        creation=Creation("archive-colorizer", "0.1.0", NOON),
        relationships=(
            Relationship("derivation", "has source", ("source:1",), ("event:1",)),
            Relationship("derivation", "has source", ("reference:1",)),
        ),
        events=("event:1",),
    )
    frames = FramesObject(
        identifier="source:1",
        original_name="reel 7",
        sha256="b" * 64,
        location=("file path", "/archive/reel 7"),
        relationships=(Relationship("structural", "has part", ("item:1",)),),
    )
    page = PageObject(
        identifier="item:1",
        name="reel 7, page 1",
        relationships=(Relationship("structural", "is part of", ("source:1",)),),
    )
    reference = file_object(
        "reference:1", rights=("rights:1",), sha256=None, size=None, format=FileFormat("image/jpeg")
    )
    event = PremisEvent(
        identifier="event:1",
        type="modification",
        at=NOON,
        detail="colorization",
        facts=(Fact("parameter", {"name": "size", "value": 512}), Fact("result", {"low_match": False, "rank": None})),
        outcome="success",
        note="a note",
        agents=(Link("software:1", "executing program"),),
        objects=(Link("source:1", "source"), Link("output:1", "outcome"), Link("reference:1")),
    )
    agent = PremisAgent(identifier="software:1", name="a program", type="software", version="0.1.0", note="a note")
    rights = RightsStatement(identifier="rights:1", basis="statement", note="CC0 1.0", objects=("reference:1",))
    return [frames, page, made, reference], [event], [agent], [rights]


def test_everything_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "premis.xml"
    assert write_premis(path, *everything()) == PremisCounts(4, 1, 1, 1)
    document = read_premis(path)
    assert document.getroot().get("version") == "3.0"
    assert set(texts(document, "//p:objectIdentifierType")) == {IDENTIFIER_TYPE}
    assert texts(document, "//p:eventDateTime") == ["2026-03-01T12:00:00.000Z"]
    assert texts(document, "//p:messageDigest") == ["a" * 64]
    assert texts(document, "//p:significantPropertiesValue") == ["b" * 64]
    assert texts(document, "//p:formatRegistryKey") == ["fmt/353"]
    (result,) = document.xpath("//ac:result", namespaces={"ac": "urn:archive-colorizer:provenance:1"})
    assert dict(result.attrib) == {"low_match": "false"}


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    """The schema is the real one: it notices a missing element."""
    path = tmp_path / "premis.xml"
    write_premis(path, *everything())
    document = read_premis(path)
    (agent,) = document.xpath("//p:agentIdentifier", namespaces={"p": "http://www.loc.gov/premis/v3"})
    agent.getparent().remove(agent)
    assert not etree.XMLSchema(etree.parse(PREMIS_XSD)).validate(document)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('Fürth & <Bahnhof> "1907" – 北京 😀', 'Fürth & <Bahnhof> "1907" – 北京 😀'),
        ("bell\x07 and nothing\x00", "bell\\x07 and nothing\\x00"),
        ("lone \ud800 half", "lone \\ud800 half"),
        ("no character \ufffe", "no character \\ufffe"),
        ("]]> ends", "]]> ends"),
        ("tab\tline\nreturn\r\n & 'quotes'", "tab\tline\nreturn\r\n & 'quotes'"),
        ("  blanks  ", "  blanks  "),
    ],
)
def test_texts_of_all_kinds(tmp_path: Path, text: str, written: str) -> None:
    path = tmp_path / "premis.xml"
    event = PremisEvent(identifier="event:1", type="validation", at=NOON, note=text, facts=(Fact("x", {"of": text}),))
    write_premis(path, [file_object("output:1", original_name=text)], [event], [], [])
    document = read_premis(path)
    assert texts(document, "//p:originalName") == [written]
    assert texts(document, "//p:eventOutcomeDetailNote") == [written]
    assert document.xpath("//ac:x/@of", namespaces={"ac": "urn:archive-colorizer:provenance:1"}) == [written]


def test_agents_may_become_known_with_the_events(tmp_path: Path) -> None:
    agents: dict[str, PremisAgent] = {}

    def events() -> Iterator[PremisEvent]:
        agents["person:1"] = PremisAgent(identifier="person:1", name="reviewer 1", type="person")
        yield PremisEvent(identifier="event:1", type="validation", at=NOON, agents=(Link("person:1", "validator"),))

    path = tmp_path / "premis.xml"
    write_premis(path, [file_object("output:1")], events(), agents.values(), [])
    assert texts(read_premis(path), "//p:agentName") == ["reviewer 1"]


def test_nothing_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs an object"):
        write_premis(tmp_path / "premis.xml", [], [], [], [])
    assert list(tmp_path.iterdir()) == []


def test_what_breaks_off_leaves_the_earlier_document(tmp_path: Path) -> None:
    path = tmp_path / "premis.xml"
    path.write_text("an earlier one")

    def broken() -> Iterator[FileObject]:
        yield file_object("output:1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_premis(path, broken(), [], [], [])
    assert [file.read_text() for file in tmp_path.iterdir()] == ["an earlier one"]


def test_a_million_objects_need_not_lie_in_memory(tmp_path: Path) -> None:
    count = 20_000
    objects = (file_object(f"output:{number}", original_name=f"{number}.tif") for number in range(count))
    path = tmp_path / "premis.xml"
    tracemalloc.start()
    try:
        assert write_premis(path, objects, [], [], []).objects == count
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > count * 500


def test_times_are_utc(tmp_path: Path) -> None:
    path = tmp_path / "premis.xml"
    later = datetime(2026, 1, 1, tzinfo=UTC)
    made = file_object("output:1", creation=Creation("archive-colorizer", "0.1.0", later))
    write_premis(path, [made], [], [], [])
    assert texts(read_premis(path), "//p:dateCreatedByApplication") == ["2026-01-01T00:00:00.000Z"]
