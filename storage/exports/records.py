"""What a PREMIS document is made of, as plain records (PREMIS Data Dictionary 3.0).

Identifiers are texts that stay the same from export to export: a file is named by its digest and its path, everything
else by the number of its record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


def source_identifier(path: str, sha256: str | None) -> str:
    """A file of the archive with given content."""
    return f"source:{sha256 or 'unknown'}:{path}"


def output_identifier(path: str, sha256: str) -> str:
    """A file that was made."""
    return f"output:{sha256}:{path}"


def page_identifier(item_id: int) -> str:
    """A page of a document."""
    return f"item:{item_id}"


def reference_identifier(reference_id: int | None, sha256: str) -> str:
    """A reference: of a library by its number, which belongs to one content; else by its content."""
    return f"reference:{sha256}" if reference_id is None else f"reference:{reference_id}"


def colorization_identifier(colorization_id: int) -> str:
    """The event that an item was colorized."""
    return f"colorization:{colorization_id}"


def rights_identifier(reference_id: int) -> str:
    """What is said of the rights in a reference."""
    return f"rights:reference:{reference_id}"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format by its media type, and its key in PRONOM only where that is certain."""

    name: str
    pronom: str | None = None


@dataclass(frozen=True, slots=True)
class Relationship:
    """That an object is related to others, perhaps through events; type and subtype are terms of PREMIS."""

    type: str
    subtype: str
    objects: tuple[str, ...]
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Creation:
    """The program that made a file."""

    program: str
    version: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileObject:
    """A file. `location` is the kind of place and the place where it lies, `size` in bytes."""

    identifier: str
    original_name: str
    sha256: str | None
    size: int | None
    format: FileFormat
    location: tuple[str, str] | None = None
    creation: Creation | None = None
    relationships: tuple[Relationship, ...] = ()
    events: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesObject:
    """A folder of numbered frames that is one film; `sha256` is that of the list of their digests."""

    identifier: str
    original_name: str
    sha256: str | None
    location: tuple[str, str] | None = None
    relationships: tuple[Relationship, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageObject:
    """A page of a document: an intellectual entity that is part of a file."""

    identifier: str
    name: str
    relationships: tuple[Relationship, ...] = ()
    events: tuple[str, ...] = ()


PremisObject = FileObject | FramesObject | PageObject


@dataclass(frozen=True, slots=True)
class Link:
    """An agent or object of an event, with its role in it."""

    identifier: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """An element with attributes in the extension of an event; None is left out."""

    element: str
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PremisEvent:
    """Something that happened to objects; type and roles are terms of PREMIS."""

    identifier: str
    type: str
    at: datetime
    detail: str | None = None
    facts: tuple[Fact, ...] = ()
    outcome: str | None = None
    note: str | None = None
    agents: tuple[Link, ...] = ()
    objects: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PremisAgent:
    """Who or what did something: `type` is software or person."""

    identifier: str
    name: str
    type: str
    version: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsStatement:
    """What is said of the rights in objects; the basis is none of those that PREMIS names."""

    identifier: str
    basis: str
    note: str
    objects: tuple[str, ...]
