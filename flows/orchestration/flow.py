"""The archive run as a Prefect flow: one task for each batch, small records only, the work in `flows.archive_run`."""

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.archive_run import ArchiveRun, execute, open_run
from flows.orchestration.artifacts import markdown_of, table_of
from flows.progress import SilentProgress
from flows.settings import run_settings
from flows.summary import RunSummary

FLOW_NAME = "colorize-archive"


@flow(name=FLOW_NAME, validate_parameters=False, persist_result=False)
def colorize_archive(settings: dict[str, Any]) -> dict[str, int]:
    """A whole run, for schedules: what was found to do is done; returns counts.

    Args:
        settings: the fields of `flows.settings.RunSettings`; what is missing comes from the environment.
    """
    with open_run(run_settings(settings), SilentProgress()) as run:
        if run.prepare().has_work:
            run.index_references()
            summary = _execute_in_flow(run)
        else:
            summary = run.summary()
    return {"done": summary.done, "failed": len(summary.failures), "items": summary.items}


def execute_as_flow(run: ArchiveRun) -> RunSummary:
    """Do a prepared run as a flow run. The Prefect API must be up."""

    @flow(name=FLOW_NAME, validate_parameters=False, persist_result=False)
    def prepared_run(settings: dict[str, Any]) -> RunSummary:
        return _execute_in_flow(run)

    return prepared_run(run.settings.model_dump(mode="json"))


def _execute_in_flow(run: ArchiveRun) -> RunSummary:
    # no retries: what can get better (database, share) is retried where it happens, and a batch is never half done
    @task(name="colorize-batch", task_run_name="batch-{number}", cache_policy=NO_CACHE, persist_result=False)
    def colorize_batch(number: int) -> dict[str, int]:
        return run.colorize_batch(number)

    summary = execute(run, colorize_batch, str(flow_run.id) if flow_run.id else None)
    create_table_artifact(table_of(summary), key="archive-colorizer-run", description=f"Run {summary.run_id}")
    create_markdown_artifact(markdown_of(summary, run.settings), key="archive-colorizer-report")
    return summary
