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
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.choosing import PhotographReferences
from flows.destination import Destination
from flows.encoded_references import EncodedReferences
from flows.engine import Engine, is_out_of_memory
from flows.failures import ItemFailure, LowMatch, end_if_surroundings
from flows.photograph import Photograph
from flows.planning import PendingItem, cut_into_chunks
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from flows.run_record import file_provenance
from storage.database.records import ItemOutcome
from storage.images import read_master, write_derivative
from storage.paths import text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Reference
    from sscn import ColorizationResult, EncodedReference

RECORD_SECONDS = 10.0  # a crash loses no more work than this

Record = Callable[[Sequence[ItemOutcome]], None]
OnOutcome = Callable[[ItemOutcome], None]


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
        engine: the networks.
        references: chooses the references.
        archive: absolute folder.
        destination: where the copies go.
    """

    def __init__(
        self,
        engine: Engine,
        references: PhotographReferences,
        archive: Path,
        destination: Destination,
        thumbnails: ThumbnailFolder,
    ) -> None:
        self._engine = engine
        self._references = references
        self._archive = archive
        self._destination = destination
        self._thumbnails = thumbnails
        self._encoded = EncodedReferences()
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
        works = [Photograph(item, self._engine.colorizer, self._references.index_version) for item in chunk]
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
                finish(work.failed(error))
                work.held = None
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

    def _attempt(self, work: Photograph, step: Callable[[Photograph], None]) -> ItemOutcome | None:
        try:
            step(work)
        except Exception as error:
            return work.failed(error)
        return None

    def _claim(self, work: Photograph) -> None:
        work.stage = "write"
        self._place(work)

    def _place(self, work: Photograph) -> Path:
        return self._destination.place(work.item.path, work.item.output_path)

    def _read(self, work: Photograph) -> None:
        work.stage = "read"
        with work.watch.stage("read"):
            work.held = read_master(
                self._archive / text_to_path(work.item.path), max_pixels=self._engine.settings.max_pixels
            )
            if work.held.sha256 != work.item.sha256:
                raise ItemFailure(
                    "changed",
                    f"{work.item.path} changed while the run was under way; run again to colorize it as it is now",
                )

    def _search(self, works: list[Photograph], finish: OnOutcome) -> list[Photograph]:
        """Give every item its candidates; returns those that have some."""
        matched = []
        for work in works:
            failure = self._attempt(work, self._search_one)
            if failure is None:
                matched.append(work)
            else:
                finish(failure)
        return matched

    def _search_one(self, work: Photograph) -> None:
        work.stage = "search"
        settings = self._engine.settings
        work.found = chosen = self._references.choose(work.item.path, work.master.pixels, work.watch)
        work.index_version = self._references.index_version  # it may have been brought up to date meanwhile
        if chosen.low_match and settings.skip_low_match:
            raise LowMatch(work.item.path, chosen.match_confidence or 0.0, settings.low_match)
        self._references.count(work.item.path, chosen)

    def _colorize(self, work: Photograph) -> "ColorizationResult":
        try:
            return self._colorize_at_size(work)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._encoded.clear()
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

    def _colorize_at_size(self, work: Photograph) -> "ColorizationResult":
        work.stage = "reference"
        with work.watch.stage("reference"):
            encoded = self._encode(work, work.chosen.reference)
        work.stage = "network"
        result = work.colorizer.colorize(work.master.pixels, encoded)
        work.watch.add(result.seconds)
        return result

    def _encode(self, work: Photograph, reference: "Reference") -> "EncodedReference":
        encoded, picture = self._encoded.encode(reference, work.colorizer)
        if picture is not None:
            self._write_thumbnail(work, self._thumbnails.reference(reference.id), picture.pixels)
        return encoded

    def _write(self, work: Photograph, result: "ColorizationResult") -> None:
        """Write copy and thumbnails (in the writer's thread), and put the outcome, done or failed, into the queue."""
        work.stage = "write"
        reference = work.chosen.reference
        try:
            with work.watch.stage("write"):
                written = write_derivative(
                    self._place(work),  # again: the network took its time
                    result.rgb,
                    work.master,
                    file_provenance(reference.path, reference.sha256, work.colorizer),
                    format=self._engine.settings.format,
                )
        except Exception as error:
            work.held = None
            self._written.append(work.failed(error))
            return
        try:
            with work.watch.stage("thumbnail"):
                item_id = work.item.item_id
                self._write_thumbnail(work, self._thumbnails.grey(item_id), work.master.pixels)
                self._write_thumbnail(work, self._thumbnails.colour(item_id), result.rgb)
        finally:  # the copy is there, even if the disk is full now
            work.held = None
            self._written.append(work.done(result, written))

    def _write_thumbnail(self, work: Photograph, path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """A thumbnail that cannot be written is no loss to the photograph; a full disk is one to all of them."""
        try:
            write_thumbnail(path, pixels)
        except OSError as error:
            end_if_surroundings(error, work.item.path, writing=True)
            work.notes.append(f"the thumbnail {path.name} could not be written ({error.strerror or error})")


def _by_reference(works: Sequence[Photograph]) -> list[Photograph]:
    """Items with the same reference together, so that each reference is encoded once; else in their order."""
    order: dict[int, int] = {}
    for work in works:
        order.setdefault(work.chosen.reference.id, len(order))
    return sorted(works, key=lambda work: order[work.chosen.reference.id])
