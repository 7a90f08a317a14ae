"""A run from its beginning to its end: the output folder locked, the jobs done, the gallery written."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

from flows.archive_run import ArchiveRun
from flows.errors import UsageError
from flows.logs import run_logs
from flows.metrics import written_to
from flows.output_lock import locked
from flows.progress import Progress
from flows.reference_index import INDEX_FOLDER
from flows.report.gallery import gallery_folder
from flows.report.run_gallery import show_run
from flows.settings import RunSettings
from flows.summary import RunSummary
from flows.work.crew import Crew, OneProcess, Through, directly
from storage.database import Database, open_database, runs
from storage.database.standing import last_ended
from storage.decoding import Decoder
from storage.fixity import sweep_partial_files
from storage.paths import path_to_text

if TYPE_CHECKING:  # only where there is a cluster
    from flows.work.cluster import ClientSubmit

OpenCrew = Callable[[ArchiveRun], AbstractContextManager[Crew]]


@contextmanager
def open_run(settings: RunSettings, progress: Progress) -> Iterator[ArchiveRun]:
    """Lock the output folder, open its database, and clear up after a run that was killed.

    Raises:
        UsageError: the folder for galleries or index is a link to elsewhere.
        EnvironmentProblem: another run holds the folder.
        DatabaseError: the database cannot be used.
    """
    for folder in (gallery_folder(settings.output, 0).parent, settings.output / INDEX_FOLDER):
        if not folder.resolve().is_relative_to(settings.output):
            raise UsageError(f"{folder} is a link that leads out of the output folder; remove the link")
    with locked(settings.output) as held:
        if not held:
            progress.say("note: this file system knows no locks on folders; start no second run into the same output")
        with open_database(settings.database_url) as database, Decoder() as decoder:
            crashed = runs.abandon_dead(database, path_to_text(settings.output))
            swept = sweep_partial_files(settings.output)
            if crashed or swept:
                progress.say(f"an earlier run was cut off; going on from there ({swept} half-written files removed)")
            if crashed:
                _show_crashed(settings, database, progress)
            run = ArchiveRun(settings, database, decoder, progress)
            with _told(run), run.finished_on_error():
                yield run


@contextmanager
def _told(run: ArchiveRun) -> Iterator[None]:
    """Logs and metrics, where they are asked for."""
    settings = run.settings
    with ExitStack() as stack:
        stack.enter_context(run_logs(settings.log, form=settings.log_form))
        if settings.metrics is not None:
            last = last_ended(run.database, path_to_text(settings.output))
            before = None if last is None else runs.get(run.database, last)
            if before is not None and before.ended_at is not None:
                run.metrics.last_run(before.state, before.ended_at)
            stack.enter_context(written_to(settings.metrics, run.metrics))
        yield


def _show_crashed(settings: RunSettings, database: Database, progress: Progress) -> None:
    """The gallery of the run that was cut off, with the thumbnails that it left."""
    run = runs.latest(database, path_to_text(settings.output))
    if run is not None and run.state == "crashed":
        show_run(database, run.id, settings.output, progress)


def run_archive(settings: RunSettings, progress: Progress) -> RunSummary:
    """A whole run without Prefect."""
    with open_run(settings, progress) as run:
        if not run.prepare().has_work:
            return run.summary()
        run.index_references()
        return execute(run)


@contextmanager
def crew_of(run: ArchiveRun, through: Through = directly, submit: "ClientSubmit | None" = None) -> Iterator[Crew]:
    """Those who do the jobs of a run: this process, workers that are started for it, or a cluster.

    Args:
        through: how this process does a job.
        submit: how a job is given to a cluster, in place of its own way.

    Raises:
        EnvironmentProblem: the cluster is not there, or the workers do not start.
    """
    if not run.settings.is_spread:
        yield OneProcess(run.workshop, through)
        return
    from flows.work.cluster import DaskCrew, connected

    with connected(run.settings, prefect=submit is not None) as client:
        yield DaskCrew(client, run.workshop, submit)


def execute(run: ArchiveRun, open_crew: OpenCrew = crew_of, flow_run_id: str | None = None) -> RunSummary:
    """Start a prepared run, have its jobs done, and finish it, however it ends.

    Args:
        open_crew: opens those who do the jobs.
    """
    with run.finished_on_error():
        run.start(flow_run_id)
        if run.plan.pending:
            with open_crew(run) as crew:
                run.do_jobs(crew)
        return run.finish()
