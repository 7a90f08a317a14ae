"""Thousands of damaged masters of every format in one real run: what becomes of each, and of the run.

    python -m tests.benchmarks.mutations [--files 5000] [--seed 7] [--keep DIR]

Each file is a small valid master, damaged by a generator of its own seed, so that file N is the same in every archive;
one in twenty is left whole. Damage that is taken for a picture is no fault; a run that ends, hangs or records wrongly
is one. Prints, never asserts; the exit code is 1 if there are findings.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from storage.documents import identify_document
from storage.errors import StorageError
from storage.fixity import PARTIAL_SUFFIX, sha256_file
from storage.images import identify
from tests.benchmarks.damaged_masters import MASTERS, make_archive
from tests.benchmarks.large_master import DEMO
from tests.benchmarks.tree_memory import ROOT, MeasuredRun, measured_run

MOST_SECONDS = 30.0
REFUSED = {"empty", "truncated", "not_an_image", "too_large", "unsupported", "unreadable"}
OTHERS = {"other_page", "no_scan", "text", "blank", "colour", "negative", "low_match"}
"""Error types of items that are left out, or of whole pages of a broken document."""


@dataclass(frozen=True)
class Item:
    """An item, with its one record of the run, as far as it has one."""

    path: str
    page: int
    rows: int
    state: str | None
    error_type: str | None
    message: str | None
    seconds: float
    at: datetime | None
    output: Path | None
    size: tuple[int, int]

    @property
    def master(self) -> str:
        """The name of its master in `MASTERS`."""
        return self.path.split("/")[0]

    def wrong(self) -> Iterator[str]:
        """What is wrong with the record."""
        if self.rows != 1:
            yield f"has {self.rows} records"
            return
        if self.seconds > MOST_SECONDS:
            yield f"took {self.seconds:.1f} s"
        if self.state != "done" and " whole." in self.path and self.error_type not in OTHERS:
            yield f"is whole but {self.state}: {self.message}"
        if self.state == "failed" and self.error_type not in REFUSED | OTHERS:
            yield f"failed as {self.error_type}: {self.message}"
        if self.state == "failed" and ("\n" in (self.message or "\n") or Path(self.path).name not in str(self.message)):
            yield f"has no line that names it: {self.message!r}"
        if self.output is not None:
            yield from self._wrong_copy(self.output)

    def _wrong_copy(self, output: Path) -> Iterator[str]:
        if not output.is_file():
            yield f"is done but {output.name} is not there"
        elif output.suffix != ".pdf":
            try:
                facts = identify(output)
            except StorageError as error:
                yield f"has a copy that cannot be read: {error.message}"
                return
            if facts.pages == 1 and sorted((facts.width, facts.height)) != sorted(self.size):
                yield f"has a copy of {facts.width} x {facts.height}, on record it has {self.size}"


_ITEMS = """
SELECT i.path, i.page, count(c.id), c.state, c.error_type, c.message, c.seconds, c.created_at, c.output_path,
       c.width, c.height
FROM item i LEFT JOIN colorization c ON c.item_id = i.id GROUP BY i.id ORDER BY i.path, i.page
"""


def read_items(output: Path) -> tuple[list[Item], str, dict[str, float]]:
    """All items, what SQLite's check of its integrity says, and the seconds of the run's stages."""
    with closing(sqlite3.connect(output / "provenance.db")) as connection:
        items = [
            Item(
                path,
                page,
                rows,
                state,
                error_type,
                message,
                seconds or 0.0,
                datetime.fromisoformat(at) if at else None,
                output / copy if copy else None,
                (width or 0, height or 0),
            )
            for path, page, rows, state, error_type, message, seconds, at, copy, width, height in connection.execute(
                _ITEMS
            )
        ]
        check = "; ".join(str(row[0]) for row in connection.execute("PRAGMA integrity_check"))
        check += "; foreign keys broken" * bool(connection.execute("PRAGMA foreign_key_check").fetchall())
        stages = dict(connection.execute("SELECT stage, seconds_total FROM audit_runtime").fetchall())
    return items, check, stages


@dataclass
class _Row:
    """One format in the table."""

    files: int = 0
    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0


def table(items: Sequence[Item], digests: dict[str, str]) -> Iterator[str]:
    """The outcomes by format."""
    rows = {master: _Row() for master in MASTERS}
    for path in digests:
        rows[path.split("/")[0]].files += 1
    for item in items:
        row = rows[item.master]
        row.states[item.state or "none"] += 1
        row.longest = max(row.longest, item.seconds)
        if item.error_type:
            row.errors[item.error_type] += 1
    total = _Row()
    yield f"{'master':18} {'files':>5} {'done':>5} {'failed':>6} {'skipped':>7} {'longest':>9}  error types"
    for master, row in [*rows.items(), ("all", total)]:
        if row is not total:
            total.files += row.files
            total.states += row.states
            total.errors += row.errors
            total.longest = max(total.longest, row.longest)
        if not row.files:
            continue
        errors = ", ".join(f"{name} {count}" for name, count in row.errors.most_common())
        states = row.states
        yield (
            f"{master:18} {row.files:5} {states['done']:5} {states['failed']:6} {states['skipped']:7} "
            f"{row.longest:7.2f} s  {errors}"
        )


def longest_silence(items: Sequence[Item]) -> tuple[float, str]:
    """The longest time between two outcomes, in seconds, and the item that came after it."""
    known = sorted((item.at, item.path) for item in items if item.at is not None)
    pauses = [((at - before).total_seconds(), path) for (before, _), (at, path) in pairwise(known)]
    return max(pauses, default=(0.0, ""))


def findings(
    ran: MeasuredRun, items: Sequence[Item], check: str, digests: dict[str, str], archive: Path, output: Path
) -> Iterator[str]:
    """What is wrong with the run, one line each."""
    if ran.exit_code not in (0, 2):
        yield f"the run ended with exit code {ran.exit_code}: {ran.output[-1500:]}"
    if "Traceback" in ran.output:
        yield f"the run printed a traceback: {ran.output[-3000:]}"
    yield from (f"{path} has no item" for path in sorted(digests.keys() - {item.path for item in items}))
    for item in items:
        yield from (f"{item.path}, page {item.page}: {what}" for what in item.wrong())
        if item.error_type == "no_scan" and item.path.endswith(".pdf"):
            page = identify_document(archive / item.path)[item.page - 1]
            if page.error_type is not None:
                yield f"{item.path}, page {item.page}: is left out as without a scan, but {page.reason}"
    pause, path = longest_silence(items)
    if pause > MOST_SECONDS:
        yield f"nothing was finished for {pause:.1f} s before {path}"
    if check != "ok":
        yield f"the database: {check}"
    changed = [path for path, digest in digests.items() if sha256_file(archive / path) != digest]
    yield from (f"{path}: the master was changed" for path in changed)
    there = {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()}
    yield from (f"{path} lies in the archive now" for path in sorted(there - digests.keys()))
    yield from (f"{path} was left half-written" for path in output.rglob(f"*{PARTIAL_SUFFIX}"))
    # pages of a document that failed are kept, for when it is tried again
    kept = {item.path for item in items if item.state == "failed"}
    left = {path.parent.parent for path in (output / ".archive-colorizer").rglob("page-*")}
    if len(left) > len(kept):
        yield f"pages of {len(left)} documents were left, of {len(kept)} that failed"


def _verify(output: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "verify", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"verify: exit code {done.returncode}, {(done.stdout + done.stderr).strip()[-300:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--only", help="only masters whose name contains this, e.g. .pdf")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where archive and copies lie for a while")
    parser.add_argument("--keep", type=Path, help="an empty folder for archive, copies and database, which stay")
    parser.add_argument("--judge-content", action="store_true", help="leave out by content, as a run does by default")
    parser.add_argument("--timeout", type=float, default=7200, help="seconds after which the run counts as hanging")
    parser.add_argument("--run-option", action="append", default=[], help="a further word for `run`")
    arguments = parser.parse_args()
    names = [*MASTERS]
    wanted = range(arguments.first, arguments.first + arguments.files)
    numbers = [number for number in wanted if (arguments.only or "") in names[number % len(names)]]
    scratch = arguments.keep or Path(tempfile.mkdtemp(prefix="mutations-", dir=arguments.folder))
    archive, output, temporary = scratch / "archive", scratch / "output", scratch / "tmp"
    try:
        for folder in (archive, temporary):
            folder.mkdir(parents=True)
        digests = make_archive(archive, numbers, arguments.seed)
        print(f"{len(digests)} files of {len(MASTERS)} kinds; load average {os.getloadavg()[0]:.1f}", flush=True)
        options = ["--size", "64", *([] if arguments.judge_content else ["--colorize-all"]), *arguments.run_option]
        ran = measured_run(archive, DEMO / "references", output, options, temporary, arguments.timeout)
        items, check, stages = read_items(output)
        print(*table(items, digests), sep="\n")
        print(f"exit code {ran.exit_code}, {ran.seconds:.0f} s, {len(items)} items, integrity check {check}")
        spent = sorted(stages.items(), key=lambda stage: -stage[1])
        print("stages: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent))
        print("longest time between two outcomes: {:.1f} s, then {}".format(*longest_silence(items)))
        print(*ran.memory.lines(), sep="\n")
        print(_verify(output))
        started = time.perf_counter()
        found = [*findings(ran, items, check, digests, archive, output)]
        found += [f"{path} was left in the temporary folder" for path in temporary.iterdir()]
        print(f"masters and copies looked at in {time.perf_counter() - started:.0f} s; {len(found)} findings")
        print(*found, sep="\n")
    finally:
        if arguments.keep is None:
            shutil.rmtree(scratch)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
