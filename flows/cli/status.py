"""`archive-colorizer status`: what an administrator asks in the morning."""

from enum import StrEnum
from typing import Annotated

import typer

from flows.cli import options


class StatusFormat(StrEnum):
    """How the status is printed."""

    TABLE = "table"
    JSON = "json"


def status(
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    run: options.RunId = None,
    format: Annotated[
        StatusFormat,
        typer.Option(
            "--format", envvar="ARCHIVE_COLORIZER_STATUS_FORMAT", help="Lines for people, or one JSON object."
        ),
    ] = StatusFormat.TABLE,
) -> int:
    """What runs now, what the last run came to, what failed, and what is scheduled next.

    Reads only. Exit code 0; 2 when the latest run failed, crashed or stopped without finishing; 3 when the database
    does not answer. Items that failed in a run that went to its end are listed, and are no reason for 2. A Prefect
    server that does not answer is told of, and is no reason either.
    """
    import os
    import sys

    from flows.errors import ExitCode
    from flows.status.prefect import schedules
    from flows.status.printing import as_json, in_words
    from flows.status.standing import open_for_status, standing_of

    with open_for_status(database, output) as opened:
        standing = standing_of(opened, output if database is not None else None, run)
    planned = schedules(os.environ)
    lines = [as_json(standing, planned)] if format is StatusFormat.JSON else in_words(standing, planned)
    for line in lines:
        print(line, file=sys.stdout)
    return int(ExitCode.ITEMS_FAILED if standing.is_bad else ExitCode.DONE)
