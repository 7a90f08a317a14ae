"""A document as jobs of a run: open it, colorize batches of its pages, put them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.documents.job import DocumentJob
from flows.planning import PendingItem
from flows.work.job import Answer, Job
from flows.work.lost import Record, lost_outcome
from flows.work.workshop import Workshop
from storage.database.records import ItemOutcome


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """Find out which pages are to be made; `pages` are all that are to be colorized."""

    pages: tuple[PendingItem, ...]

    @property
    def name(self) -> str:
        """See `Job`."""
        return f"open {self.pages[0].path}"

    def do(self, workshop: Workshop) -> Answer:
        """See `Job`."""
        job = DocumentJob(workshop.documents, self.pages)
        try:
            batches = job.open()
        except Exception as error:
            _end(workshop, job.failed(error))
            workshop.reports.progress.advance(len(self.pages), failed=True)
            return Answer(is_over=True)
        workshop.reports.progress.pass_over(len(self.pages) - sum(map(len, batches)))
        return Answer(batches=tuple(batches), outcomes=tuple(job.outcomes.values()))


@dataclass(frozen=True, slots=True)
class DocumentPages:
    """Colorize some pages; each that is done is kept in the output folder."""

    pages: tuple[PendingItem, ...]

    @property
    def name(self) -> str:
        """See `Job`."""
        return f"{len(self.pages)} pages from {self.pages[0].name}"

    def do(self, workshop: Workshop) -> Answer:
        """See `Job`."""
        job = DocumentJob(workshop.documents, self.pages)
        progress = workshop.reports.progress
        job.colorize(self.pages, lambda outcome: progress.advance(failed=outcome.state == "failed"))
        return Answer(outcomes=tuple(job.outcomes.values()))


@dataclass(frozen=True, slots=True)
class FinishDocument:
    """Put the pages together, and record all of them."""

    pages: tuple[PendingItem, ...]
    outcomes: tuple[ItemOutcome, ...]

    @property
    def name(self) -> str:
        """See `Job`."""
        return f"finish {self.pages[0].path}"

    def do(self, workshop: Workshop) -> Answer:
        """See `Job`."""
        job = DocumentJob(workshop.documents, self.pages, self.outcomes)
        try:
            outcomes = job.finish()
        except Exception as error:
            outcomes = job.failed(error)
        _end(workshop, outcomes)
        job.clear(outcomes)
        return Answer(is_over=True)


def _end(workshop: Workshop, outcomes: Sequence[ItemOutcome]) -> None:
    workshop.record(outcomes)
    for outcome in outcomes:
        workshop.reports.ended(outcome)


class DocumentCourse:
    """One document; its pages may be made at the same time."""

    def __init__(self, pages: Sequence[PendingItem], record: Record) -> None:
        self._pages = tuple(pages)
        self._record = record
        self._outcomes: dict[int, ItemOutcome] = {}
        self._under_way = 0
        self._is_over = False

    def begin(self) -> Sequence[Job]:
        """See `Course`."""
        return [OpenDocument(self._pages)]

    def wants(self, job: Job) -> bool:
        """See `Course`."""
        return not self._is_over

    def take(self, job: Job, answer: Answer) -> Sequence[Job]:
        """See `Course`."""
        if self._is_over or answer.is_over:
            return ()
        self._outcomes |= {outcome.item_id: outcome for outcome in answer.outcomes}
        if isinstance(job, OpenDocument):
            self._under_way = len(answer.batches)
            return [DocumentPages(batch) for batch in answer.batches] or [self._finish()]
        return self._next()

    def lost(self, job: Job) -> Sequence[Job]:
        """See `Course`."""
        if not isinstance(job, DocumentPages):
            self._is_over = True
            self._record([lost_outcome(item) for item in self._pages])
            return ()
        if len(job.pages) > 1:
            self._under_way += len(job.pages) - 1
            return [DocumentPages((page,)) for page in job.pages]
        self._outcomes |= self._lost(job.pages)
        return self._next()

    def _next(self) -> Sequence[Job]:
        self._under_way -= 1
        return () if self._under_way else [self._finish()]

    def _finish(self) -> Job:
        return FinishDocument(self._pages, tuple(self._outcomes.values()))

    @staticmethod
    def _lost(pages: Sequence[PendingItem]) -> Mapping[int, ItemOutcome]:
        return {page.item_id: lost_outcome(page) for page in pages}
