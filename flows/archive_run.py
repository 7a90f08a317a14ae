"""One run over an archive, step by step: open, prepare, index, start, batches, finish.

These are plain functions; `flows.orchestration.flow` wraps the same steps in Prefect.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flows.batch import BatchWorker
from flows.destination import Destination, recorded_in
from flows.engine import Engine
from flows.ingest import Ingest, ingest_archive
from flows.output_lock import locked
from flows.planning import PendingItem, Plan, Request, cut_into_batches, make_plan
from flows.progress import Progress
from flows.reference_index import index_references
from flows.report.gallery import gallery_folder, write_gallery
from flows.report.thumbnails import ThumbnailFolder
from flows.run_record import run_record
from flows.settings import RunSettings, sqlite_path
from flows.stopwatch import peak_memory_bytes
from flows.summary import FailedItem, RunSummary, Tally
from storage.database import Database, colorizations, open_database, runs
from storage.database.records import ItemOutcome, RunState, StageTiming
from storage.fixity import sweep_partial_files
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import ReferenceLibrary

T = TypeVar("T")
Nothing = Callable[[], None]


class ArchiveRun:
    """A run in progress. The output folder is locked and the database open (see `open_run`)."""

    def __init__(self, settings: RunSettings, database: Database, progress: Progress) -> None:
        self.settings = settings
        self.database = database
        self.progress = progress
        self.run_id: int | None = None
        self.batches: list[tuple[PendingItem, ...]] = []
        self._began = time.monotonic()
        self._stages: dict[str, float] = {}
        self._batch_seconds = 0.0
        self._tally = Tally()
        self._engine: Engine | None = None
        self._plan: Plan | None = None
        self._paths: dict[int, str] = {}
        self._references: ReferenceLibrary | None = None
        self._worker: BatchWorker | None = None

    @property
    def plan(self) -> Plan:
        """What is to be done; there after `prepare`."""
        return _there(self._plan)

    @property
    def engine(self) -> Engine:
        """The networks; there after `prepare`."""
        return _there(self._engine)

    def prepare(self, on_likely_work: Nothing = lambda: None) -> Plan:
        """Ingest the archive, load the networks and plan.

        Args:
            on_likely_work: called as soon as it shows that there probably is something to do, before the networks are
                loaded, so that something slow can start beside them.
        """
        self.progress.say(f"looking through {self.settings.archive}")
        with self._timed("ingest"):
            found = ingest_archive(self.database, self.settings.archive, self.settings.output)
        output_root, archive = path_to_text(self.settings.output), path_to_text(self.settings.archive)
        current = colorizations.current(self.database, output_root, archive)
        done = {item_id for item_id, row in current.items() if row.state == "done"}
        if any(item.is_colorizable and item.item_id not in done for item in found.items):
            on_likely_work()
        with self._timed("load"):
            self._engine = Engine.load(self.settings)
        self._paths = {item.item_id: item.path for item in found.items if item.item_id is not None}
        with self._timed("plan"):
            self._plan = make_plan(
                found.items,
                current,
                request_of(self.settings, self._engine),
                retry_failed=self.settings.retry_failed,
                output_is_there=partial(output_is_there, self.settings.output),
            )
        self.batches = cut_into_batches(self._plan.pending, self.settings.batch_size)
        self.progress.say(describe_plan(self._plan, found))
        return self._plan

    def index_references(self) -> None:
        """Bring the references into the database and the index; only what is new is embedded.

        Raises:
            UsageError: there is no usable reference.
        """
        if not self.plan.pending:
            return
        with self._timed("index"):
            self._references = index_references(self.settings, self.database, self.engine, self.progress)

    def start(self, flow_run_id: str | None = None) -> int:
        """Record that the run has begun, and the outcomes that are known already. Returns the run's id."""
        version = self._references.index_version if self._references else None
        self.run_id = runs.start(self.database, run_record(self.settings, self.engine, version, flow_run_id))
        runs.set_planned(
            self.database,
            self.run_id,
            items=self.plan.items,
            skipped=self.plan.items - len(self.plan.pending) - len(self.plan.to_record),
        )
        if self.plan.to_record:
            colorizations.record(self.database, self.run_id, list(self.plan.to_record))
        for outcome in self.plan.to_record:
            self._count(outcome)
        if self._references is not None:
            self._worker = BatchWorker(
                self.engine,
                self._references,
                self.settings.archive,
                Destination(
                    self.settings.archive,
                    self.settings.output,
                    recorded_in(self.database, path_to_text(self.settings.output)),
                ),
                ThumbnailFolder(gallery_folder(self.settings.output, self.run_id)),
            )
        self.progress.begin(len(self.plan.pending), "photographs")
        return self.run_id

    def colorize_batch(self, number: int) -> dict[str, int]:
        """Do one batch, by its number from 0. Returns counts only: a small record."""
        worker = _there(self._worker)
        before = (self._tally.done, self._tally.failed)
        start = time.monotonic()
        worker.run(self.batches[number], self._record, self._on_outcome)
        self._batch_seconds += time.monotonic() - start
        return {"done": self._tally.done - before[0], "failed": self._tally.failed - before[1]}

    @contextmanager
    def orchestrated(self) -> Iterator[None]:
        """Around all batches: what they take beyond their own work is the stage `orchestrate`."""
        start = time.monotonic()
        yield
        self._stages["orchestrate"] = time.monotonic() - start - self._batch_seconds

    def finish(self, error: BaseException | None = None) -> RunSummary:
        """Record the end of the run and write its gallery."""
        run_id = _there(self.run_id)
        summary = self.summary()
        state = _end_state(error, summary)
        message = str(error) if isinstance(error, Exception) else None
        runs.record_timings(
            self.database,
            run_id,
            [StageTiming(stage=name, seconds=seconds, items=summary.items) for name, seconds in self._stages.items()],
        )
        runs.finish(self.database, run_id, state, message)
        run = runs.get(self.database, run_id)
        gallery = write_gallery(_there(run), colorizations.of_run(self.database, run_id), self.settings.output)
        return self.summary(gallery)

    def summary(self, gallery: Path | None = None) -> RunSummary:
        """What the run came to so far."""
        standing = [FailedItem(item.path, item.stage, item.message) for item in self.plan.standing]
        return RunSummary(
            items=self.plan.items,
            done=self._tally.done,
            failed=self._tally.failed,
            left_out=self.plan.skipped,
            finished_before=self.plan.finished,
            pending=len(self.plan.pending),
            seconds=time.monotonic() - self._began,
            run_id=self.run_id,
            gallery=gallery,
            stage_medians=self._tally.stage_medians(),
            peak_memory_bytes=peak_memory_bytes(),
            failures=tuple(sorted([*self._tally.failures, *standing], key=lambda failure: failure.path)),
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        """Time a block as a stage of the run; a stage entered several times adds up."""
        start = time.monotonic()
        yield
        self._stages[stage] = self._stages.get(stage, 0.0) + time.monotonic() - start

    def _record(self, outcomes: Sequence[ItemOutcome]) -> None:
        with self._timed("record"):
            colorizations.record(self.database, _there(self.run_id), list(outcomes))

    def _on_outcome(self, outcome: ItemOutcome) -> None:
        self._count(outcome)
        self.progress.advance(failed=outcome.state == "failed")

    def _count(self, outcome: ItemOutcome) -> None:
        self._tally.add(outcome, self._paths[outcome.item_id])


@contextmanager
def open_run(settings: RunSettings, progress: Progress) -> Iterator[ArchiveRun]:
    """Lock the output folder, open its database, and clear up after a run that was killed.

    Raises:
        EnvironmentProblem: another run holds the folder.
        DatabaseError: the database cannot be used.
    """
    with locked(settings.output) as held:
        if not held:
            progress.say("note: this file system knows no locks on folders; start no second run into the same output")
        with open_database(settings.database_url) as database:
            crashed = runs.abandon_dead(database, path_to_text(settings.output))
            swept = sweep_partial_files(settings.output)
            if crashed or swept:
                progress.say(f"an earlier run was cut off; going on from there ({swept} half-written files removed)")
            yield ArchiveRun(settings, database, progress)


def run_archive(settings: RunSettings, progress: Progress) -> RunSummary:
    """A whole run without Prefect."""
    with open_run(settings, progress) as run:
        if not run.prepare().has_work:
            return run.summary()
        run.index_references()
        return execute(run)


def execute(
    run: ArchiveRun, colorize_batch: Callable[[int], object] | None = None, flow_run_id: str | None = None
) -> RunSummary:
    """Start a prepared run, do its batches one after the other, and finish it, however it ends.

    Args:
        colorize_batch: does a batch by its number, in place of the run's own method (Prefect's task).
    """
    run.start(flow_run_id)
    try:
        with run.orchestrated():
            for number in range(len(run.batches)):
                (colorize_batch or run.colorize_batch)(number)
    except BaseException as error:
        with suppress(Exception):  # a full disk may refuse this too; the error that ended the run is the one to tell
            run.finish(error)
        raise
    return run.finish()


def dry_run(settings: RunSettings, progress: Progress) -> RunSummary:
    """Say what a run would do, and change nothing: no folder, no database, no row."""
    database_file = sqlite_path(settings.database_url)
    there = database_file is None or database_file.exists()
    with open_database(settings.database_url, create=False) if there else nullcontext() as database:
        found = ingest_archive(database, settings.archive, settings.output, record=False)
        output_root, archive = path_to_text(settings.output), path_to_text(settings.archive)
        current = colorizations.current(database, output_root, archive) if database is not None else {}
        plan = make_plan(
            found.items,
            current,
            request_of(settings, Engine.load(settings)),
            retry_failed=settings.retry_failed,
            output_is_there=partial(output_is_there, settings.output),
        )
    progress.say(describe_plan(plan, found))
    failures = [FailedItem(item.path, item.stage, item.message) for item in plan.standing]
    return RunSummary(
        items=plan.items,
        left_out=plan.skipped,
        finished_before=plan.finished,
        pending=len(plan.pending),
        failures=tuple(failures),
        dry_run=True,
    )


def request_of(settings: RunSettings, engine: Engine) -> Request:
    """What decides the pixels of this run's copies, apart from the masters.

    The references count by their folder, not by what is in it: one more picture there must not make a whole
    archive pending.
    """
    from retrieval.embedding import embedding_version

    # how many candidates are looked at, and with which eyes, decides which reference is taken
    version = embedding_version(settings.vgg_weights)
    choice = f"automatic:{path_to_text(settings.references)}:best of {settings.candidates}:{version}"
    return Request(
        reference_choice=choice,
        weights_sha256=engine.colorizer.weights_sha256,
        parameters=engine.colorizer.parameters,
        output_format=settings.format,
    )


def describe_plan(plan: Plan, found: Ingest) -> str:
    """The plan in one line."""
    failing = len(plan.standing) + sum(outcome.state == "failed" for outcome in plan.to_record)
    own = f", {found.own} of the output folder met through a link" if found.own else ""
    return (
        f"{plan.items} items found ({found.hashed} new or changed, {found.ignored} other files{own}): "
        f"{len(plan.pending)} to colorize, {plan.finished} done already, {plan.skipped} left out, {failing} failing"
    )


def output_is_there(output: Path, path: str, size_bytes: int | None) -> bool:
    """Whether a copy lies in the output folder with the size that was recorded."""
    try:
        return (output / text_to_path(path)).stat().st_size == size_bytes
    except OSError:
        return False


def _end_state(error: BaseException | None, summary: RunSummary) -> RunState:
    if error is None:
        return "completed_with_failures" if summary.failures else "completed"
    return "failed" if isinstance(error, Exception) else "interrupted"


def _there(value: T | None) -> T:
    if value is None:
        raise RuntimeError("the steps of a run were called out of order")
    return value
