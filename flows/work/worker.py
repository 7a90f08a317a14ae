"""A worker process of a Dask cluster: it opens a workshop for the run when the first job comes, and keeps it."""

import pickle
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import cast

from distributed import Worker, WorkerPlugin, get_worker

from flows.progress import SilentProgress
from flows.work.job import Answer, Job
from flows.work.order import Order
from flows.work.workshop import Reports, Workshop, open_workshop
from storage.database.records import ItemOutcome


@dataclass(slots=True)
class Told(SilentProgress):
    """What a workshop tells while it does a job, to be told again by the run's own process."""

    lines: list[str] = field(default_factory=list)
    outcomes: list[ItemOutcome] = field(default_factory=list)
    recording_seconds: float = 0.0

    def clear(self) -> None:
        """Begin anew."""
        self.lines, self.outcomes, self.recording_seconds = [], [], 0.0

    def say(self, line: str) -> None:
        """See `Progress`."""
        self.lines.append(line)

    def take(self, outcome: ItemOutcome) -> None:
        """An outcome that is on record; what hangs on it is not needed any more."""
        self.outcomes.append(replace(outcome, matches=(), shots=(), copies=()))

    def add_recording(self, seconds: float) -> None:
        """Seconds that the database took."""
        self.recording_seconds += seconds


@dataclass(frozen=True, slots=True)
class Done:
    """What comes back from a worker: an answer, or the error that ends the run."""

    answer: Answer | None
    error: Exception | None
    told: Told


class RunPlugin(WorkerPlugin):
    """Gives every worker of a cluster, also one that comes later, what it needs to work for a run."""

    def __init__(self, order: Order) -> None:
        self.name = f"archive-colorizer run {order.run_id} {id(order)}"
        self._order = order

    def setup(self, worker: Worker) -> None:
        """Called in the worker; nothing is opened yet."""
        self._lock = Lock()
        self._stack = ExitStack()
        self._workshop: Workshop | None = None
        self._told = Told()

    def teardown(self, worker: Worker) -> None:
        """Close what was opened; the run is over, or the worker ends."""
        with self._lock:
            self._stack.close()
            self._workshop = None

    def do(self, job: Job) -> Done:
        """Do a job. One at a time, however many threads the worker has."""
        with self._lock:
            try:
                workshop = self._opened()
                self._told.clear()
                return Done(job.do(workshop), None, self._told)
            except Exception as error:
                return Done(None, error, self._told)

    def _opened(self) -> Workshop:
        if self._workshop is None:
            told = self._told
            reports = Reports(told, told.take, told.take, told.add_recording)
            self._workshop = self._stack.enter_context(open_workshop(self._order, reports))
        return self._workshop


def do_parcel(plugin: str, parcel: bytes) -> bytes:
    """Do the job in the parcel in this worker; returns what came of it, `Done`, in the same form.

    Bytes, so that nobody on the way looks into them.
    """
    run = cast(RunPlugin, get_worker().plugins[plugin])
    return pickle.dumps(run.do(pickle.loads(parcel)))
