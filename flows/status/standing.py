"""How the runs of a database stand. Nothing is written, not even what would set a dead run right."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flows.errors import UsageError
from flows.settings import default_database, sqlite_path
from storage.database import Database, open_database, runs, standing
from storage.database.checking import lives
from storage.database.read_only import open_read_only
from storage.database.records import StoredRun
from storage.database.standing import Failure, FailureKind
from storage.database.types import now
from storage.paths import path_to_text

RATE_MINUTES = 10
NEWEST_FAILURES = 5
BAD_ENDS = ("crashed", "failed")

_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStanding:
    """How one run stands.

    Of a run that is on record as running: `is_alive` says whether its process is there, None where another machine
    would have to be asked; `per_second` counts the items of the last minutes; `seconds_left` is at this rate.
    """

    run: StoredRun
    is_alive: bool | None = None
    last_sign: datetime | None = None
    per_second: float | None = None
    seconds_left: float | None = None
    failures: tuple[FailureKind, ...] = ()
    newest_failures: tuple[Failure, ...] = ()
    unreviewed: int = 0
    low_matches: int = 0

    @property
    def state(self) -> str:
        """As recorded, but `dead` where it should run and its process is gone."""
        return "dead" if self.run.state == "running" and self.is_alive is False else self.run.state

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look at it: it broke off by itself."""
        return self.state in (*BAD_ENDS, "dead")


@dataclass(frozen=True, slots=True)
class Standing:
    """What runs, the latest first, and how the last run that ended stands."""

    running: tuple[RunStanding, ...]
    last: RunStanding | None

    @property
    def is_bad(self) -> bool:
        """Whether the latest run failed, crashed or is dead."""
        both = [*self.running, *([self.last] if self.last else [])]
        return bool(both) and max(both, key=lambda one: one.run.id).is_bad


@contextmanager
def open_for_status(url: str | None, output: Path | None) -> Iterator[Database]:
    """Open the named database, else that of the output folder (default: the folder we are in), for reading.

    Raises:
        UsageError: there is none.
        DatabaseError: it does not answer, or not within ten seconds.
    """
    url = url or default_database(output or Path())
    file = sqlite_path(url)
    if file is None:
        with open_database(url, create=False, patience_seconds=_PATIENCE_SECONDS) as database:
            yield database
        return
    if not file.exists():
        raise UsageError(
            f"there is no database {file}; name the output folder of a run with --output, or --database URL"
        )
    with open_read_only(file, patience_seconds=_PATIENCE_SECONDS) as database:
        yield database


def standing_of(database: Database, output: Path | None = None, run_id: int | None = None) -> Standing:
    """How the runs stand.

    Args:
        output: only runs into this folder.
        run_id: only this run.

    Raises:
        UsageError: there is no such run.
    """
    if run_id is not None:
        run = runs.get(database, run_id)
        if run is None:
            raise UsageError(f"there is no run {run_id} in this database; `archive-colorizer audit runs` lists them")
        one = _standing(database, run)
        return Standing((one,), None) if run.state == "running" else Standing((), one)
    root = None if output is None else path_to_text(output.resolve())
    under_way = [_of_id(database, one) for one in standing.running(database, root)]
    last = standing.last_ended(database, root)
    return Standing(
        tuple(one for one in under_way if one is not None), None if last is None else _of_id(database, last)
    )


def rate(outcomes: Sequence[datetime], run: StoredRun, at: datetime) -> float | None:
    """Items a second over the last minutes, else over the whole run; None where there were none.

    Args:
        outcomes: when the latest were recorded, the latest first.
    """
    window = max(at - timedelta(minutes=RATE_MINUTES), run.started_at)
    through = run.counts.done + run.counts.failed
    late = [time for time in outcomes if time >= window]
    since, count = window, len(late)
    if not late:
        since, count = run.started_at, through
    elif len(late) == len(outcomes) < through:  # there were more in these minutes than we were told of
        since, count = late[-1], len(late) - 1
    seconds = (at - since).total_seconds()
    return count / seconds if count and seconds > 0 else None


def _of_id(database: Database, run_id: int) -> RunStanding | None:
    run = runs.get(database, run_id)
    return None if run is None else _standing(database, run)


def _standing(database: Database, run: StoredRun) -> RunStanding:
    failures = tuple(standing.failure_kinds(database, run.id)) if run.counts.failed else ()
    newest = tuple(standing.newest_failures(database, run.id, NEWEST_FAILURES)) if failures else ()
    if run.state != "running":
        return RunStanding(
            run=run,
            failures=failures,
            newest_failures=newest,
            unreviewed=standing.unreviewed(database, run.id),
            low_matches=standing.unreviewed(database, run.id, low_match=True),
        )
    outcomes = standing.latest_outcomes(database, run.id)
    alive = lives(run.pid, run.started_at) and not _is_zombie(run.pid) if run.hostname == socket.gethostname() else None
    per_second = None if alive is False else rate(outcomes, run, now())
    left = run.counts.items - run.counts.done - run.counts.failed - run.counts.skipped
    return RunStanding(
        run=run,
        is_alive=alive,
        last_sign=outcomes[0] if outcomes else None,
        per_second=per_second,
        seconds_left=max(left, 0) / per_second if per_second else None,
        failures=failures,
        newest_failures=newest,
    )


def _is_zombie(pid: int) -> bool:
    """Whether the process has ended and nobody has asked for its exit code yet (proc(5))."""
    try:
        stat = Path(os.sep, "proc", str(pid), "stat").read_text()
    except (OSError, ValueError):
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
