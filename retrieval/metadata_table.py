"""A table in which people describe references: a CSV with the columns path, caption, rights, creator, date, tags."""

import csv
import io
import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.eras import years_of
from retrieval.files import text_of
from storage.database import Database, reference_metadata, references
from storage.database.records import ReferenceMetadata
from storage.images.description import one_line, tidy_tags
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = ("path", "caption", "rights", "creator", "date", "tags")
NOTHING = "-"
"""A cell that says that there is nothing to be said, whatever the file itself has; an empty cell says nothing."""
_DELIMITERS = ",;\t"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class TableReport:
    """What a table did: references described by it, those of them for which something changed, and one line for
    each thing in it that is wrong. `notes` are lines on what was passed over."""

    described: int
    changed: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Mapping[str, str]


class MetadataTable:
    """One CSV file, read; ``problems`` are the lines on what cannot be used of it.

    UTF-8, or UTF-16 with its mark; cells apart by commas, semicolons or tabs, as the first line has them.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._name = file, path_to_text(file)
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._rows = [*self._read()]

    def apply(self, database: Database, library: str, root: Path, folder: Path) -> TableReport:
        """Describe the references that the rows name; only what differs is written, and nothing is embedded.

        Args:
            database: where the references are recorded.
            library: the library, as it is recorded there.
            root: what its recorded paths are relative to.
            folder: paths in the table are relative to it, else to the table's own folder.
        """
        named: dict[str, _Row] = {}
        places = {row.line: [*self._places(row.cells["path"], root, folder)] for row in self._rows}
        ids = {
            text: known.id
            for text, known in references.at_paths(
                database, library, [text for texts in places.values() for text in texts]
            ).items()
            if known.state == "active"
        }
        for row in self._rows:
            text = next((text for text in places[row.line] if text in ids), None)
            if text is None:
                self._refuse(row.line, f"{row.cells['path']!r} is no reference in use of this library; check the path")
            elif text in named:
                self._refuse(row.line, f"{row.cells['path']!r} is described in line {named[text].line} already")
            else:
                named[text] = row
        known = reference_metadata.get(database, [ids[text] for text in named])
        described = {
            ids[text]: _described(known.get(ids[text], ReferenceMetadata()), row.cells) for text, row in named.items()
        }
        changed = reference_metadata.record(database, described)
        return TableReport(len(described), changed, tuple(self.problems), tuple(self.notes))

    def _refuse(self, line: int, detail: str) -> None:
        self.problems.append(f"line {line} of {self._name}: {detail}")

    def _read(self) -> Iterator[_Row]:
        """The rows that can be used; what is wrong with others is noted."""
        text = self._text()
        header_line = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=header_line.count)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = [name.strip().lower() for name in self._next(lines) or []]
        if not self._is_usable(header):
            return
        while (cells := self._next(lines)) is not None:
            row = self._row(lines.line_num, header, cells)
            if row is not None:
                yield row

    def _next(self, lines: "Reader") -> list[str] | None:
        """The next line's cells, none where its quotation marks are wrong; None at the end."""
        try:
            return next(lines, None)
        except csv.Error as error:
            self._refuse(lines.line_num, f"it cannot be read ({error}); check the quotation marks")
            return []

    def _text(self) -> str:
        try:
            if self._file.stat().st_size > _MOST_BYTES:
                self.problems.append(f"{self._name} is too large for a table; give a CSV of less than 1 GB")
                return ""
            data = self._file.read_bytes()
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            self.problems.append(f"{self._name} cannot be read ({reason}); check the path of the table")
            return ""
        if data.startswith(_UTF16):
            return data.decode("utf-16", "replace")
        return data.decode("utf-8-sig", "surrogateescape")

    def _is_usable(self, header: list[str]) -> bool:
        if not header and self.problems:
            return False
        if "path" not in header:
            self.problems.append(
                f"{self._name} has no column path in its first line; name the columns {', '.join(COLUMNS)}"
            )
            return False
        twice = sorted({name for name in header if name in COLUMNS and header.count(name) > 1})
        if twice:
            self.problems.append(f"{self._name} has the column {twice[0]} twice; keep one of them")
            return False
        if not set(header) & {*COLUMNS[1:]}:
            self.problems.append(
                f"{self._name} has no column that describes a reference; add one of {', '.join(COLUMNS[1:])}"
            )
            return False
        if others := [name for name in header if name and name not in COLUMNS]:
            self.notes.append(f"{self._name}: not read: the columns {', '.join(others)}")
        return True

    def _row(self, line: int, header: list[str], cells: list[str]) -> _Row | None:
        if not any(cell.strip() for cell in cells):
            return None
        if any("\udc80" <= sign <= "\udcff" or sign == "\ufffd" for cell in cells for sign in cell):
            self._refuse(line, "its letters are not UTF-8; save the table as CSV in UTF-8")
        elif any(cell.strip() for cell in cells[len(header) :]):
            self._refuse(line, f"it has more cells than the first line ({len(header)}); put texts in quotation marks")
        else:
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            if row.get("path"):
                return _Row(line, row)
            self._refuse(line, "it names no picture; fill in the column path")
        return None

    def _places(self, written: str, root: Path, folder: Path) -> Iterator[str]:
        """The recorded paths that may be meant: of either folder, and as other systems write letters and folders."""
        spellings = [written, *(unicodedata.normalize(form, written) for form in ("NFC", "NFD"))]
        spellings += [spelling.replace("\\", "/") for spelling in spellings if "\\" in spelling]
        for spelling in dict.fromkeys(spellings):
            try:
                path = text_to_path(spelling)
            except ValueError:  # a backslash that is no escape
                continue
            for base in (self._file.parent.resolve(), folder.resolve()):
                yield text_of(Path(os.path.normpath(base / path)), root)


def _described(known: ReferenceMetadata, cells: Mapping[str, str]) -> ReferenceMetadata:
    """What is known, with what the cells say in its place."""
    found = replace(
        known,
        caption=_cell(cells, "caption", known.caption),
        rights=_cell(cells, "rights", known.rights),
        creator=_cell(cells, "creator", known.creator),
    )
    if cells.get("date"):
        created = _cell(cells, "date", None)
        years = (years_of(created) if created else None) or (None, None)
        found = replace(found, created=created, year_first=years[0], year_last=years[1])
    if cells.get("tags"):
        found = replace(found, tags=tidy_tags((_cell(cells, "tags", None) or "").split(";")))
    return found


def _cell(cells: Mapping[str, str], name: str, otherwise: str | None) -> str | None:
    text = cells.get(name)
    if not text:
        return otherwise
    return None if text == NOTHING else one_line(text)
