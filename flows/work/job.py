"""Jobs: small pieces of a run's work that can travel to another process, and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from flows.film.state import FilmState
from flows.planning import PendingItem
from storage.database.records import ItemOutcome

if TYPE_CHECKING:
    from flows.work.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a job; what concerns a kind of job alone is empty for the others.

    What was recorded in the database is told to `Workshop.reports`, and is not in here.
    """

    is_over: bool = False
    """The document or film has its outcome, recorded: there is nothing more to do for it."""
    batches: tuple[tuple[PendingItem, ...], ...] = ()
    """The pages of a document that are to be made."""
    outcomes: tuple[ItemOutcome, ...] = ()
    """Of pages that are made; not recorded before their document is."""
    film: FilmState = field(default_factory=FilmState)
    """What was found out about a film."""
    groups: tuple[range, ...] = ()
    """The shots of a film that are to be made, by their numbers from 1."""
    failure: ItemOutcome | None = None
    """What ends a film of which other shots may be under way; not recorded."""
    out_of_memory: bool = False
    """A film does not fit at its size: all of it is to be made smaller."""


class Job(Protocol):
    """Something to do. A job that is done twice, since its process was killed, does no harm."""

    @property
    def name(self) -> str:
        """For people."""

    def do(self, workshop: "Workshop") -> Answer:
        """Do it, with the tools of the process.

        Raises:
            FlowError, DatabaseError: what ends the run.
        """


class Course(Protocol):
    """The way of a photograph's batch, a document or a film through its jobs, kept by the run's own process."""

    def begin(self) -> Sequence[Job]:
        """The jobs to begin with."""

    def wants(self, job: Job) -> bool:
        """Whether a job that has not begun is still to be done."""

    def take(self, job: Job, answer: Answer) -> Sequence[Job]:
        """What follows, now that one of its jobs is done; one that is not wanted any more has an empty answer."""

    def lost(self, job: Job) -> Sequence[Job]:
        """What follows when every process that took up a job has died of it."""
