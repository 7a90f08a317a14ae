"""The ledger of one verification: which files are to be looked at, and what was found.

In a temporary file that goes away with the process: an archive may have millions of files, and each may be named by
many records.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from storage.database.expected_files import ExpectedFile
from storage.database.fixity import Checked, FindingName, What

COLUMNS = ("what", "finding", "path", "expected_sha256", "found_sha256")
"""Of the listing."""

_TABLES = """
CREATE TABLE expected (path, what, sha256, colorization_id, PRIMARY KEY (path, what, sha256)) WITHOUT ROWID;
CREATE TABLE passed (path, what, finding, sha256, found, PRIMARY KEY (path, what)) WITHOUT ROWID;
CREATE TABLE present (path PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE recorded (path PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE finding (number INTEGER PRIMARY KEY, what, finding, path, expected, found, colorization_id, is_late);
"""
_FILES = """
SELECT e.path, e.what, json_group_array(e.sha256), min(e.colorization_id), p.finding, p.sha256, p.found
FROM expected e LEFT JOIN passed p ON p.path = e.path AND p.what = e.what
GROUP BY e.path, e.what ORDER BY e.path, e.what
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a file was found to be; `finding` says why there is no digest."""

    sha256: str | None
    finding: FindingName = "changed"


@dataclass(frozen=True, slots=True)
class FileToCheck:
    """A file, with the digests that records have of it: more than one if it was another picture in between.

    `earlier` is what this verification found before it was cut off.
    """

    what: What
    path: str
    sha256s: tuple[str, ...]
    colorization_id: int
    earlier: Looked | None = None

    def compare(self, looked: Looked) -> list[Checked]:
        """A finding for each digest that the file does not have; else that it is intact."""
        others = [sha256 for sha256 in self.sha256s if sha256 != looked.sha256]
        if not others:
            return [Checked(self.what, "intact", self.path, looked.sha256, looked.sha256, self.colorization_id)]
        return [
            Checked(self.what, looked.finding, self.path, sha256, looked.sha256, self.colorization_id)
            for sha256 in others
        ]


class Ledger:
    """See the module; for one thread."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)  # "": a temporary file
        self._file.executescript(_TABLES)
        self._file.execute("BEGIN")  # never committed: nobody else reads it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def expect(self, files: Iterable[ExpectedFile]) -> None:
        """Files that should be there; the same one may be named again and again."""
        rows = ((one.path, one.what, one.sha256, one.colorization_id) for one in files)
        self._file.executemany("INSERT OR IGNORE INTO expected VALUES (?, ?, ?, ?)", rows)

    def pass_over(self, checked: Iterable[Checked]) -> None:
        """What was looked at earlier in this verification."""
        rows = ((one.path, one.what, one.finding, one.expected_sha256, one.found_sha256) for one in checked)
        self._file.executemany("INSERT OR REPLACE INTO passed VALUES (?, ?, ?, ?, ?)", rows)

    def count_files(self) -> int:
        """How many files are to be looked at, with those of earlier."""
        return self._number("SELECT count(*) FROM (SELECT DISTINCT path, what FROM expected)")

    def files(self) -> Iterator[FileToCheck]:
        """The files by path."""
        for path, what, listed, colorization_id, finding, sha256, found in self._file.execute(_FILES):
            sha256s = tuple(json.loads(listed))
            # what was looked at before another run wrote the file anew does not count
            earlier = Looked(found, finding) if finding not in (None, "unknown") and sha256 in sha256s else None
            yield FileToCheck(what, path, sha256s, colorization_id, earlier)

    def set_present(self, paths: Iterable[str]) -> None:
        """The files that are in an output folder, in place of those of another."""
        self._file.execute("DELETE FROM present")
        self._file.execute("DELETE FROM recorded")
        self._file.executemany("INSERT OR IGNORE INTO present VALUES (?)", ((path,) for path in paths))

    def add_recorded(self, paths: Iterable[str]) -> None:
        """The files that records tell of in this output folder."""
        self._file.executemany("INSERT OR IGNORE INTO recorded VALUES (?)", ((path,) for path in paths))

    def is_recorded(self, path: str) -> bool:
        """Whether a record tells of this file."""
        return self._file.execute("SELECT 1 FROM recorded WHERE path = ?", (path,)).fetchone() is not None

    def unknown(self) -> Iterator[str]:
        """The files of the output folder that no record tells of."""
        query = "SELECT path FROM present WHERE path NOT IN (SELECT path FROM recorded) ORDER BY path"
        yield from (path for (path,) in self._file.execute(query))

    def find(self, one: Checked, *, is_late: bool = False) -> None:
        """Note a finding; `is_late`: it becomes an event only at the end."""
        row = (one.what, one.finding, one.path, one.expected_sha256, one.found_sha256, one.colorization_id, is_late)
        self._file.execute("INSERT INTO finding VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)

    def count_findings(self) -> int:
        """How many there are."""
        return self._number("SELECT count(*) FROM finding")

    def late_findings(self, limit: int) -> list[Checked]:
        """The first of those that are no event yet."""
        query = (
            "SELECT what, finding, path, expected, found, colorization_id FROM finding WHERE is_late"
            " ORDER BY number LIMIT ?"
        )
        return [Checked(*row) for row in self._file.execute(query, (limit,))]

    def rows(self) -> Iterator[dict[str, object]]:
        """The findings for a listing: files by path, then records."""
        query = (
            "SELECT what, finding, path, expected, found FROM finding"
            " ORDER BY what = 'record', CASE WHEN what <> 'record' THEN path END, number"
        )
        yield from (dict(zip(COLUMNS, row, strict=True)) for row in self._file.execute(query))

    def _number(self, query: str) -> int:
        return int(self._file.execute(query).fetchone()[0])
