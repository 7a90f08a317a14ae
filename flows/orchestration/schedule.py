"""The archive run on a cron schedule, served by this machine until it is told to stop."""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from flows.errors import UsageError
from flows.orchestration.parameters import parameters_of
from flows.orchestration.server import PrefectServer
from flows.settings import ENVIRONMENT_PREFIX, RunSettings
from storage.paths import path_to_text


def serve_schedule(settings: RunSettings, cron: str) -> None:
    """Start (or find) a Prefect server, register the schedule and do its runs, one at a time.

    Returns when SIGTERM or SIGINT arrives, which is its normal end; a run in progress and our server end with it.
    What that run did not finish is taken up by the next.

    Raises:
        UsageError: the cron line cannot be understood, or a schedule of dry runs is asked for.
        EnvironmentProblem: the server does not start.
    """
    if settings.dry_run:
        raise UsageError(
            f"a schedule of dry runs would colorize nothing; unset {ENVIRONMENT_PREFIX}DRY_RUN, or use run --dry-run"
        )
    server = PrefectServer.start(lasting=True)
    try:
        server.wait()
        from prefect.client.schemas.schedules import CronSchedule
        from prefect.deployments.runner import RunnerDeployment
        from prefect.types.entrypoint import EntrypointType

        from flows.orchestration.flow import RUNNER_VARIABLE, colorize_archive
        from flows.orchestration.runner import ScheduleRunner

        try:
            schedule = CronSchedule(cron=cron, timezone=local_timezone())
        except ValueError as error:
            raise UsageError(f'--cron: "{cron}" is no cron line; "0 2 * * *" is every night at two') from error
        deployment = colorize_archive.to_deployment(
            name=deployment_name(settings.archive, settings.output),
            schedules=[schedule],
            parameters={"settings": parameters_of(settings)},
            concurrency_limit=1,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        page = server.url.removesuffix("/api")
        print(f"serving {path_to_text(settings.archive)} at {cron!r}; see {page}", file=sys.stderr, flush=True)
        # what the processes of the runs must know, and Prefect must not keep in plain text
        os.environ[RUNNER_VARIABLE] = str(os.getpid())
        if settings.database is not None:
            os.environ[f"{ENVIRONMENT_PREFIX}DATABASE"] = settings.database
        runner = ScheduleRunner(limit=1, pause_on_shutdown=False)
        runner.add_deployment(cast(RunnerDeployment, deployment))
        runner.run_until_stopped()
    finally:
        server.stop()


def deployment_name(archive: Path, output: Path) -> str:
    """A name for the schedule of this output folder: the same at every start, without signs Prefect refuses."""
    folder = re.sub(r"[^\w.-]+", "-", archive.name) or "archive"
    return f"{folder}-{hashlib.sha256(os.fsencode(output)).hexdigest()[:8]}"


def local_timezone() -> str:
    """IANA name of the machine's time zone, in which a cron line is meant; UTC where it cannot be told."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError):
        return "UTC"
