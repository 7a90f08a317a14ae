"""References that a person gives for a film's shots: one picture, a table of frames, or a folder of coloured frames."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from flows.errors import UsageError
from storage.film import Shot
from storage.paths import path_to_text, text_to_path
from storage.signatures import PHOTOGRAPH_SUFFIXES

_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True, slots=True)
class GivenReference:
    """A picture for the shot that holds `frame`; without a frame for every shot, without a film for every film."""

    picture: Path
    frame: int | None = None
    film: str | None = None


@dataclass(frozen=True, slots=True)
class GivenReferences:
    """All that was given for a run."""

    entries: tuple[GivenReference, ...] = ()

    @classmethod
    def read(cls, given: Path | None) -> Self:
        """What `--reference` names.

        A picture is for every shot of every film. A CSV has a line with the columns `frame` and `reference`, and
        `film` if there are several films; frames count from 0, pictures are relative to the CSV. A folder holds
        coloured frames, named by their number; with several films it has a folder for each, named like the film.

        Raises:
            UsageError: the CSV or a file in it cannot be used, or the folder has no numbered picture.
        """
        if given is None:
            return cls()
        if given.is_dir():
            return cls(tuple(_in_folder(given)))
        if given.suffix.lower() == ".csv":
            return cls(tuple(_in_table(given)))
        return cls((GivenReference(given),))

    @property
    def pictures(self) -> list[Path]:
        """Every picture once, in order."""
        return list(dict.fromkeys(entry.picture for entry in self.entries))

    def for_shot(self, film: str, shot: Shot) -> Path | None:
        """The picture for a shot of the film with this path in the archive; of several the one nearest its middle."""
        middle = (shot.first + shot.last) / 2
        own = [entry for entry in self.entries if entry.film in (None, film) and _is_in(entry, shot)]
        own.sort(key=lambda entry: (entry.frame is None, abs((entry.frame or 0) - middle)))
        return own[0].picture if own else None


def _is_in(entry: GivenReference, shot: Shot) -> bool:
    return entry.frame is None or shot.first <= entry.frame <= shot.last


def _in_table(table: Path) -> list[GivenReference]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the table {table} cannot be read ({error}); save it as CSV in UTF-8") from error
    if not rows or not {"frame", "reference"} <= set(rows[0]):
        raise UsageError(f"the table {table} needs a first line with the columns frame and reference, and a row")
    entries = []
    for line, row in enumerate(rows, start=2):
        number, name = (row["frame"] or "").strip(), (row["reference"] or "").strip()
        if not number.isdecimal() or not name:
            raise UsageError(f"line {line} of {table} needs a frame number and a picture, not {number!r} and {name!r}")
        try:
            picture = table.parent / text_to_path(name)
        except ValueError:  # a backslash, as Windows separates folders
            raise UsageError(f"line {line} of {table} names {name}; write the path with / instead") from None
        if not picture.is_file():
            raise UsageError(f"line {line} of {table} names {picture}, which does not exist; check the path")
        entries.append(GivenReference(picture, int(number), (row.get("film") or "").strip() or None))
    return entries


def _in_folder(folder: Path) -> list[GivenReference]:
    entries = []
    for picture in sorted(folder.rglob("*")):
        numbered = _NUMBER.search(picture.stem)
        if picture.suffix.lower() not in PHOTOGRAPH_SUFFIXES or numbered is None or not picture.is_file():
            continue
        film = path_to_text(picture.parent.relative_to(folder))
        entries.append(GivenReference(picture, int(numbered[1]), None if film == "." else film))
    if not entries:
        raise UsageError(f"the folder {folder} holds no picture named by a frame's number, such as 000123.png")
    return entries
