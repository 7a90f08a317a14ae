"""Who does the jobs of a run: this process, or workers."""

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from flows.work.job import Answer, Job
from flows.work.workshop import Workshop


class LostJob(Exception):  # noqa: N818 - a finding about one job, not about the program
    """A job of which every process has died that took it up."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.name)
        self.job = job


class Crew(Protocol):
    """Does jobs; a context manager, whose end stops what is under way."""

    @property
    def capacity(self) -> int:
        """How many jobs it is to be given before one of them is awaited."""

    @property
    def seconds(self) -> float:
        """How long the run's own process has done jobs, or waited for those who do."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def give(self, job: Job) -> None:
        """Have it done."""

    def take(self) -> tuple[Job, Answer]:
        """The next job that is done, with what came of it.

        Raises:
            LostJob: nothing came of it.
            FlowError, DatabaseError: what ends the run.
        """


Do = Callable[[], Answer]
Through = Callable[[Job, Do], Answer]
"""Does a job by calling the function, and keeps a record of that besides (Prefect's task)."""


def directly(job: Job, do: Do) -> Answer:
    """No record besides."""
    return do()


class OneProcess:
    """This process does them itself, one after the other."""

    capacity = 1

    def __init__(self, workshop: Workshop, through: Through = directly) -> None:
        self._workshop = workshop
        self._through = through
        self._given: deque[Job] = deque()
        self.seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given.clear()

    def give(self, job: Job) -> None:
        """See `Crew`."""
        self._given.append(job)

    def take(self) -> tuple[Job, Answer]:
        """See `Crew`."""
        job = self._given.popleft()

        def do() -> Answer:
            start = time.monotonic()
            try:
                return job.do(self._workshop)
            finally:
                self.seconds += time.monotonic() - start

        return job, self._through(job, do)
