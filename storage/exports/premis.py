"""PREMIS 3.0 documents (https://www.loc.gov/standards/premis/v3/), written object by object as they come.

The schema wants all objects first, then events, agents and rights; whoever gives the later ones may therefore collect
what to say while the earlier ones are taken.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar
from xml.etree.ElementTree import Element, SubElement

from storage.exports.records import (
    Fact,
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
from storage.fixity import atomic_write

NAMESPACE = "http://www.loc.gov/premis/v3"
EXTENSION = "urn:archive-colorizer:provenance:1"
IDENTIFIER_TYPE = "archive-colorizer"
"""The type of all identifiers: they are unique together with the database that they come from."""

_START = f"""<?xml version="1.0" encoding="UTF-8"?>
<premis xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:ac="{EXTENSION}"
  xsi:schemaLocation="{NAMESPACE} https://www.loc.gov/standards/premis/premis.xsd" version="3.0">
"""
_END = "</premis>\n"
# What XML 1.0 (section 2.2) has no place for, not even as a reference.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Section 2.11 and 3.3.3: readers make blanks and line ends of these, unless they are written as references.
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTES = _IN_TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PremisCounts:
    """How much a document holds."""

    objects: int
    events: int
    agents: int
    rights: int


def write_premis(
    path: Path,
    objects: Iterable[PremisObject],
    events: Iterable[PremisEvent],
    agents: Iterable[PremisAgent],
    rights: Iterable[RightsStatement],
) -> PremisCounts:
    """Write a document; it is there whole or not at all. Each iterable is read once, in this order, while writing.

    Raises:
        ValueError: there is no object, without which there is no document.
    """
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_START)
        counts = PremisCounts(
            _write_all(file, objects, _object),
            _write_all(file, events, _event),
            _write_all(file, agents, _agent),
            _write_all(file, rights, _rights),
        )
        if not counts.objects:
            raise ValueError("a PREMIS document needs an object")
        file.write(_END)
    return counts


def xml_text(text: str) -> str:
    r"""The text with what XML cannot hold written as ``\xHH`` or ``\uHHHH``."""
    if text.isprintable():  # the usual text; a lone surrogate is not printable
        return text
    return _NOT_IN_XML.sub(lambda match: _escaped(ord(match[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _write_all(file: TextIO, records: Iterable[T], element: Callable[[T], Element]) -> int:
    count = 0
    for record in records:
        lines: list[str] = []
        _serialise(element(record), "", lines)
        file.write("".join(lines))
        count += 1
    return count


def _serialise(element: Element, indent: str, lines: list[str]) -> None:
    """Add the lines of an element that has either children or a text; several times as fast as `tostring`.

    Names are written as they are: their prefixes are bound at the root.
    """
    start = f"{indent}<{element.tag}"
    for name, value in element.attrib.items():
        start += f' {name}="{_escape(value, _IN_ATTRIBUTES)}"'
    if len(element):
        lines.append(f"{start}>\n")
        for child in element:
            _serialise(child, indent + " ", lines)
        lines.append(f"{indent}</{element.tag}>\n")
    elif element.text:
        lines.append(f"{start}>{_escape(element.text, _IN_TEXT)}</{element.tag}>\n")
    else:
        lines.append(f"{start}/>\n")


def _escape(text: str, table: dict[int, str]) -> str:
    return text if text.isalnum() else text.translate(table)


def _object(record: PremisObject) -> Element:
    if isinstance(record, FileObject):
        return _file(record)
    return _frames(record) if isinstance(record, FramesObject) else _page(record)


def _file(record: FileObject) -> Element:
    element = Element("object", {"xsi:type": "file"})
    _identifier(element, "object", record.identifier)
    facts = SubElement(element, "objectCharacteristics")
    _text(facts, "compositionLevel", "0")
    if record.sha256 is not None:
        fixity = SubElement(facts, "fixity")
        _text(fixity, "messageDigestAlgorithm", "SHA-256")
        _text(fixity, "messageDigest", record.sha256)
        _text(fixity, "messageDigestOriginator", IDENTIFIER_TYPE)
    if record.size is not None:
        _text(facts, "size", str(record.size))
    format_ = SubElement(facts, "format")
    _text(SubElement(format_, "formatDesignation"), "formatName", record.format.name)
    if record.format.pronom is not None:
        registry = SubElement(format_, "formatRegistry")
        _text(registry, "formatRegistryName", "PRONOM")
        _text(registry, "formatRegistryKey", record.format.pronom)
        _text(registry, "formatRegistryRole", "specification")
    if record.creation is not None:
        application = SubElement(facts, "creatingApplication")
        _text(application, "creatingApplicationName", record.creation.program)
        _text(application, "creatingApplicationVersion", record.creation.version)
        _text(application, "dateCreatedByApplication", _instant(record.creation.at))
    _text(element, "originalName", record.original_name)
    _location(element, record.location)
    _relations(element, record.relationships, record.events)
    for identifier in record.rights:
        _identifier(element, "linkingRightsStatement", identifier)
    return element


def _frames(record: FramesObject) -> Element:
    element = Element("object", {"xsi:type": "representation"})
    _identifier(element, "object", record.identifier)
    if record.sha256 is not None:
        properties = SubElement(element, "significantProperties")
        _text(properties, "significantPropertiesType", "SHA-256 of the list that sha256sum prints of the frames")
        _text(properties, "significantPropertiesValue", record.sha256)
    _text(element, "originalName", record.original_name)
    _location(element, record.location)
    _relations(element, record.relationships, record.events)
    return element


def _location(element: Element, location: tuple[str, str] | None) -> None:
    if location is not None:
        place = SubElement(SubElement(element, "storage"), "contentLocation")
        _text(place, "contentLocationType", location[0])
        _text(place, "contentLocationValue", location[1])


def _page(record: PageObject) -> Element:
    element = Element("object", {"xsi:type": "intellectualEntity"})
    _identifier(element, "object", record.identifier)
    _text(element, "originalName", record.name)
    _relations(element, record.relationships, record.events)
    return element


def _relations(element: Element, relationships: Sequence[Relationship], events: Sequence[str]) -> None:
    for relationship in relationships:
        relation = SubElement(element, "relationship")
        _text(relation, "relationshipType", relationship.type)
        _text(relation, "relationshipSubType", relationship.subtype)
        for identifier in relationship.objects:
            _identifier(relation, "relatedObject", identifier)
        for identifier in relationship.events:
            _identifier(relation, "relatedEvent", identifier)
    for identifier in events:
        _identifier(element, "linkingEvent", identifier)


def _event(record: PremisEvent) -> Element:
    element = Element("event")
    _identifier(element, "event", record.identifier)
    _text(element, "eventType", record.type)
    _text(element, "eventDateTime", _instant(record.at))
    if record.detail is not None or record.facts:
        details = SubElement(element, "eventDetailInformation")
        if record.detail is not None:
            _text(details, "eventDetail", record.detail)
        if record.facts:
            extension = SubElement(details, "eventDetailExtension")
            _facts(SubElement(extension, "ac:details"), record.facts)
    if record.outcome is not None or record.note is not None:
        outcome = SubElement(element, "eventOutcomeInformation")
        if record.outcome is not None:
            _text(outcome, "eventOutcome", record.outcome)
        if record.note is not None:
            _text(SubElement(outcome, "eventOutcomeDetail"), "eventOutcomeDetailNote", record.note)
    for agent in record.agents:
        _link(element, "Agent", agent)
    for object_ in record.objects:
        _link(element, "Object", object_)
    return element


def _facts(element: Element, facts: Sequence[Fact]) -> None:
    for fact in facts:
        attributes = {name: _plain(value) for name, value in fact.attributes.items() if value is not None}
        SubElement(element, f"ac:{fact.element}", attributes)


def _agent(record: PremisAgent) -> Element:
    element = Element("agent")
    _identifier(element, "agent", record.identifier)
    _text(element, "agentName", record.name)
    _text(element, "agentType", record.type)
    if record.version is not None:
        _text(element, "agentVersion", record.version)
    if record.note is not None:
        _text(element, "agentNote", record.note)
    return element


def _rights(record: RightsStatement) -> Element:
    element = Element("rights")
    statement = SubElement(element, "rightsStatement")
    _identifier(statement, "rightsStatement", record.identifier)
    _text(statement, "rightsBasis", "other")
    other = SubElement(statement, "otherRightsInformation")
    _text(other, "otherRightsBasis", record.basis)
    _text(other, "otherRightsNote", record.note)
    for identifier in record.objects:
        _identifier(statement, "linkingObject", identifier)
    return element


def _identifier(parent: Element, name: str, value: str) -> Element:
    """An identifier as PREMIS has them all: `name`Identifier with a type and a value."""
    element = SubElement(parent, f"{name}Identifier")
    _text(element, f"{name}IdentifierType", IDENTIFIER_TYPE)
    _text(element, f"{name}IdentifierValue", value)
    return element


def _link(parent: Element, what: str, link: Link) -> None:
    element = _identifier(parent, f"linking{what}", link.identifier)
    if link.role is not None:
        _text(element, f"linking{what}Role", link.role)


def _text(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = xml_text(text)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _instant(value) if isinstance(value, datetime) else xml_text(str(value))
