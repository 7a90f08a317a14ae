"""One run over an archive, step by step: prepare, start, index, jobs, finish. `flows.running` takes it through them.

No Prefect here: `flows.orchestration.flow` puts the same jobs on record there.
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
from flows.film.choosing import ByHand
from flows.film.given import GivenReferences
from flows.film.workfolder import sweep
from flows.ingest import IngestedItem, ingest_archive
from flows.logs import outcome_logged, run_began, run_ended
from flows.metrics import RunMetrics
from flows.pins import PinnedReferences, Pins
from flows.planning import Plan, describe_plan, make_plan, name_of, output_is_there
from flows.progress import Progress
from flows.reference_index import index_references
from flows.report.run_gallery import show_run
from flows.requests import requests_of
from flows.run_record import run_record
from flows.settings import RunSettings
from flows.stopwatch import peak_memory_bytes
from flows.summary import FailedItem, RunSummary, Tally
from flows.version import code_version
from flows.work.coordination import do_all
from flows.work.courses import courses_of
from flows.work.crew import Crew
from flows.work.order import Order
from flows.work.threads import worker_threads
from flows.work.workshop import Reports, Workshop
from storage.database import Database, colorizations, runs
from storage.database.records import CurrentColorization, ItemOutcome, RunCounts, RunState, StageTiming
from storage.decoding import Decoder
from storage.paths import path_to_text

T = TypeVar("T")
Nothing = Callable[[], None]


class ArchiveRun:
    """A run in progress. The output folder is locked, database and decoder are open (see `flows.running.open_run`)."""

    def __init__(self, settings: RunSettings, database: Database, decoder: Decoder, progress: Progress) -> None:
        self.settings = settings
        self.database = database
        self._decoder = decoder
        self.progress = progress
        self.run_id: int | None = None
        self._began = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._stages: dict[str, float] = {}
        self._items = {"load": 1, "plan": 1}  # what a stage handled; the others handle the outcomes
        self._is_finished = False
        self._workshop: Workshop | None = None
        self._tally = Tally()
        self._engine: Engine | None = None
        self._plan: Plan | None = None
        self._names: dict[int, str] = {}
        self._given = GivenReferences.read(settings.reference)
        self._pins = Pins.read(settings, database)
        self._at_end = ExitStack()
        self.metrics = RunMetrics()

    @property
    def plan(self) -> Plan:
        """What is to be done; there after `prepare`."""
        return _there(self._plan)

    @property
    def engine(self) -> Engine:
        """The networks; there after `prepare`."""
        return _there(self._engine)

    @property
    def _threads(self) -> int:
        """With which the networks compute, here or in each worker."""
        return worker_threads(self.settings) if self.settings.workers > 1 else self.engine.threads

    @property
    def workshop(self) -> Workshop:
        """What this process does jobs with, and the order that others are given; there after `index_references`."""
        return _there(self._workshop)

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
        by_hand = ByHand(self._given, PinnedReferences(self._pins, library))
        finished = {path: id_ for (path, _), id_ in self.plan.finished.items() if id_ is not None}
        order = Order(
            settings=self.settings,
            run_id=run_id,
            code_version=code_version(),
            threads=self._threads,
            finished=finished if self.settings.variety else {},
        )
        reports = Reports(self.progress, self._on_outcome, self._count, self._recorded_in)
        self._workshop = Workshop(order, self.engine, self._decoder, library, by_hand, self.database, reports)

    def start(self, flow_run_id: str | None = None) -> int:
        """Record that the run has begun, and the outcomes that are known already. Returns the run's id.

        A second call only adds the flow run, which may begin later than the run.
        """
        if self.run_id is not None:
            if flow_run_id is not None:
                runs.set_flow_run_id(self.database, self.run_id, flow_run_id)
            return self.run_id
        record = run_record(self.settings, self.engine, self._started_at, flow_run_id, self._threads)
        self.run_id = runs.start(self.database, record)
        runs.set_planned(
            self.database,
            self.run_id,
            items=self.plan.items,
            skipped=self.plan.items - len(self.plan.pending) - len(self.plan.to_record),
        )
        run_began(
            self.run_id,
            flow_run_id,
            archive=record.archive,
            output=record.output_root,
            items=self.plan.items,
        )
        self.metrics.run_began(self.plan.items)
        if self.plan.to_record:
            self._record(self.plan.to_record)
        for outcome in self.plan.to_record:
            self._count(outcome)
        return self.run_id

    def do_jobs(self, crew: Crew) -> None:
        """Have everything done that is pending. What that takes beyond the jobs is the stage `orchestrate`.

        Raises:
            FlowError, DatabaseError: what ends the run.
        """
        pending = self.plan.pending
        if self.settings.is_spread:
            self.progress.begin(len(pending), "items")
        elif photographs := sum(item.kind != "film" for item in pending):
            self.progress.begin(photographs, "pictures")
        start = time.monotonic()
        do_all(courses_of(self.plan, self.settings.batch_size, self._record_lost), crew)
        self._stages["orchestrate"] = time.monotonic() - start - crew.seconds

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
        self.metrics.stages(timings)
        self.metrics.run_ended(state, datetime.now(UTC))
        counts = RunCounts(self.plan.items, self._tally.done, self._tally.failed, self._tally.skipped)
        run_ended(run_id, state, counts, summary.seconds, message)
        self._is_finished = True
        return self.summary(show_run(self.database, run_id, self.settings.output, self.progress))

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

    def _recorded_in(self, seconds: float) -> None:
        self._stages["record"] = self._stages.get("record", 0.0) + seconds

    def _record_lost(self, outcomes: Sequence[ItemOutcome]) -> None:
        """What no worker could record."""
        self._record(outcomes)
        for outcome in outcomes:
            self._on_outcome(outcome)

    def _on_outcome(self, outcome: ItemOutcome) -> None:
        self._count(outcome)
        self.progress.advance(failed=outcome.state == "failed")

    def _count(self, outcome: ItemOutcome) -> None:
        self._tally.add(outcome, self._names[outcome.item_id])
        self.metrics.outcome(outcome)
        outcome_logged(_there(self.run_id), self._names[outcome.item_id], outcome)


def _end_state(error: BaseException | None, summary: RunSummary) -> RunState:
    if error is None:
        return "completed_with_failures" if summary.failures else "completed"
    return "failed" if isinstance(error, Exception) else "interrupted"


def _there(value: T | None) -> T:
    if value is None:
        raise RuntimeError("the steps of a run were called out of order")
    return value
