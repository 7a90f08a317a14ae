"""The work of a flow run, kept apart from Prefect: it is done, once, whatever becomes of Prefect meanwhile."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flows.archive_run import ArchiveRun
from flows.running import crew_of, execute
from flows.summary import RunSummary
from flows.work.crew import Crew, Do
from flows.work.job import Answer, Job

if TYPE_CHECKING:  # only where there is a cluster
    from distributed import Client

Gone = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Tasks:
    """How jobs go on record in Prefect."""

    here: Callable[[str, Do], object]
    """Runs a function as a task of this name."""
    elsewhere: Callable[["Client", str, str, bytes], object]
    """Gives a job as a task of this name to a cluster: client, name, plugin and parcel (`flows.work.worker`)."""


def never() -> bool:
    """For a server that somebody else watches."""
    return False


class Work:
    """A prepared run on its way through Prefect.

    Args:
        run: the run.
        server_is_gone: looked at before every job; from then on Prefect is not asked any more.
    """

    def __init__(self, run: ArchiveRun, server_is_gone: Gone) -> None:
        self.run = run
        self.summary: RunSummary | None = None
        self.error: BaseException | None = None
        """What ended the work itself; never an error of Prefect."""
        self.prefect_is_lost = False
        self._server_is_gone = server_is_gone

    def is_without_prefect(self) -> bool:
        """Whether the server is gone, or Prefect has failed; both are for good."""
        self.prefect_is_lost = self.prefect_is_lost or self._server_is_gone()
        return self.prefect_is_lost

    def do(self, tasks: Tasks | None = None, flow_run_id: str | None = None) -> RunSummary:
        """Do all jobs, each as a task of Prefect as long as there is Prefect."""
        try:
            self.summary = execute(self.run, partial(self._crew, tasks), flow_run_id)
        except BaseException as error:
            self.error = error
            raise
        return self.summary

    def _crew(self, tasks: Tasks | None, run: ArchiveRun) -> AbstractContextManager[Crew]:
        return crew_of(run) if tasks is None else crew_of(run, partial(self._through, tasks), tasks.elsewhere)

    def _through(self, tasks: Tasks, job: Job, do: Do) -> Answer:
        """Do a job once, as a task if there is Prefect."""
        answers: list[Answer] = []

        def once() -> Answer:
            if not answers:
                try:
                    answers.append(do())
                except BaseException as error:
                    self.error = error
                    raise
            return answers[0]

        if self.is_without_prefect():
            return once()
        try:
            tasks.here(job.name, once)
        except Exception:
            if self.error is not None:
                raise self.error from None
            self.prefect_is_lost = True
        return once()
