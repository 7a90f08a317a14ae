"""The archive run as a Prefect flow: one task for each batch of photographs or group of shots, small records only.

The work is in `flows.running`.
"""

import logging
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from prefect import State, flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.archive_run import ArchiveRun
from flows.errors import Interrupted
from flows.orchestration.artifacts import markdown_of, table_of
from flows.orchestration.form import RunForm
from flows.orchestration.limit import OutOfTime, TimeLimit
from flows.orchestration.parameters import parameters_of
from flows.orchestration.parent_death import end_with
from flows.orchestration.work import Gone, Tasks, Work, never
from flows.progress import SilentProgress
from flows.running import open_run
from flows.summary import RunSummary
from flows.work.crew import Do

if TYPE_CHECKING:  # only where there is a cluster
    from distributed import Client

FLOW_NAME = "colorize-archive"
TASK_NAME = "colorize-batch"
COMPLETED_WITH_FAILURES = "Completed with failures"
RUNNER_VARIABLE = "ARCHIVE_COLORIZER_RUNNER_PID"
"""Tells a scheduled run which process does the schedule, and takes its runs along when it is killed."""

BEGIN_SECONDS = 60.0  # what Prefect gets to record that a run begins,
END_SECONDS = 12.0  # and that it has ended

_PREPARED: ContextVar[tuple[Work, TimeLimit]] = ContextVar("prepared")
log = logging.getLogger(__name__)


@flow(name=FLOW_NAME, persist_result=False)
def colorize_archive(settings: RunForm) -> State[dict[str, int]]:
    """A whole run, for schedules: what was found to do is done.

    The state is Completed, by the name "Completed with failures" when items stand failed; its message counts them.
    What ends a run (disk, database, share) makes it Failed.

    Args:
        settings: what is left out comes from the environment.
    """
    if os.environ.get(RUNNER_VARIABLE) == str(os.getppid()) and not end_with(os.getppid()):
        raise Interrupted
    with open_run(settings.settings(), SilentProgress()) as run:
        if run.prepare().has_work:
            run.index_references()
            work = Work(run, never)
            summary = _do_in_flow(work)
            _leave_artifacts(work, summary)
        else:
            summary = run.summary()
    failed = len(summary.failures)
    message = f"{summary.done} colorized, {failed} failed, {summary.finished_before} done before"
    return Completed(
        name=COMPLETED_WITH_FAILURES if failed else None,
        message=message if summary.run_id is None else f"run {summary.run_id}: {message}",
        data={"done": summary.done, "failed": failed, "items": summary.items},
    )


@flow(name=FLOW_NAME, validate_parameters=False, persist_result=False)
def prepared_run(settings: dict[str, Any]) -> None:
    """The work of this process that is prepared. Prefect sends flows to workers: this one holds nothing."""
    _do_prepared()


def _do_prepared() -> None:
    work, limit = _PREPARED.get()
    limit.clear()
    try:
        summary = _do_in_flow(work)
    finally:
        limit.set(END_SECONDS)
    _leave_artifacts(work, summary)
    if work.prefect_is_lost:
        raise OutOfTime


def execute_as_flow(run: ArchiveRun, server_is_gone: Gone) -> Work:
    """Do a prepared run as a flow run. The work is done and recorded whatever becomes of Prefect.

    To be called in the main thread. Returns what came of the work; `Work.prefect_is_lost` where the flow run's own end
    could not be recorded: then the process must not wait for Prefect's threads.
    """
    work = Work(run, server_is_gone)
    limit = TimeLimit()
    _PREPARED.set((work, limit))
    try:
        with limit:
            limit.set(BEGIN_SECONDS)
            prepared_run(parameters_of(run.settings))
    except OutOfTime:
        work.prefect_is_lost = True
    except Exception as error:
        if work.error is None:
            log.debug("Prefect was lost", exc_info=error)
            work.prefect_is_lost = True
    except BaseException as error:
        work.error = error
    if isinstance(work.error, TerminationSignal):  # Prefect's form of SIGTERM
        work.error = Interrupted()
    if work.error is None and work.summary is None:  # Prefect did not get as far as to begin the work
        work.do()
    return work


def _do_in_flow(work: Work) -> RunSummary:
    return work.do(Tasks(_do_here, _do_elsewhere), str(flow_run.id) if flow_run.id else None)


# no retries: what can get better (database, share) is retried where it happens, and a batch is never half done
def _do_here(name: str, do: Do) -> None:
    @task(name=TASK_NAME, task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
    def colorize_batch(name: str) -> None:
        do()

    colorize_batch(name)


@task(name=TASK_NAME, task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def colorize_parcel(name: str, plugin: str, parcel: bytes) -> bytes:
    """The same in a worker of a Dask cluster."""
    from flows.work.worker import do_parcel

    return do_parcel(plugin, parcel)


def _do_elsewhere(client: "Client", name: str, plugin: str, parcel: bytes) -> object:
    parameters = {"name": name, "plugin": plugin, "parcel": parcel}
    return client.submit(colorize_parcel, parameters=parameters, return_type="state")


def _leave_artifacts(work: Work, summary: RunSummary) -> None:
    """The table and the words in Prefect: decoration, without which the run is as good."""
    if work.is_without_prefect():
        return
    try:
        create_table_artifact(table_of(summary), key="archive-colorizer-run", description=f"Run {summary.run_id}")
        create_markdown_artifact(markdown_of(summary, work.run.settings), key="archive-colorizer-report")
    except Exception as error:
        log.warning("the run's artifacts could not be left in Prefect: %s", error)
