"""A film as jobs of a run: look at it, colorize groups of its shots, join them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flows.engine import is_out_of_memory
from flows.film.job import FilmJob
from flows.film.state import FilmState
from flows.planning import PendingItem
from flows.work.job import Answer, Job
from flows.work.lost import Record, lost_outcome
from flows.work.workshop import Workshop
from storage.database.records import ItemOutcome


@dataclass(frozen=True, slots=True)
class OpenFilm:
    """Analyse the film, unless that was done, and make the folder of its segments."""

    item: PendingItem
    film: FilmState = field(default_factory=FilmState)

    @property
    def name(self) -> str:
        """See `Job`."""
        return f"open {self.item.path}"

    def do(self, workshop: Workshop) -> Answer:
        """See `Job`."""
        job = FilmJob(workshop.films, self.item, self.film)
        groups = _attempt(workshop, job, job.open)
        return Answer(is_over=True) if groups is None else Answer(groups=tuple(groups), film=job.state)


@dataclass(frozen=True, slots=True)
class FilmShots:
    """Make the segments of some shots."""

    item: PendingItem
    film: FilmState
    shots: range

    @property
    def name(self) -> str:
        """See `Job`."""
        return f"shots {self.shots.start} to {self.shots.stop - 1} of {self.item.path}"

    def do(self, workshop: Workshop) -> Answer:
        """See `Job`."""
        job = FilmJob(workshop.films, self.item, self.film)
        try:
            job.colorize(self.shots)
        except Exception as error:
            if is_out_of_memory(error) and not self.film.smaller:
                job.free_memory()
                return Answer(out_of_memory=True)
            return Answer(failure=job.failed(error))
        return Answer(film=replace(job.state, analysis=None))


@dataclass(frozen=True, slots=True)
class FinishFilm:
    """Join the segments, and record the film."""

    item: PendingItem
    film: FilmState

    @property
    def name(self) -> str:
        """See `Job`."""
        return f"join {self.item.path}"

    def do(self, workshop: Workshop) -> Answer:
        """See `Job`."""
        job = FilmJob(workshop.films, self.item, self.film)
        outcome: ItemOutcome | None = _attempt(workshop, job, job.finish)
        if outcome is not None:
            _end(workshop, outcome)
            job.clear()
        return Answer(is_over=True)


def _attempt(workshop: Workshop, job: FilmJob, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:
        _end(workshop, job.failed(error))
        return None


def _end(workshop: Workshop, outcome: ItemOutcome) -> None:
    workshop.record([outcome])
    workshop.reports.ended(outcome)


class FilmCourse:
    """One film; its groups of shots may be made at the same time."""

    def __init__(self, item: PendingItem, record: Record) -> None:
        self._item = item
        self._record = record
        self._film = FilmState()
        self._under_way = 0
        self._is_over = False

    def begin(self) -> Sequence[Job]:
        """See `Course`."""
        return [OpenFilm(self._item)]

    def wants(self, job: Job) -> bool:
        """See `Course`."""
        return not self._is_over and not (isinstance(job, FilmShots) and job.film.smaller != self._film.smaller)

    def take(self, job: Job, answer: Answer) -> Sequence[Job]:
        """See `Course`."""
        if self._is_over or answer.is_over:
            return ()
        if answer.failure is not None:
            self._end(answer.failure)
            return ()
        self._film = self._film.add(answer.film)
        if isinstance(job, OpenFilm):
            self._under_way = len(answer.groups)
            return [FilmShots(self._item, self._film.of_shots(group), group) for group in answer.groups]
        self._under_way -= 1
        if answer.out_of_memory:
            self._film = replace(self._film, smaller=True)
        if self._under_way:
            return ()
        if self._film.smaller and isinstance(job, FilmShots) and not job.film.smaller:
            return [
                OpenFilm(self._item, replace(self._film, seconds={}))
            ]  # only now: it removes the segments that others were making
        return [FinishFilm(self._item, self._film)]

    def lost(self, job: Job) -> Sequence[Job]:
        """See `Course`."""
        if not self._is_over:
            self._end(lost_outcome(self._item))
        return ()

    def _end(self, outcome: ItemOutcome) -> None:
        self._is_over = True
        self._record([outcome])
