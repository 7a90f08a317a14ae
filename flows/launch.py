"""Start a run from the command line: progress on stderr, Prefect beside it, the result table on stdout."""

import sys

from flows.dry_run import dry_run
from flows.errors import ExitCode, LeaveAtOnce
from flows.progress import Progress, shown
from flows.result_table import print_summary
from flows.running import open_run, run_archive
from flows.settings import RunSettings
from flows.summary import RunSummary

PREFECT_LOST = "Prefect was lost on the way, so its record of this run is not complete; the run itself is"


def launch(settings: RunSettings) -> RunSummary:
    """Do the run that the settings ask for and print what it came to.

    Raises:
        LeaveAtOnce: it is done, or has failed, and Prefect was lost.
    """
    prefect_is_lost = False
    with shown(sys.stderr) as progress:
        if settings.dry_run:
            summary = dry_run(settings, progress)
        elif settings.prefect:
            summary, prefect_is_lost = _with_prefect(settings, progress)
        else:
            summary = run_archive(settings, progress)
    print_summary(summary, sys.stdout)
    if prefect_is_lost:
        print(PREFECT_LOST, file=sys.stderr)
        raise LeaveAtOnce(summary.exit_code)
    return summary


def _with_prefect(settings: RunSettings, progress: Progress) -> tuple[RunSummary, bool]:
    """The same steps as `run_archive`, with the batches in a flow run.

    The server needs ten seconds to start; it does so while the networks load and the references are embedded, and
    not at all when there is nothing to do. Returns also whether Prefect was lost before the end.
    """
    from flows.orchestration.server import PrefectServer

    servers: list[PrefectServer] = []

    def start_server() -> None:
        if not servers:
            servers.append(PrefectServer.start())

    with open_run(settings, progress) as run:
        try:
            if not run.prepare(on_likely_work=start_server).has_work:
                return run.summary(), False
            start_server()
            run.index_references()
            progress.say("waiting for the Prefect server")
            servers[0].wait()
            from flows.orchestration.flow import execute_as_flow

            work = execute_as_flow(run, servers[0].is_gone)
            if work.error is not None or work.summary is None:
                error = work.error or RuntimeError("the work has no outcome")
                if work.is_without_prefect():
                    raise LeaveAtOnce(ExitCode.ENVIRONMENT, error)
                raise error
            return work.summary, work.prefect_is_lost
        finally:
            for server in servers:
                server.stop()
