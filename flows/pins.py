"""Pins: references of the library that a person ties to an item, a folder, a shot of a film, or a page.

A table names them before a run; a review (`storage.database.reviews`) does so afterwards, and then counts for every
later run.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from flows.errors import UsageError
from flows.failures import ItemFailure
from flows.naming import reference_text
from flows.reference_listing import LIBRARY_ROOT
from flows.settings import LIBRARY_DATABASE_NAME, RunSettings
from storage.database import Database, open_database, references, reviews, sqlite_url
from storage.database.records import Kind
from storage.fixity import sha256_file
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Reference, SearchableLibrary

_WHOLE_ARCHIVE = "."
_Place = tuple[str, int | None]
"""Path, and the number of a shot or page."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The reference for what lies at `path` in the archive (an item, or all below a folder), or for a part of it."""

    path: str
    part: int | None
    """A shot of a film, or a page of a document, by its number from 1."""
    reference: Path
    """Absolute."""
    sha256: str
    where: str
    """The line of the table, or the review, for people."""


class Pins:
    """All pins of a run; of several that fit, the most exact one counts: shot or page, item, nearest folder.

    Args:
        pins: of the table.
        reviewed: what people decided when they saw results; it wins over the table.
    """

    def __init__(self, pins: Iterable[Pin] = (), reviewed: Iterable[Pin] = ()) -> None:
        self._table: dict[_Place, Pin] = {}
        for pin in pins:
            earlier = self._table.setdefault((pin.path, pin.part), pin)
            if earlier is not pin:
                raise UsageError(f"{pin.where} pins {pin.path} once more; keep one of the two lines")
        self.reviewed = {(pin.path, pin.part): pin for pin in reviewed}
        self._pins = self._table | self.reviewed
        self._parts: dict[str, list[int]] = {}
        for path, part in self._pins:
            if part is not None:
                self._parts.setdefault(path, []).append(part)

    @classmethod
    def read(cls, settings: RunSettings, database: Database | None) -> "Pins":
        """What people chose in reviews, and the table that `--pins` names.

        That is a CSV in UTF-8 with the columns `path`, `reference` and, if need be, `shot`.

        A path is relative to the archive (`.` is all of it). A reference is one of the run's, by its path, relative to
        the references folder or to the table's own, or by the id it has in the library's list (in the run's database,
        where the folder is no library).

        Raises:
            UsageError: the table cannot be used, or names no reference that is there.
        """
        table = settings.pins
        pins = () if table is None else _in_table(table, _Known(table, settings, database))
        return cls(pins, () if database is None else _in_reviews(database, settings))

    def check(self, kinds: Mapping[str, Kind]) -> None:
        """Every pin of the table must name something in the archive, whose items are given with their kinds by path.

        Raises:
            UsageError: one does not.
        """
        folders = {folder for path in kinds for folder in _folders_of(path)}
        for pin in self._table.values():
            if pin.part is not None and kinds.get(pin.path) != "film":
                raise UsageError(f"{pin.where} pins a shot of {pin.path}, which is no film of the archive")
            if pin.path not in kinds and pin.path not in folders:
                raise UsageError(f"{pin.where} pins {pin.path}, which is not in the archive; check the path")

    def of(self, path: str, part: int | None = None) -> Pin | None:
        """The pin for an item, or for one of its shots or pages."""
        places = [(path, part), *((one, None) for one in (path, *_folders_of(path)))]
        return next((self._pins[place] for place in places if place in self._pins), None)

    def parts_of(self, path: str) -> list[int]:
        """The numbers of the shots of a film, or pages of a document, that have pins of their own, rising."""
        return sorted(self._parts.get(path, []))

    def state(self, path: str) -> str:
        """What is pinned to an item, as one word that changes with the pictures; empty where nothing is."""
        pinned = [(part, self.of(path, part)) for part in (None, *self.parts_of(path))]
        return " ".join(f"{part or 'all'}:{pin.sha256}" for part, pin in pinned if pin is not None)

    @property
    def all(self) -> tuple[Pin, ...]:
        """In the order of the table, then those of reviews."""
        return tuple(self._pins.values())


class PinnedReferences:
    """Pins with the references that they stand for in a run's library.

    Raises:
        UsageError: a picture that the table names is not among the references in use.
    """

    def __init__(self, pins: Pins, library: "SearchableLibrary") -> None:
        self._pins = pins
        self._references: dict[Path, Reference] = {}
        for pin in pins.all:
            found = library.at(pin.reference)
            is_reviewed = pins.reviewed.get((pin.path, pin.part)) is pin
            if found is not None and (not is_reviewed or found.sha256 == pin.sha256):
                self._references[pin.reference] = found
            elif not is_reviewed:
                raise UsageError(
                    f"{pin.where} names {pin.reference}, which cannot be used as a reference; take a colour photograph"
                )

    def of(self, path: str, part: int | None = None) -> "Reference | None":
        """The reference that is pinned to an item, or to one of its shots or pages.

        Raises:
            ItemFailure: `no_reference`: the one that a review chose is not there any more.
        """
        pin = self._pins.of(path, part)
        if pin is None:
            return None
        if pin.reference not in self._references:
            raise ItemFailure(
                "no_reference",
                f"{path}: {pin.where} chose {pin.reference}, which is not among the references any more; put it back,"
                " or choose another (`archive-colorizer review reference`)",
            )
        return self._references[pin.reference]

    def parts_of(self, path: str) -> list[int]:
        """See `Pins.parts_of`."""
        return self._pins.parts_of(path)


class _Known:
    """The references that can be pinned, before those of the run are in its database."""

    def __init__(self, table: Path, settings: RunSettings, database: Database | None) -> None:
        self._root = settings.references
        self._folders = (settings.references, table.parent.resolve())
        self._library_file = settings.references / LIBRARY_DATABASE_NAME
        self._is_library = self._library_file.is_file()
        self._database = database

    def find(self, name: str) -> Path | None:
        """The picture with this id, or at this path."""
        if name.isdecimal():
            return self._with_id(int(name))
        for folder in self._folders:
            picture = Path(os.path.normpath(folder / text_to_path(name)))
            if picture.is_file() and self._has(picture):
                return picture.parent.resolve() / picture.name
        return None

    def _with_id(self, id_: int) -> Path | None:
        if self._is_library:
            with open_database(sqlite_url(self._library_file), create=False) as database:
                return self._picture(database, id_, LIBRARY_ROOT)
        return None if self._database is None else self._picture(self._database, id_, path_to_text(self._root))

    def _picture(self, database: Database, id_: int, library: str) -> Path | None:
        row = references.get(database, [id_]).get(id_)
        if row is None or row.library != library or row.state != "active":
            return None
        picture = Path(os.path.normpath(self._root / text_to_path(row.path)))
        return picture if picture.is_file() else None

    def _has(self, picture: Path) -> bool:
        """Whether it may be one of the run's references; whether it can be used shows when it is looked at."""
        if not self._is_library:
            return picture.is_relative_to(self._root)
        text = reference_text(picture, self._root)
        with open_database(sqlite_url(self._library_file), create=False) as database:
            row = references.at_paths(database, LIBRARY_ROOT, [text]).get(text)
        return row is not None and row.state == "active"


def _in_reviews(database: Database, settings: RunSettings) -> Iterator[Pin]:
    output, archive = path_to_text(settings.output), path_to_text(settings.archive)
    for one in reviews.replacements(database, output, archive):
        picture = Path(os.path.normpath(text_to_path(one.reference_library) / text_to_path(one.reference_path)))
        part = one.page if one.kind == "page" else one.shot
        yield Pin(one.path, part, picture, one.reference_sha256 or "", "a review")


def _in_table(table: Path, known: _Known) -> Iterator[Pin]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = set(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the pins {table} cannot be read ({error}); save them as CSV in UTF-8") from error
    if not {"path", "reference"} <= columns:
        raise UsageError(f"the pins {table} need a first line with the columns path and reference")
    find, digest = cache(known.find), cache(sha256_file)
    for line, row in enumerate(rows, start=2):
        where = f"line {line} of {table}"
        path, name, shot = ((row.get(column) or "").strip() for column in ("path", "reference", "shot"))
        if not path or not name:
            raise UsageError(f"{where} needs a path and a reference, not {path!r} and {name!r}")
        if shot and not (shot.isdecimal() and int(shot)):
            raise UsageError(f"{where}: {shot!r} is no shot; they are numbered from 1")
        try:
            picture, place = find(name), path_to_text(PurePosixPath(os.path.normpath(text_to_path(path))))
        except ValueError:  # a backslash, as Windows separates folders
            raise UsageError(f"{where} has a path with a backslash; write it with / instead") from None
        if picture is None:
            raise UsageError(f"{where} names the reference {name}, which is not among the references; check it")
        yield Pin(place, int(shot) if shot else None, picture, digest(picture), where)


def _folders_of(path: str) -> list[str]:
    """The folders that an item lies in, the nearest first, the archive itself last."""
    return [path_to_text(folder) for folder in PurePosixPath(text_to_path(path)).parents] or [_WHOLE_ARCHIVE]
