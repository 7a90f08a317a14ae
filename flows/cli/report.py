"""`archive-colorizer report`: the gallery of a run."""

import sys
from typing import Annotated

import typer

from flows.cli import options


def report(
    run: Annotated[int, typer.Argument(metavar="RUN", help="Number of the run, see `audit runs`.")],
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
) -> None:
    """Write the gallery of a run again, as one static HTML folder."""
    from flows.existing import open_existing
    from flows.report.rebuild import rebuild_gallery

    with open_existing(database, output) as opened:
        page, missing = rebuild_gallery(opened, run)
    for line in missing:
        print(f"not shown: {line}", file=sys.stderr)
    print(page)
