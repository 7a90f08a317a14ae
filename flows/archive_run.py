"""One run over an archive, step by step: open, prepare, start, index, batches, finish.

These are plain functions; `flows.orchestration.flow` wraps the same steps in Prefect.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from flows.documents.workfolder import sweep_documents
from flows.engine import Engine
from flows.errors import UsageError
from flows.film.choosing import ByHand
from flows.film.given import GivenReferences
from flows.film.workfolder import sweep
from flows.ingest import IngestedItem, ingest_archive
from flows.output_lock import locked
from flows.pins import PinnedReferences, Pins
from flows.planning import Plan, describe_plan, make_plan, name_of, output_is_there
from flows.progress import Progress
from flows.reference_index import INDEX_FOLDER, index_references
from flows.report.evidence import read_evidence
from flows.report.gallery import gallery_folder, write_gallery
from flows.requests import requests_of
from flows.run_record import run_record
from flows.settings import RunSettings
from flows.step import Step
from flows.steps import Reporting, make_steps
from flows.stopwatch import peak_memory_bytes
from flows.summary import FailedItem, RunSummary, Tally
from storage.database import Database, DatabaseError, colorizations, open_database, runs
from storage.database.records import CurrentColorization, ItemOutcome, RunState, StageTiming
from storage.decoding import Decoder
from storage.errors import StorageError
from storage.fixity import sweep_partial_files
from storage.paths import path_to_text

T = TypeVar("T")
Nothing = Callable[[], None]


class ArchiveRun:
    """A run in progress. The output folder is locked, database and decoder are open (see `open_run`)."""

    def __init__(self, settings: RunSettings, database: Database, decoder: Decoder, progress: Progress) -> None:
        self.settings = settings
        self.database = database
        self._decoder = decoder
        self.progress = progress
        self.run_id: int | None = None
        self.steps: list[Step] = []
        """The work in small pieces, to be done in order; a step may put others behind it."""
        self._began = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._stages: dict[str, float] = {}
        self._items = {"load": 1, "plan": 1}  # what a stage handled; the others handle the outcomes
        self._is_finished = False
        self._batch_seconds = 0.0
        self._tally = Tally()
        self._engine: Engine | None = None
        self._plan: Plan | None = None
        self._names: dict[int, str] = {}
        self._given = GivenReferences.read(settings.reference)
        self._pins = Pins.read(settings, database)
        self._at_end = ExitStack()

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
            found = ingest_archive(
                self.database,
                self._decoder,
                self.settings.archive,
                self.settings.output,
                sequences=self.settings.sequences,
            )
        self._items["ingest"] = found.looked_at
        self._pins.check({item.path: item.record.kind for item in found.items})
        output_root, archive = path_to_text(self.settings.output), path_to_text(self.settings.archive)
        current = colorizations.current(self.database, output_root, archive)
        done = {item_id for item_id, row in current.items() if row.state == "done"}
        if any(item.is_colorizable and item.item_id not in done for item in found.items):
            on_likely_work()
        with self._timed("load"):
            self._engine = Engine.load(self.settings)
        self._names = {item.item_id: name_of(item) for item in found.items if item.item_id is not None}
        with self._timed("plan"):
            self._plan = make_plan(
                found.items,
                current,
                requests_of(self.settings, self._engine.colorizer, self._given, self._engine.where),
                retry_failed=self.settings.retry_failed,
                colorize_all=self.settings.colorize_all,
                output_is_there=partial(output_is_there, self.settings.output),
                pinned=self._pins.state,
            )
        pending = self._plan.pending
        sweep(self.settings.output, archive, (item.path for item in pending if item.kind == "film"))
        sweep_documents(self.settings.output, archive, (item.path for item in pending if item.kind == "page"))
        self.progress.say(describe_plan(self._plan, found.summary))
        return self._plan

    def read_pins(self) -> None:
        """Read again which references people chose."""
        self._pins = Pins.read(self.settings, self.database)

    def take_up(
        self, found: Sequence[IngestedItem], current: Mapping[int, CurrentColorization], engine: Engine
    ) -> Plan:
        """Plan for some items that are on record, in place of `prepare`: the archive is not looked through.

        Args:
            current: what counts for them in the output folder.
            engine: loaded for these settings.
        """
        self._engine = engine
        self._names = {item.item_id: name_of(item) for item in found if item.item_id is not None}
        self._plan = make_plan(
            found,
            current,
            requests_of(self.settings, engine.colorizer, self._given, engine.where),
            output_is_there=partial(output_is_there, self.settings.output),
            pinned=self._pins.state,
        )
        return self._plan

    def index_references(self) -> None:
        """Bring the references into the database and the index; only what is new is embedded. Starts the run.

        The steps of the work are there afterwards.

        Raises:
            UsageError: there is no usable reference.
        """
        if not self.plan.pending:
            return
        run_id = self.start()
        with self._timed("index"):
            library, self._items["index"] = index_references(
                self.settings, self.database, self.engine, self._decoder, self.progress, run_id
            )
        self._at_end.callback(library.close)
        runs.set_index_version(self.database, run_id, library.index_version)
        reporting = Reporting(self._record, self._on_outcome, self._count, self.progress)
        by_hand = ByHand(self._given, PinnedReferences(self._pins, library))
        self.steps += make_steps(
            self.plan, self.engine, self._decoder, library, by_hand, self.database, run_id, reporting
        )

    def start(self, flow_run_id: str | None = None) -> int:
        """Record that the run has begun, and the outcomes that are known already. Returns the run's id.

        A second call only adds the flow run, which may begin later than the run.
        """
        if self.run_id is not None:
            if flow_run_id is not None:
                runs.set_flow_run_id(self.database, self.run_id, flow_run_id)
            return self.run_id
        record = run_record(self.settings, self.engine, self._started_at, flow_run_id)
        self.run_id = runs.start(self.database, record)
        runs.set_planned(
            self.database,
            self.run_id,
            items=self.plan.items,
            skipped=self.plan.items - len(self.plan.pending) - len(self.plan.to_record),
        )
        if self.plan.to_record:
            self._record(self.plan.to_record)
        for outcome in self.plan.to_record:
            self._count(outcome)
        return self.run_id

    def do_step(self, number: int) -> dict[str, int]:
        """Do one step, by its number from 0. Returns counts only: a small record."""
        before = (self._tally.done, self._tally.failed)
        start = time.monotonic()
        self.steps[number + 1 : number + 1] = self.steps[number]() or ()
        self._batch_seconds += time.monotonic() - start
        return {"done": self._tally.done - before[0], "failed": self._tally.failed - before[1]}

    @contextmanager
    def orchestrated(self) -> Iterator[None]:
        """Around all batches: what they take beyond their own work is the stage `orchestrate`."""
        if photographs := sum(item.kind != "film" for item in self.plan.pending):
            self.progress.begin(photographs, "pictures")
        start = time.monotonic()
        yield
        self._stages["orchestrate"] = time.monotonic() - start - self._batch_seconds

    def finish(self, error: BaseException | None = None) -> RunSummary:
        """Record the end of the run and write its gallery."""
        run_id = _there(self.run_id)
        self._at_end.close()
        summary = self.summary()
        state = _end_state(error, summary)
        message = str(error) if isinstance(error, Exception) else None
        outcomes = self._tally.done + self._tally.failed + self._tally.skipped
        timings = [
            StageTiming(stage=name, seconds=seconds, items=self._items.get(name, outcomes))
            for name, seconds in self._stages.items()
        ]
        runs.record_timings(self.database, run_id, timings)
        runs.finish(self.database, run_id, state, message)
        self._is_finished = True
        return self.summary(show(self.database, run_id, self.settings.output, self.progress))

    @contextmanager
    def finished_on_error(self) -> Iterator[None]:
        """Whatever error leaves the block, the run does not stay on record as running."""
        try:
            yield
        except BaseException as error:
            if self.run_id is not None and not self._is_finished:
                with suppress(Exception):  # a full disk may refuse this too; the error that ended the run is to be told
                    self.finish(error)
            raise

    def summary(self, gallery: Path | None = None) -> RunSummary:
        """What the run came to so far."""
        standing = [FailedItem(item.path, item.stage, item.message) for item in self.plan.standing]
        return RunSummary(
            items=self.plan.items,
            done=self._tally.done,
            failed=self._tally.failed,
            left_out=self.plan.skipped + self._tally.left_out,
            low_matches=self._tally.low_matches,
            finished_before=len(self.plan.finished),
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
        self._tally.add(outcome, self._names[outcome.item_id])


@contextmanager
def open_run(settings: RunSettings, progress: Progress) -> Iterator[ArchiveRun]:
    """Lock the output folder, open its database, and clear up after a run that was killed.

    Raises:
        UsageError: the folder for galleries or index is a link to elsewhere.
        EnvironmentProblem: another run holds the folder.
        DatabaseError: the database cannot be used.
    """
    for folder in (gallery_folder(settings.output, 0).parent, settings.output / INDEX_FOLDER):
        if not folder.resolve().is_relative_to(settings.output):
            raise UsageError(f"{folder} is a link that leads out of the output folder; remove the link")
    with locked(settings.output) as held:
        if not held:
            progress.say("note: this file system knows no locks on folders; start no second run into the same output")
        with open_database(settings.database_url) as database, Decoder() as decoder:
            crashed = runs.abandon_dead(database, path_to_text(settings.output))
            swept = sweep_partial_files(settings.output)
            if crashed or swept:
                progress.say(f"an earlier run was cut off; going on from there ({swept} half-written files removed)")
            if crashed:
                _show_crashed(settings, database, progress)
            run = ArchiveRun(settings, database, decoder, progress)
            with run.finished_on_error():
                yield run


def _show_crashed(settings: RunSettings, database: Database, progress: Progress) -> None:
    """The gallery of the run that was cut off, with the thumbnails that it left."""
    run = runs.latest(database, path_to_text(settings.output))
    if run is not None and run.state == "crashed":
        show(database, run.id, settings.output, progress)


def show(database: Database, run_id: int, output: Path, progress: Progress) -> Path | None:
    """Write the gallery of a run that has ended; that it cannot be written is a note, since the copies are there."""
    try:
        run, rows = _there(runs.get(database, run_id)), colorizations.of_run(database, run_id)
        return write_gallery(run, rows, output, read_evidence(database, run_id))
    except (OSError, StorageError, DatabaseError) as error:
        progress.say(f"note: the gallery of run {run_id} could not be written ({error}); `report {run_id}` makes it")
        return None


def run_archive(settings: RunSettings, progress: Progress) -> RunSummary:
    """A whole run without Prefect."""
    with open_run(settings, progress) as run:
        if not run.prepare().has_work:
            return run.summary()
        run.index_references()
        return execute(run)


def execute(
    run: ArchiveRun, do_step: Callable[[int], object] | None = None, flow_run_id: str | None = None
) -> RunSummary:
    """Start a prepared run, do its steps one after the other, and finish it, however it ends.

    Args:
        do_step: does a step by its number, in place of the run's own method (Prefect's task).
    """
    with run.finished_on_error():
        run.start(flow_run_id)
        with run.orchestrated():
            number = 0
            while number < len(run.steps):
                (do_step or run.do_step)(number)
                number += 1
        return run.finish()


def _end_state(error: BaseException | None, summary: RunSummary) -> RunState:
    if error is None:
        return "completed_with_failures" if summary.failures else "completed"
    return "failed" if isinstance(error, Exception) else "interrupted"


def _there(value: T | None) -> T:
    if value is None:
        raise RuntimeError("the steps of a run were called out of order")
    return value
