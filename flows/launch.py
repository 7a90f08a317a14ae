"""Start a run from the command line: progress on stderr, Prefect beside it, the result table on stdout."""

import sys

from flows.archive_run import dry_run, open_run, run_archive
from flows.progress import Progress, shown
from flows.result_table import print_summary
from flows.settings import RunSettings
from flows.summary import RunSummary


def launch(settings: RunSettings) -> RunSummary:
    """Do the run that the settings ask for and print what it came to."""
    with shown(sys.stderr) as progress:
        if settings.dry_run:
            summary = dry_run(settings, progress)
        elif settings.prefect:
            summary = _with_prefect(settings, progress)
        else:
            summary = run_archive(settings, progress)
    print_summary(summary, sys.stdout)
    return summary


def _with_prefect(settings: RunSettings, progress: Progress) -> RunSummary:
    """The same steps as `run_archive`, with the batches in a flow run.

    The server needs ten seconds to start; it does so while the networks load and the references are embedded, and
    not at all when there is nothing to do.
    """
    from flows.orchestration.server import PrefectServer

    servers: list[PrefectServer] = []

    def start_server() -> None:
        if not servers:
            servers.append(PrefectServer.start())

    with open_run(settings, progress) as run:
        try:
            if not run.prepare(on_likely_work=start_server).has_work:
                return run.summary()
            start_server()
            run.index_references()
            progress.say("waiting for the Prefect server")
            servers[0].wait()
            from flows.orchestration.flow import execute_as_flow

            return execute_as_flow(run)
        finally:
            for server in servers:
                server.stop()
