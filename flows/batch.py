"""One batch: read the masters, find their references, colorize, write the copies, record what became of each.

Plain functions of a process: no Prefect here. A bad item becomes a failed outcome; only what concerns all items (disk,
database, an interruption) leaves as an exception, after everything that was finished has been recorded.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from flows.chosen import ChosenReference
from flows.destination import Destination
from flows.encoded_references import EncodedReferences
from flows.engine import Engine, is_out_of_memory
from flows.failures import ItemFailure, LowMatch, describe_failure, end_if_surroundings
from flows.naming import reference_text
from flows.pins import PinnedReferences
from flows.planning import PendingItem, cut_into_chunks
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from flows.run_record import file_provenance
from flows.stopwatch import Stopwatch, peak_memory_bytes
from flows.variety import Variety
from storage.database.records import ItemOutcome, MatchRecord, StageTiming
from storage.images import Master, WrittenDerivative, read_master, write_derivative
from storage.paths import text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Reference, SearchableLibrary
    from sscn import ColorizationResult, Colorizer, EncodedReference

RECORD_SECONDS = 10.0  # a crash loses no more work than this

Record = Callable[[Sequence[ItemOutcome]], None]
OnOutcome = Callable[[ItemOutcome], None]


@dataclass(slots=True)
class _Work:
    """One item on its way through the batch."""

    item: PendingItem
    colorizer: "Colorizer"
    watch: Stopwatch = field(default_factory=Stopwatch)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    master: Master | None = None
    chosen: ChosenReference | None = None
    stage: str = "read"
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """Outcomes not recorded yet; written together every few seconds, and at the end."""

    record: Record
    outcomes: list[ItemOutcome] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def add(self, outcome: ItemOutcome) -> None:
        self.outcomes.append(outcome)
        if time.monotonic() - self.since >= RECORD_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.outcomes:
            self.record(self.outcomes)
        self.outcomes = []
        self.since = time.monotonic()


class BatchWorker:
    """Colorizes batches of one run with one engine and one reference library.

    Args:
        pinned: references that are taken without asking.
        variety: which of several good candidates is taken.
        archive: absolute folder.
        destination: where the copies go.
    """

    def __init__(
        self,
        engine: Engine,
        library: "SearchableLibrary",
        pinned: PinnedReferences,
        variety: Variety,
        archive: Path,
        destination: Destination,
        thumbnails: ThumbnailFolder,
    ) -> None:
        self._engine = engine
        self._library = library
        self._pinned = pinned
        self._variety = variety
        self._archive = archive
        self._destination = destination
        self._thumbnails = thumbnails
        self._references = EncodedReferences()
        self._written: deque[ItemOutcome] = deque()

    def run(self, batch: Sequence[PendingItem], record: Record, on_outcome: OnOutcome) -> None:
        """Bring every item of the batch to its outcome, and record them all.

        Raises:
            EnvironmentProblem: the disk is full or gone.
            DatabaseError: the database is away.
        """
        group = _Group(record)

        def finish(outcome: ItemOutcome) -> None:
            group.add(outcome)
            on_outcome(outcome)

        try:
            try:
                # the previous copy is written while the network is busy with the next picture
                with ThreadPoolExecutor(1, thread_name_prefix="writer") as writer:
                    for chunk in cut_into_chunks(batch):
                        self._run_chunk(chunk, writer, finish)
            finally:  # whatever ended the batch, and at whichever moment: a copy that was written goes on record
                self._take_written(finish)
        except BaseException:
            with suppress(Exception):  # the first error is the one to report
                group.flush()
            raise
        group.flush()

    def _run_chunk(self, chunk: Sequence[PendingItem], writer: ThreadPoolExecutor, finish: OnOutcome) -> None:
        works = [_Work(item, self._engine.colorizer) for item in chunk]
        readable = []
        for work in works:
            failure = self._attempt(work, self._claim) or self._attempt(work, self._read)
            if failure is None:
                readable.append(work)
            else:
                finish(failure)
        matched = self._search(readable, finish)
        writing: Future[None] | None = None
        for work in _by_reference(matched):
            try:
                result = self._colorize(work)
            except Exception as error:
                finish(self._failed(work, error))
                work.master = None
                continue
            if writing is not None:
                writing.result()
                self._take_written(finish)
            writing = writer.submit(self._write, work, result)
        if writing is not None:
            writing.result()
            self._take_written(finish)

    def _take_written(self, finish: OnOutcome) -> None:
        """Hand on what the writer's thread has finished. An outcome leaves the queue only when it is taken care of."""
        while self._written:
            finish(self._written[0])
            self._written.popleft()

    def _attempt(self, work: _Work, step: Callable[[_Work], None]) -> ItemOutcome | None:
        try:
            step(work)
        except Exception as error:
            return self._failed(work, error)
        return None

    def _claim(self, work: _Work) -> None:
        work.stage = "write"
        self._place(work)

    def _place(self, work: _Work) -> Path:
        return self._destination.place(work.item.path, work.item.output_path)

    def _read(self, work: _Work) -> None:
        work.stage = "read"
        with work.watch.stage("read"):
            work.master = read_master(
                self._archive / text_to_path(work.item.path), max_pixels=self._engine.settings.max_pixels
            )
            if work.master.sha256 != work.item.sha256:
                raise ItemFailure(
                    "changed",
                    f"{work.item.path} changed while the run was under way; run again to colorize it as it is now",
                )

    def _search(self, works: list[_Work], finish: OnOutcome) -> list[_Work]:
        """Give every item its candidates; returns those that have some."""
        matched = []
        for work in works:
            failure = self._attempt(work, self._search_one)
            if failure is None:
                matched.append(work)
            else:
                finish(failure)
        return matched

    def _search_one(self, work: _Work) -> None:
        work.stage = "search"
        settings = self._engine.settings
        with work.watch.stage("embed"):
            described = self._engine.embedder.describe([_master(work).pixels])
        with work.watch.stage("search"):
            found = self._library.candidates(described, self._engine.where)
        with work.watch.stage("rerank"):
            matches = tuple(self._library.rerank(described, found, settings.candidates))
        pinned = self._pinned.of(work.item.path)
        if pinned is not None:
            text = reference_text(pinned.path, settings.references)
            work.chosen = ChosenReference(pinned, text, "pinned", matches)
            self._variety.count(work.item.path, pinned.id)
            return
        if not matches:
            raise ItemFailure("no_reference", f"{work.item.path}: no reference was found; add colour photographs")
        taken = self._variety.take(work.item.path, matches)
        is_low_match = taken.confidence < settings.low_match
        text = reference_text(taken.reference.path, settings.references)
        work.chosen = ChosenReference(taken.reference, text, "retrieved", matches, is_low_match)
        if is_low_match and settings.skip_low_match:
            raise LowMatch(work.item.path, taken.confidence, settings.low_match)
        self._variety.count(work.item.path, taken.reference.id)

    def _colorize(self, work: _Work) -> "ColorizationResult":
        try:
            return self._colorize_at_size(work)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._references.clear()
        self._engine.free_memory()
        try:
            work.colorizer = self._engine.smaller
            result = self._colorize_at_size(work)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._engine.free_memory()
            raise ItemFailure(
                "out_of_memory",
                f"{work.item.path}: not enough memory, also at half the size; use a smaller --size",
            ) from error
        work.notes.append("colorized at half the size, since the memory did not suffice for the full one")
        return result

    def _colorize_at_size(self, work: _Work) -> "ColorizationResult":
        work.stage = "reference"
        with work.watch.stage("reference"):
            encoded = self._encode(work, _chosen(work).reference)
        work.stage = "network"
        result = work.colorizer.colorize(_master(work).pixels, encoded)
        work.watch.add(result.seconds)
        return result

    def _encode(self, work: _Work, reference: "Reference") -> "EncodedReference":
        encoded, picture = self._references.encode(reference, work.colorizer)
        if picture is not None:
            self._write_thumbnail(work, self._thumbnails.reference(reference.id), picture.pixels)
        return encoded

    def _write(self, work: _Work, result: "ColorizationResult") -> None:
        """Write copy and thumbnails (in the writer's thread), and put the outcome, done or failed, into the queue."""
        work.stage = "write"
        reference = _chosen(work).reference
        try:
            with work.watch.stage("write"):
                written = write_derivative(
                    self._place(work),  # again: the network took its time
                    result.rgb,
                    _master(work),
                    file_provenance(reference.path, reference.sha256, work.colorizer),
                    format=self._engine.settings.format,
                )
        except Exception as error:
            work.master = None
            self._written.append(self._failed(work, error))
            return
        try:
            with work.watch.stage("thumbnail"):
                item_id = work.item.item_id
                self._write_thumbnail(work, self._thumbnails.grey(item_id), _master(work).pixels)
                self._write_thumbnail(work, self._thumbnails.colour(item_id), result.rgb)
        finally:  # the copy is there, even if the disk is full now
            work.master = None
            self._written.append(self._done(work, result, written))

    def _write_thumbnail(self, work: _Work, path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """A thumbnail that cannot be written is no loss to the photograph; a full disk is one to all of them."""
        try:
            write_thumbnail(path, pixels)
        except OSError as error:
            end_if_surroundings(error, work.item.path, writing=True)
            work.notes.append(f"the thumbnail {path.name} could not be written ({error.strerror or error})")

    def _done(self, work: _Work, result: "ColorizationResult", written: WrittenDerivative) -> ItemOutcome:
        chosen = _chosen(work)
        return ItemOutcome(
            **self._common(work),
            state="done",
            reference_id=chosen.reference.id,
            reference_path=chosen.path_text,
            reference_sha256=chosen.reference.sha256,
            reference_score=chosen.score,
            reference_rank=chosen.rank,
            reference_choice="pinned" if chosen.choice == "pinned" else "retrieved",
            output_path=work.item.output_path,
            output_sha256=written.sha256,
            output_bytes=written.size_bytes,
            output_format=written.format,
            width=written.width,
            height=written.height,
            bit_depth=written.bit_depth,
            confidence=result.mean_confidence,
            match_confidence=chosen.match_confidence,
            low_match=chosen.low_match,
            message="; ".join(work.notes) or None,
        )

    def _failed(self, work: _Work, error: Exception) -> ItemOutcome:
        failure = describe_failure(error, work.stage, work.item.path)
        return ItemOutcome(
            **self._common(work),
            state=failure.state,
            stage=failure.stage,
            error_type=failure.error_type,
            message=failure.message,
            match_confidence=failure.match_confidence,
            low_match=failure.low_match,
        )

    def _common(self, work: _Work) -> "_CommonFields":
        return {
            "item_id": work.item.item_id,
            "request_key": work.item.request_key,
            "source_sha256": work.item.sha256,
            "index_version": self._library.index_version,
            "started_at": work.started_at,
            "created_at": datetime.now(UTC),
            "seconds": work.watch.total,
            "peak_memory_bytes": peak_memory_bytes(),
            "timings": work.watch.timings(),
            "matches": () if work.chosen is None else tuple(work.chosen.match_records()),
        }


class _CommonFields(TypedDict):
    """What every outcome tells, done or not."""

    item_id: int
    request_key: str
    source_sha256: str
    index_version: str
    started_at: datetime
    created_at: datetime
    seconds: float
    peak_memory_bytes: int
    timings: tuple[StageTiming, ...]
    matches: tuple[MatchRecord, ...]


def _master(work: _Work) -> Master:
    if work.master is None:
        raise RuntimeError(f"the master of {work.item.path} is not in memory")
    return work.master


def _chosen(work: _Work) -> ChosenReference:
    if work.chosen is None:
        raise RuntimeError(f"no reference was chosen for {work.item.path}")
    return work.chosen


def _by_reference(works: Sequence[_Work]) -> list[_Work]:
    """Items with the same reference together, so that each reference is encoded once; else in their order."""
    order: dict[int, int] = {}
    for work in works:
        order.setdefault(_chosen(work).reference.id, len(order))
    return sorted(works, key=lambda work: order[_chosen(work).reference.id])
