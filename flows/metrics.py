"""Metrics of a run for Prometheus: a file for node_exporter's textfile collector.

A run is a batch job, often over before anybody has asked; the file is its natural form
(https://github.com/prometheus/node_exporter#textfile-collector). The counters begin at zero with every process, which
Prometheus expects (https://prometheus.io/docs/concepts/metric_types/#counter).
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from flows.errors import EnvironmentProblem, UsageError
from storage.database.records import ColorizationState, ItemOutcome, RunState, StageTiming
from storage.fixity import atomic_write

PREFIX = "archive_colorizer"
EVERY_SECONDS = 15.0
SUFFIX = ".prom"
"""node_exporter passes over files of other names."""

_ITEM_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)  # a small scan to a long film


class RunMetrics:
    """The metrics of one run, in a registry of their own; threads may share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._items = self._counter("items", "Items by what became of them in this process.", "state")
        self._seconds = self._counter("seconds", "Seconds by stage, of items and of the run.", "stage")
        self._item_seconds = Histogram(
            f"{PREFIX}_item_seconds", "Seconds of an item that was colorized.", buckets=_ITEM_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._planned = self._gauge("run_items_planned", "Items that the run is to look at.")
        self._running = self._gauge("run_running", "1 while a run is under way.")
        self._last_end = self._gauge("last_run_end_timestamp_seconds", "When the last run ended; 0: never.")
        self._last_state = Gauge(
            f"{PREFIX}_last_run_state", "1 for the state in which the last run ended.", ["state"],
            registry=self.registry,
        )  # fmt: skip
        for outcome in get_args(ColorizationState):
            self._items.labels(outcome)
        self._set_last(None)

    def last_run(self, state: RunState, ended_at: datetime) -> None:
        """How the run before this one ended: else a file that is written anew would not tell for a while."""
        self._set_last(state)
        self._last_end.set(ended_at.timestamp())

    def run_began(self, planned: int) -> None:
        """A run is under way that is to look at so many items."""
        self._planned.set(planned)
        self._running.set(1)

    def outcome(self, outcome: ItemOutcome) -> None:
        """Count what became of an item, and where its time went."""
        self._items.labels(outcome.state).inc()
        if outcome.state == "done" and outcome.seconds is not None:
            self._item_seconds.observe(outcome.seconds)
        self.stages(outcome.timings)

    def stages(self, timings: Iterable[StageTiming]) -> None:
        """Count the seconds of stages."""
        for timing in timings:
            self._seconds.labels(timing.stage).inc(max(timing.seconds, 0.0))

    def run_ended(self, state: RunState, ended_at: datetime) -> None:
        """The run is over."""
        self._running.set(0)
        self.last_run(state, ended_at)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def write(self, file: Path) -> None:
        """Write the file as a whole: who reads meanwhile sees the one before.

        Raises:
            EnvironmentProblem: it cannot be written.
        """
        try:
            with atomic_write(file) as partial:
                partial.write_bytes(self.text())
        except OSError as error:
            raise EnvironmentProblem(
                f"the metrics {file} cannot be written ({error.strerror}); name another file with --metrics"
            ) from error

    def _set_last(self, state: RunState | None) -> None:
        for one in get_args(RunState):
            if one != "running":
                self._last_state.labels(one).set(one == state)

    def _counter(self, name: str, about: str, label: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", about, [label], registry=self.registry)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", about, registry=self.registry)


@contextmanager
def written_to(file: Path, metrics: RunMetrics, *, every: float = EVERY_SECONDS) -> Iterator[None]:
    """Keep the file up to date as long as the block lasts, and once more at its end.

    A file that cannot be written later on ends nothing: it is old then, which Prometheus sees
    (`node_textfile_mtime_seconds`).

    Args:
        every: seconds between two writes.

    Raises:
        UsageError: node_exporter would not read a file of this name.
        EnvironmentProblem: it cannot be written at the start.
    """
    if file.suffix != SUFFIX:
        raise UsageError(f"{file}: node_exporter reads only files that end in {SUFFIX}; name one with --metrics")
    metrics.write(file)
    is_over = threading.Event()
    writer = threading.Thread(target=_keep_writing, args=(file, metrics, every, is_over), daemon=True)
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join()


def _keep_writing(file: Path, metrics: RunMetrics, every: float, is_over: threading.Event) -> None:
    going = True
    while going:
        going = not is_over.wait(every)
        try:
            metrics.write(file)
        except EnvironmentProblem:
            continue  # a full disk may have room again
