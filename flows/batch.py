"""One batch: read the masters, find their references, colorize, write the copies, record what became of each.

The next masters are read, and the last copies written, while the network is busy.

Plain functions of a process: no Prefect here. A bad item becomes a failed outcome; only what concerns all items (disk,
database, an interruption) leaves as an exception, after everything that was finished has been recorded.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.choosing import ChoosesReferences
from flows.content import leave_out_by_content
from flows.copies import write_copies
from flows.destination import Destination
from flows.encoded_references import EncodedReferences
from flows.encodings import predict
from flows.engine import Engine, is_out_of_memory
from flows.failures import ItemFailure, LowMatch, end_if_surroundings
from flows.photograph import Photograph
from flows.planning import PendingItem, cut_into_chunks
from flows.report.thumbnails import LONG_SIDE, ThumbnailFolder, write_thumbnail
from flows.run_record import file_provenance
from storage.database.records import ItemOutcome
from storage.decoding import Decoder
from storage.paths import text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Reference
    from sscn import ColorizedPicture, EncodedReference

RECORD_SECONDS = 10.0  # a crash loses no more work than this

Record = Callable[[Sequence[ItemOutcome]], None]
OnOutcome = Callable[[ItemOutcome], None]
_Reading = list[tuple[Photograph, ItemOutcome | None]]
"""Photographs that were read, or the outcome of what could not be."""


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
        decoder: reads masters and references.
        references: chooses the references.
        archive: absolute folder.
        destination: where the copies go.
    """

    def __init__(
        self,
        engine: Engine,
        decoder: Decoder,
        references: ChoosesReferences,
        archive: Path,
        destination: Destination,
        thumbnails: ThumbnailFolder,
    ) -> None:
        self._engine = engine
        self._decoder = decoder
        self._references = references
        self._archive = archive
        self._destination = destination
        self._thumbnails = thumbnails
        self._encoded = EncodedReferences(decoder)
        self._written: deque[ItemOutcome] = deque()
        self._writing: Future[None] | None = None

    def run(self, batch: Sequence[PendingItem], record: Record, on_outcome: OnOutcome) -> None:
        """Bring every item of the batch to its outcome, and record them all.

        Raises:
            EnvironmentProblem: the disk is full or gone.
            DatabaseError: the database is away.
        """
        group = _Group(record)
        self._writing = None

        def finish(outcome: ItemOutcome) -> None:
            group.add(outcome)
            on_outcome(outcome)

        try:
            try:
                with (
                    ThreadPoolExecutor(1, thread_name_prefix="writer") as writer,
                    closing(self._read_ahead(cut_into_chunks(batch))) as ahead,
                ):
                    for reading in ahead:
                        self._run_chunk(reading, writer, finish)
                    self._wait_for_writer(finish)
            finally:  # whatever ended the batch, and at whichever moment: a copy that was written goes on record
                self._take_written(finish)
        except BaseException:
            with suppress(Exception):  # the first error is the one to report
                group.flush()
            raise
        group.flush()

    def _read_ahead(self, chunks: Sequence[Sequence[PendingItem]]) -> Generator[_Reading, None, None]:
        """The chunks read, each of them while the one before it is worked on."""
        stopped = Event()
        with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
            try:
                reading = reader.submit(self._read_all, self._claimed(chunks[0]), stopped) if chunks else None
                for following in [*chunks[1:], None]:
                    if reading is None:
                        return
                    ready = reading.result()
                    # places are claimed here: the database is asked by one thread
                    reading = reader.submit(self._read_all, self._claimed(following), stopped) if following else None
                    yield ready
            finally:
                stopped.set()

    def _claimed(self, chunk: Sequence[PendingItem]) -> _Reading:
        works = [
            Photograph(
                item,
                self._engine.colorizer,
                self._references.index_version,
                started_at=item.started_at or datetime.now(UTC),
            )
            for item in chunk
        ]
        return [(work, self._attempt(work, self._claim)) for work in works]

    def _read_all(self, claimed: _Reading, stopped: Event) -> _Reading:
        read: _Reading = []
        for work, failure in claimed:
            if stopped.is_set():
                break
            read.append((work, failure or self._attempt(work, self._read)))
        return read

    def _run_chunk(self, reading: _Reading, writer: ThreadPoolExecutor, finish: OnOutcome) -> None:
        readable = []
        for work, failure in reading:
            if failure is None:
                readable.append(work)
            else:
                finish(failure)
        matched = self._search(readable, finish)
        for work in _by_reference(matched):
            try:
                result = self._colorize(work)
            except Exception as error:
                finish(work.failed(error))
                work.held = None
                continue
            self._wait_for_writer(finish)
            # the last one of a chunk is written while the next chunk is looked at
            self._writing = writer.submit(self._write, work, result)

    def _wait_for_writer(self, finish: OnOutcome) -> None:
        if self._writing is not None:
            self._writing.result()
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
        self._places(work)

    def _places(self, work: Photograph) -> list[Path]:
        return [self._destination.place(work.item.path, output_path) for output_path in work.item.output_paths]

    def _read(self, work: Photograph) -> None:
        work.stage = "read"
        with work.watch.stage("read"):
            work.held = self._decoder.read(
                self._archive / text_to_path(work.item.path),
                page=work.item.page,
                max_pixels=self._engine.settings.max_pixels,
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
                work.held = None
                finish(failure)
        return matched

    def _search_one(self, work: Photograph) -> None:
        settings = self._engine.settings
        if not settings.colorize_all:
            work.stage = "content"
            with work.watch.stage("content"):
                leave_out_by_content(work.item.name, work.master, self._engine.embedder)
        work.stage = "search"
        work.found = chosen = self._references.choose(work.item, work.master.preview, work.watch)
        work.index_version = self._references.index_version  # it may have been brought up to date meanwhile
        if chosen.low_match and settings.skip_low_match:
            raise LowMatch(work.item.name, chosen.match_confidence or 0.0, settings.low_match)
        self._references.count(work.item, chosen)

    def _colorize(self, work: Photograph) -> "ColorizedPicture":
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
            raise _out_of_memory(work, "also at half the size; use a smaller --size") from error
        work.notes.append("colorized at half the size, since the memory did not suffice for the full one")
        return result

    def _colorize_at_size(self, work: Photograph) -> "ColorizedPicture":
        work.stage = "reference"
        with work.watch.stage("reference"):
            encoded = self._encode(work, work.chosen.reference)
        work.stage = "network"
        result = predict(work.colorizer, work.master, encoded)
        work.watch.add({"network": result.seconds["network"]})
        return result

    def _encode(self, work: Photograph, reference: "Reference") -> "EncodedReference":
        encoded, picture = self._encoded.encode(reference, work.colorizer)
        if picture is not None:
            self._write_thumbnail(work, self._thumbnails.reference(reference.id), picture.preview)
        return encoded

    def _write(self, work: Photograph, result: "ColorizedPicture") -> None:
        """Write copies and thumbnails (in the writer's thread), and put the outcome, done or failed, into the queue.

        The rows of the picture are made here, while they are written.
        """
        work.stage = "write"
        reference = work.chosen.reference
        try:
            with work.watch.stage("write"):
                written = write_copies(
                    result.rows,
                    work.master,
                    file_provenance(reference.path, reference.sha256, work.colorizer, work.started_at),
                    work.item.output_formats,
                    self._places(work),  # again: the network took its time
                )
            chroma = result.seconds["chroma"]
            work.watch.add({"chroma": chroma, "write": -chroma})
        except Exception as error:
            work.held = None
            failure = _out_of_memory(work, "for a copy of this size") if is_out_of_memory(error) else error
            self._written.append(work.failed(failure))
            return
        try:
            with work.watch.stage("thumbnail"):
                item_id = work.item.item_id
                self._write_thumbnail(work, self._thumbnails.grey(item_id), work.master.preview)
                self._write_thumbnail(work, self._thumbnails.colour(item_id), result.preview(LONG_SIDE))
        finally:  # the copies are there, even if the disk is full now
            work.held = None
            self._written.append(work.done(result, written))

    def _write_thumbnail(self, work: Photograph, path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """A thumbnail that cannot be written is no loss to the photograph; a full disk is one to all of them."""
        try:
            write_thumbnail(path, pixels)
        except OSError as error:
            end_if_surroundings(error, work.item.path, writing=True)
            work.notes.append(f"the thumbnail {path.name} could not be written ({error.strerror or error})")


def _out_of_memory(work: Photograph, what: str) -> ItemFailure:
    return ItemFailure("out_of_memory", f"{work.item.name}: not enough memory, {what}")


def _by_reference(works: Sequence[Photograph]) -> list[Photograph]:
    """Items with the same reference together, so that each reference is encoded once; else in their order."""
    order: dict[int, int] = {}
    for work in works:
        order.setdefault(work.chosen.reference.id, len(order))
    return sorted(works, key=lambda work: order[work.chosen.reference.id])
