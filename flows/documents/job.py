"""One document of a run, from its pages to its copy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from flows.batch import BatchWorker, OnOutcome
from flows.destination import Destination
from flows.documents.workfolder import PageFolder
from flows.engine import Engine
from flows.failures import describe_failure
from flows.planning import PendingItem, cut_into_batches
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from flows.run_record import file_provenance
from flows.unfinished import identity
from storage.database.records import CopyRecord, ItemOutcome
from storage.decoding import Decoder
from storage.fixity import atomic_write, move_file, sha256_file
from storage.images import DerivativeProvenance, read_master
from storage.masters import DocumentCopy
from storage.paths import path_to_text, text_to_path


@dataclass(frozen=True, slots=True)
class DocumentTools:
    """What all documents of a run have in common."""

    engine: Engine
    decoder: Decoder
    worker: BatchWorker
    archive: Path
    output: Path
    destination: Destination
    thumbnails: ThumbnailFolder


class DocumentJob:
    """One document: `open` it, `colorize` its pages in batches, `finish` it.

    The pages that a run has finished are kept, with their access copies: one that was cut off goes on with those that
    are missing. A document has copies only if no page of it failed; pages that are left out are in it as they were.

    Args:
        pages: those that are to be colorized, in their order; for `colorize` some of them suffice.
        outcomes: of pages that were made elsewhere, for `finish`.
    """

    def __init__(
        self, tools: DocumentTools, pages: Sequence[PendingItem], outcomes: Sequence[ItemOutcome] = ()
    ) -> None:
        self.pages = {item.item_id: item for item in pages}
        self._tools = tools
        self._first = pages[0]
        self._path = tools.archive / text_to_path(self._first.path)
        document = identity(path_to_text(tools.archive), self._first.path)
        self._folder = PageFolder(tools.output, document, self._first.request_key)
        self.outcomes = {outcome.item_id: outcome for outcome in outcomes}
        """Of the pages that are made, by item id."""

    def open(self) -> list[tuple[PendingItem, ...]]:
        """Claim the copies' places; returns batches of the pages that are to be made.

        Raises:
            ItemFailure: there is no place for a copy.
        """
        self._place(self._first.output_path)
        for path in {path for item in self.pages.values() for path in item.output_paths[1:]}:
            self._place(path)
        self._folder.open()
        missing = []
        for item in self.pages.values():
            kept = self._folder.kept(item.page, item.request_key)
            if kept is None or kept.item_id != item.item_id:
                missing.append(item)
            else:
                self.outcomes[item.item_id] = kept
                self._show(item)
        return cut_into_batches(missing, self._tools.engine.settings.batch_size)

    def colorize(self, batch: Sequence[PendingItem], on_outcome: OnOutcome) -> None:
        """Colorize some pages; each that is done is kept.

        Raises:
            EnvironmentProblem, DatabaseError: as `BatchWorker.run` does.
        """
        self._tools.worker.run([self._as_page(item) for item in batch], self._keep, on_outcome)

    def finish(self) -> list[ItemOutcome]:
        """Put the pages together; returns the outcomes of all of them. `clear` when these are on record.

        Raises:
            ItemFailure: there is no place for a copy any more.
            StorageError, OSError: a copy cannot be written.
        """
        outcomes = [self.outcomes[item_id] for item_id in self.pages]
        failed = next((one for one in outcomes if one.state == "failed"), None)
        if failed is not None:
            return [one if one.state == "failed" else self._left_without_copy(one, failed) for one in outcomes]
        done = {self.pages[one.item_id].page: one for one in outcomes if one.state == "done"}
        if not done:
            return outcomes
        with atomic_write(self._place(self._first.output_path)) as partial:
            copy = DocumentCopy(
                source=self._path,
                source_sha256=self._first.sha256,
                pages={page: self._folder.file(page) for page in done},
                form="pdf" if self._first.output_formats[0] == "pdf" else "tiff",
                provenance=self._provenance(list(done.values())),
                quality=self._tools.engine.settings.pdf_quality,
            )
            notes = self._tools.decoder.write_document(partial, copy)
            written = (sha256_file(partial), partial.stat().st_size)
        first = min(done)
        return [
            self._in_document(one, *written, notes if one is done[first] else ()) if one.state == "done" else one
            for one in outcomes
        ]

    def clear(self, outcomes: Sequence[ItemOutcome]) -> None:
        """The outcomes are on record: the pages are not needed any more, unless they are to be tried again."""
        if not any(outcome.state == "failed" for outcome in outcomes):
            self._folder.remove()

    def failed(self, error: Exception) -> list[ItemOutcome]:
        """The outcomes of all pages where the document as a whole went wrong.

        Raises what is no fault of the document (`flows.failures.describe_failure`).
        """
        failure = describe_failure(error, "write", self._first.path)
        return [
            ItemOutcome(
                item_id=item.item_id,
                state="failed",
                request_key=item.request_key,
                source_sha256=item.sha256,
                stage=failure.stage,
                error_type=failure.error_type,
                message=failure.message,
            )
            for item in self.pages.values()
        ]

    def _place(self, output_path: str) -> Path:
        return self._tools.destination.place(self._first.path, output_path)

    def _as_page(self, item: PendingItem) -> PendingItem:
        """The item with its page's own file in place of the document, and all its files where they wait."""
        return replace(
            item,
            output_formats=("tiff", *item.output_formats[1:]),
            output_paths=self._folder.output_paths(item.page, item.output_paths[1:]),
        )

    def _keep(self, outcomes: Sequence[ItemOutcome]) -> None:
        for outcome in outcomes:
            self.outcomes[outcome.item_id] = outcome
            if outcome.state == "done":
                self._folder.keep(self.pages[outcome.item_id].page, outcome)

    def _left_without_copy(self, outcome: ItemOutcome, failed: ItemOutcome) -> ItemOutcome:
        """A page that is done or left out, of a document that has no copy."""
        if outcome.state == "skipped":
            return outcome
        item = self.pages[outcome.item_id]
        broken = self.pages[failed.item_id].page
        return ItemOutcome(
            item_id=item.item_id,
            state="failed",
            request_key=item.request_key,
            source_sha256=item.sha256,
            stage="write",
            error_type="other_page",
            message=f"{item.name}: page {broken} could not be colorized, and a document has a copy only as a whole",
        )

    def _in_document(self, outcome: ItemOutcome, sha256: str, size: int, notes: Sequence[str]) -> ItemOutcome:
        message = "; ".join(filter(None, [outcome.message, *notes]))
        return replace(
            outcome,
            copies=self._placed(outcome),
            output_path=self._first.output_path,
            output_sha256=sha256,
            output_bytes=size,
            output_format=self._first.output_formats[0],
            message=message or None,
        )

    def _placed(self, outcome: ItemOutcome) -> tuple[CopyRecord, ...]:
        """The access copies of a page, put where they belong."""
        paths = self.pages[outcome.item_id].output_paths[1:]
        for copy, path in zip(outcome.copies, paths, strict=True):
            move_file(self._tools.output / text_to_path(copy.output_path), self._place(path))
        return tuple(replace(copy, output_path=path) for copy, path in zip(outcome.copies, paths, strict=True))

    def _provenance(self, done: Sequence[ItemOutcome]) -> DerivativeProvenance:
        """Of the whole; it names a reference only if all pages have the same."""
        digests = {one.reference_sha256 for one in done}
        name = text_to_path(done[0].reference_path or "") if len(digests) == 1 else None
        colorizer = self._tools.engine.colorizer
        when = max(one.started_at for one in done if one.started_at is not None)
        return file_provenance(name, done[0].reference_sha256 if name is not None else None, colorizer, when)

    def _show(self, item: PendingItem) -> None:
        """The thumbnails of a page that an earlier run made."""
        thumbnails = self._tools.thumbnails
        try:
            preview = read_master(self._folder.file(item.page)).preview
            write_thumbnail(thumbnails.colour(item.item_id), preview)
            eight_bit = preview if preview.dtype == np.uint8 else (preview >> 8).astype(np.uint8)
            write_thumbnail(thumbnails.grey(item.item_id), np.asarray(Image.fromarray(eight_bit).convert("L")))
        except Exception as error:
            describe_failure(error, "write", item.path)
