"""What belongs together in an export: the results of one file of the archive, with the files that were made of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePosixPath

from storage.database.records import RunColorization
from storage.exports.formats import format_of_output
from storage.exports.records import (
    FileFormat,
    output_identifier,
    page_identifier,
    reference_identifier,
    source_identifier,
)
from storage.signatures import FILM_SUFFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedReference:
    """A reference of a result; `path` is relative to `library`, or absolute (or unknown) if that is None."""

    id: int | None
    library: str | None
    path: str
    sha256: str

    @property
    def identifier(self) -> str:
        """What PREMIS calls it."""
        return reference_identifier(self.id, self.sha256)

    @property
    def absolute_path(self) -> str | None:
        """Where it lay, as text; None where that is not known."""
        path = self.path if self.library is None else joined(self.library, self.path)
        return path if path.startswith("/") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFile:
    """A file that was made, with the results that lie in it: several where it is a document.

    `kept` says that others took its place, and that it was moved to `path`; `name` is what it was first called.
    """

    output_root: str
    path: str
    name: str
    sha256: str
    size: int | None
    format: FileFormat
    rows: tuple[RunColorization, ...]
    kept: bool

    @property
    def identifier(self) -> str:
        """What PREMIS calls it."""
        return output_identifier(self.name, self.sha256)

    @property
    def absolute_path(self) -> str:
        """Where it lies, as text."""
        return joined(self.output_root, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All chosen results of one file of the archive, by page and number, and the files that were made of it."""

    archive: str
    path: str
    rows: tuple[RunColorization, ...]
    made: tuple[MadeFile, ...]

    @property
    def absolute_path(self) -> str:
        """Where the source lies, as text."""
        return joined(self.archive, self.path)

    @property
    def sources(self) -> list[tuple[str | None, list[RunColorization]]]:
        """The contents that the source had when it was colorized, with the results: more than one if it changed."""
        found: dict[str | None, list[RunColorization]] = {}
        for row in self.rows:
            found.setdefault(row.source_sha256, []).append(row)
        return list(found.items())


def works(rows: Iterable[RunColorization]) -> Iterator[Work]:
    """The works of results that come in the order of `storage.database.exporting.selected`."""
    for (archive, path), group in groupby(rows, key=lambda row: (row.archive, row.path)):
        rows_of_path = tuple(group)
        yield Work(archive=archive, path=path, rows=rows_of_path, made=made_files(rows_of_path))


def made_files(rows: Iterable[RunColorization]) -> tuple[MadeFile, ...]:
    """The files that were made for results, each once, with all its results."""
    found: dict[str, list[MadeFile]] = {}
    for row in rows:
        for one in _files_of(row):
            found.setdefault(one.identifier, []).append(one)
    # the same content may have been kept once and made again later: what counts is that it is there
    whole = ((next((one for one in same if not one.kept), same[0]), same) for same in found.values())
    return tuple(replace(one, rows=tuple(part.rows[0] for part in same)) for one, same in whole)


def joined(root: str, path: str) -> str:
    """A relative path below a root, both as texts of `storage.paths`."""
    return f"{root.rstrip('/')}/{path}"


def source_of(row: RunColorization) -> str:
    """What PREMIS calls the source of a result."""
    return source_identifier(row.path, row.source_sha256)


def pages_of(rows: Sequence[RunColorization]) -> tuple[str, ...]:
    """What PREMIS calls the pages of results; photographs and films have none."""
    return tuple(dict.fromkeys(page_identifier(row.item_id) for row in rows if row.kind == "page"))


def used_references(rows: Iterable[RunColorization]) -> list[UsedReference]:
    """The references of results, those of all shots, each once."""
    found: dict[str, UsedReference] = {}
    for row in rows:
        for part in row.shots or (row,):
            if part.reference_path is None or part.reference_sha256 is None:
                continue
            one = UsedReference(
                id=part.reference_id,
                library=part.reference_library,
                path=part.reference_path,
                sha256=part.reference_sha256,
            )
            found.setdefault(one.identifier, one)
    return list(found.values())


def _files_of(row: RunColorization) -> Iterator[MadeFile]:
    kept = row.superseded_at is not None
    if row.output_path is not None and row.output_sha256 is not None:
        samples = (row.width, row.height, row.bit_depth)
        pixel_bytes = None
        if row.kind == "photograph" and None not in samples:
            pixel_bytes = (row.width or 0) * (row.height or 0) * 3 * -(-(row.bit_depth or 0) // 8)
        yield MadeFile(
            output_root=row.output_root,
            path=row.kept_path if kept and row.kept_path is not None else row.output_path,
            name=row.output_path,
            sha256=row.output_sha256,
            size=row.output_bytes,
            format=format_of_output(row.output_format, pixel_bytes),
            rows=(row,),
            kept=kept,
        )
    if kept:
        return  # its further copies were not kept
    for copy in row.copies:
        yield MadeFile(
            output_root=row.output_root,
            path=copy.output_path,
            name=copy.output_path,
            sha256=copy.output_sha256,
            size=copy.output_bytes,
            format=format_of_output(copy.output_format),
            rows=(row,),
            kept=False,
        )


def suffix_of(path: str) -> str:
    """The suffix of a path, with the dot."""
    return PurePosixPath(path).suffix


def is_sequence(work: Work) -> bool:
    """Whether the source is a film in a folder of frames: its name is none that a film's file has."""
    return work.rows[0].kind == "film" and suffix_of(work.path).lower() not in FILM_SUFFIXES
