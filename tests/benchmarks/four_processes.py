"""Four processes record into one database while it goes away several times; is every item there exactly once?

    python -m tests.benchmarks.four_processes [--items 10000] [--away 5] [--locked 20]

Into PostgreSQL, whose server is stopped and started again twice in the middle, and into a SQLite file that another
program keeps locked in the middle; each time also undisturbed. Prints how long it took, and whether everything is
accounted for.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storage.database import Database, events, items, open_database, sqlite_url
from storage.database.models import Colorization, Copy, Event, Match, Run, StageTiming
from tests.storage.database.restarts import kept_locked, own_server
from tests.storage.database.samples import add_references, item, start_run
from tests.storage.database.writer import COPIES, STAGES

PROCESSES = 4
REFERENCES = 5
SMALLEST, LARGEST = 16, 50
Disturbance = Callable[[], None]


@dataclass
class Figures:
    """What came of it; `problems` is empty if every item is accounted for exactly once."""

    items: int
    seconds: float
    batches: int
    longest_batch_seconds: float
    median_batch_seconds: float
    events: int
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.items} items in {self.batches} batches by {PROCESSES} processes: {self.seconds:.1f} s,"
            f" {self.items / self.seconds:.0f} items/s; a batch {self.median_batch_seconds * 1000:.0f} ms (median),"
            f" {self.longest_batch_seconds:.1f} s (longest); {self.events} events;"
            f" {'; '.join(self.problems) or 'every item exactly once, counts right, chain gapless'}"
        )


class _Writers:
    """The processes, and what they have recorded so far."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.recorded = 0
        self.seconds: list[float] = []
        self._processes: list[subprocess.Popen[str]] = []
        self._readers: list[threading.Thread] = []

    def start(self, *arguments: object) -> None:
        line = [sys.executable, "-m", "tests.storage.database.writer", *map(str, arguments)]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        reader = threading.Thread(target=self._read, args=(process,))
        reader.start()
        self._processes.append(process)
        self._readers.append(reader)

    def wait_for(self, recorded: int) -> None:
        """Until so many items are on record, or all processes have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self.recorded >= recorded or self._all_ended())

    def wait(self) -> list[int]:
        """Until the end; the exit codes."""
        for reader in self._readers:
            reader.join()
        return [process.wait() for process in self._processes]

    def _all_ended(self) -> bool:
        return all(process.poll() is not None for process in self._processes)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("recorded"):
                with self._changed:
                    _, count, seconds = line.split()
                    self.recorded += int(count)
                    self.seconds.append(float(seconds))
                    self._changed.notify_all()
        process.wait()
        with self._changed:
            self._changed.notify_all()


def measure(url: str, count: int, disturbances: Sequence[Disturbance], pause_seconds: float = 0.0) -> Figures:
    """Let four processes record `count` items, two of them in each of two runs.

    Args:
        disturbances: done one after the other, at equal distances over the work; each returns when it is over.
        pause_seconds: that each process rests after a batch, as if it had something else to do.
    """
    with open_database(url) as db:
        ids = _add_items(db, count)
        references = add_references(db, *(f"{number}.jpg" for number in range(REFERENCES)))
        runs = [start_run(db, started_at=None, output_root=f"/output/{number}") for number in range(2)]
    writers = _Writers()
    began = time.monotonic()
    for number in range(PROCESSES):
        share = ids[number * count // PROCESSES : (number + 1) * count // PROCESSES]
        extra = ("--largest", LARGEST, "--references", *references)
        writers.start(url, runs[number // 2], share[0], share[-1], SMALLEST, pause_seconds, *extra)
    for number, disturb in enumerate(disturbances, start=1):
        writers.wait_for(count * number // (len(disturbances) + 1))
        disturb()
    codes = writers.wait()
    seconds = time.monotonic() - began
    with open_database(url) as db:
        problems = _problems(db, runs, ids)
        with db.read() as session:
            event_count = session.scalars(sa.select(sa.func.count()).select_from(Event)).one()
    if any(codes):
        problems.append(f"exit codes {codes}")
    took = sorted(writers.seconds)
    return Figures(count, seconds, len(took), took[-1], took[len(took) // 2], event_count, problems)


def _add_items(db: Database, count: int) -> list[int]:
    found = items.upsert(db, [item(f"{number:06}.tif") for number in range(count)])
    ids = sorted(found.values())
    assert ids == [*range(ids[0], ids[0] + count)], "the processes are given ranges"
    return ids


def _problems(db: Database, runs: Sequence[int], ids: Sequence[int]) -> list[str]:
    def counted(of: Any, *conditions: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(of).where(*conditions)
        return session.scalars(query).one()

    found = []
    with db.read() as session:
        recorded = session.scalars(sa.select(Colorization.item_id).order_by(Colorization.item_id)).all()
        if list(recorded) != list(ids):
            found.append(f"{len(recorded)} rows for {len(set(recorded))} items")
        for model, each in ((Match, REFERENCES), (StageTiming, len(STAGES)), (Copy, COPIES)):
            if (there := counted(model)) != each * len(ids):
                found.append(f"{there} rows of {model.__tablename__}, not {each * len(ids)}")
        for run in session.scalars(sa.select(Run).where(Run.id.in_(runs))):
            there = counted(Colorization, Colorization.run_id == run.id)
            if not run.done == there == len(ids) // len(runs):
                found.append(f"run {run.id} counts {run.done} done, and has {there} rows")
        numbers = session.scalars(sa.select(Event.id).order_by(Event.id)).all()
        if list(numbers) != [*range(1, len(numbers) + 1)]:
            found.append("the chain has gaps")
    return found + [f"{finding.name} is {finding.finding}" for finding in events.check(db)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--away", type=float, default=5.0, help="seconds for which the server is stopped, each time")
    parser.add_argument("--locked", type=float, default=20.0, help="seconds for which the file is locked")
    given = parser.parse_args()
    with own_server() as server:

        def restart() -> None:
            server.stop()
            time.sleep(given.away)
            server.start()

        print("PostgreSQL, undisturbed:", measure(server.url, given.items, []), flush=True)
    with own_server() as server:
        print(
            f"PostgreSQL, stopped twice for {given.away:g} s:",
            measure(server.url, given.items, [restart, restart]),
            flush=True,
        )
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite, undisturbed:", measure(sqlite_url(Path(folder, "a.db")), given.items, []), flush=True)
        file = Path(folder, "b.db")

        def lock() -> None:
            with kept_locked(file, given.locked):
                time.sleep(given.locked)

        print(f"SQLite, locked for {given.locked:g} s:", measure(sqlite_url(file), given.items, [lock]), flush=True)


if __name__ == "__main__":
    main()
