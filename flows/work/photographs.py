"""Photographs: batches that have nothing to do with each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.planning import PendingItem, cut_into_batches
from flows.work.job import Answer, Job
from flows.work.lost import Record, lost_outcome
from flows.work.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Photographs:
    """A batch of photographs, from the masters to their outcomes on record."""

    items: tuple[PendingItem, ...]

    @property
    def name(self) -> str:
        """See `Job`."""
        return f"{len(self.items)} photographs from {self.items[0].name}"

    def do(self, workshop: Workshop) -> Answer:
        """See `Job`; what a worker recorded before it was killed is not done again."""
        known = workshop.recorded([item.item_id for item in self.items])
        for outcome in known:
            workshop.reports.through(outcome)
        there = {outcome.item_id for outcome in known}
        items = [item for item in self.items if item.item_id not in there]
        workshop.photographs.run(items, workshop.record, workshop.reports.through)
        return Answer(is_over=True)


class PhotographCourse:
    """All photographs of a run."""

    def __init__(self, items: Sequence[PendingItem], batch_size: int, record: Record) -> None:
        self._batches = cut_into_batches(items, batch_size)
        self._record = record

    def begin(self) -> Sequence[Job]:
        """See `Course`."""
        return [Photographs(batch) for batch in self._batches]

    def wants(self, job: Job) -> bool:
        """See `Course`."""
        return True

    def take(self, job: Job, answer: Answer) -> Sequence[Job]:
        """See `Course`."""
        return ()

    def lost(self, job: Job) -> Sequence[Job]:
        """See `Course`: the photograph that kills its process is found by trying each alone."""
        if not isinstance(job, Photographs):
            raise TypeError(f"{job.name} is no batch of photographs")
        if len(job.items) > 1:
            return [Photographs((item,)) for item in job.items]
        self._record([lost_outcome(item) for item in job.items])
        return ()
