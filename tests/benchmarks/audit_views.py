"""Seconds that the audit views, the questions of deploy/audit.sql and the `audit` commands take on a large library.

    python -m tests.benchmarks.audit_views [--databases sqlite,postgresql] [--runs 100] [--items 10000] [--check]
    python -m tests.benchmarks.audit_views --url URL [--check]       a database that was seeded before

`first` is on a new connection (SQLite: with nothing of the file in memory), `warm` the median of five more; the whole
answer is fetched. Commands are processes of their own, start included. Prints, never asserts.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from storage.database import Database, audit, events, open_database, sqlite_url
from storage.database.audit import AuditFilter
from tests.benchmarks.audit_library import START, seed
from tests.storage.database.audited import Question, questions
from tests.storage.database.postgresql import fresh_database, running_server

REPEATS = 5
EXAMPLES = {
    "9f2c": hashlib.sha256(b"r12").hexdigest()[:12],
    "77aa": hashlib.sha256(b"w1").hexdigest()[:12],
    "plates/mill.tif": "box-77/plate-38511.tif",
    "2026-03-01": "2026-01-05",
    "2026-03-02": "2026-01-06",
}
COMMANDS = (
    "runs",
    "items --run {run}",
    "items --limit 50",
    "items --reference 12",
    "items --unreviewed --below 0.01 --current",
    "items --path box-77",
    "outputs --run {run}",
    "stages --run {run}",
    "shots --run {run}",
    "failures --run {run}",
    "references --run {run}",
    "references",
    "runtimes --run {run}",
    "reviews --run {run}",
    "events --run {run}",
    "fixity --finding missing",
)


@dataclass(frozen=True)
class Measured:
    """Rows of an answer, and seconds: the first time, and the median of further times."""

    rows: int
    first: float
    warm: float

    def __str__(self) -> str:
        return f"{self.rows:>9,} {self.first:8.3f} {self.warm:8.3f}"


def measured(url: str, work: Callable[[Database], int]) -> Measured:
    """How long the work takes, which answers how many rows there were."""
    _forget(url)
    seconds = []
    with open_database(url, create=False) as db:
        for _ in range(1 + REPEATS):
            began = time.perf_counter()
            rows = work(db)
            seconds.append(time.perf_counter() - began)
    return Measured(rows, seconds[0], statistics.median(seconds[1:]))


def report(url: str, run_id: int, *, check: bool) -> Iterator[str]:
    """All measurements, a line each."""
    yield f"{'view, of one run':50} {'rows':>9} {'first':>8} {'warm':>8}"
    for view in audit.VIEWS:
        yield f"{view:50} {measured(url, partial(_all_of_view, view=view, run_id=run_id))}"
    yield f"{'question, of one run':50} {'rows':>9} {'first':>8} {'warm':>8}    of everything"
    for question in questions():
        of_run, of_all = _as_asked(question.of_run(run_id)), _as_asked(question)
        began = time.perf_counter()
        with open_database(url, create=False) as db:
            rows = _asked(db, of_all)
        whole = f"{time.perf_counter() - began:8.2f} ({rows:,} rows)"
        one = str(measured(url, partial(_asked, question=of_run))) if of_run != of_all else " " * 27
        yield f"{question.text[:50]:50} {one} {whole}"
    yield f"{'command, to CSV':60} {'seconds':>8} {'MiB':>6}"
    for command in COMMANDS:
        words = command.format(run=run_id).split()
        seconds, mebibytes = _command(url, words)
        yield f"{'audit ' + ' '.join(words):60} {seconds:8.2f} {mebibytes:6.0f}"
    yield f"bytes on disk: {_size(url):,}"
    if check:
        began = time.perf_counter()
        with open_database(url, create=False) as db:
            findings = sum(1 for _ in events.check(db))
        yield f"every event and seal checked: {time.perf_counter() - began:.0f} s, {findings} findings"


def _all_of_view(db: Database, view: str, run_id: int) -> int:
    """Of a run, or what cannot be asked so, of a day."""
    if "run_id" in audit.filters(view):
        return len(audit.rows(db, view, run_id))
    since = START + timedelta(days=5)
    return sum(1 for _ in audit.stream(db, view, AuditFilter(since=since, until=since + timedelta(days=1))))


def _as_asked(question: Question) -> Question:
    """With examples that are in this library in place of those that the question names."""
    sql = question.sql
    for example, here in EXAMPLES.items():
        sql = sql.replace(example, here)
    return replace(question, sql=sql)


def _asked(db: Database, question: Question) -> int:
    with db.read() as session:
        rows = session.execute(sa.text(question.sql).execution_options(yield_per=2000))
        return sum(1 for _ in rows)


def _command(url: str, words: list[str]) -> tuple[float, float]:
    """Seconds and memory of the whole process."""
    began = time.perf_counter()
    code = (
        "import re, sys; from flows.cli.entry import run_command; code = run_command(sys.argv[1:]);"
        "status = open('/proc/self/status').read();"
        "print(re.search(r'VmHWM:\\s+(\\d+)', status)[1], file=sys.stderr); sys.exit(code)"
    )
    arguments = ["audit", *words, "--database", url, "--format", "csv"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - began, int(done.stderr.split()[-1]) / 1024


def _forget(url: str) -> None:
    """Have the file of a SQLite database read from disk again."""
    if url.startswith("sqlite"):
        file = os.open(url.removeprefix("sqlite:///"), os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def _size(url: str) -> int:
    if url.startswith("sqlite"):
        return Path(url.removeprefix("sqlite:///")).stat().st_size
    with open_database(url, create=False) as db, db.read() as session:
        return int(session.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)


def main() -> None:
    """Make the libraries, or take the one that is named, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--items", type=int, default=10_000, help="of each run")
    parser.add_argument("--url", help="a database that was seeded before")
    parser.add_argument("--check", action="store_true", help="check every event and seal too")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        urls = [arguments.url] if arguments.url else []
        if not arguments.url and "sqlite" in arguments.databases:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            urls.append(sqlite_url(Path(folder) / "provenance.db"))
        if not arguments.url and "postgresql" in arguments.databases:
            server = stack.enter_context(running_server())
            urls.append(stack.enter_context(fresh_database(server, "audit_views")))
        for url in urls:
            print(f"\n{url.partition(':')[0]}, load of the machine before: {os.getloadavg()[0]:.1f}", flush=True)
            if not arguments.url:
                seed(url, arguments.runs, arguments.items)
            for line in report(url, max(1, arguments.runs // 2), check=arguments.check):
                print(line, flush=True)


if __name__ == "__main__":
    main()
