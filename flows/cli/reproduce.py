"""`archive-colorizer reproduce`: outputs made once more, from the record."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import options
from flows.listing import ListingFormat


def reproduce(
    items: Annotated[
        list[str] | None, typer.Argument(metavar="ITEM...", help="Paths in the archive, or numbers of items.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="So many items, taken at random.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep the files that are made in this folder.")
    ] = None,
    device: options.Device = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """Make outputs anew from the record and say whether the bytes agree (exit code 2 if they do not)."""
    import sys

    from flows.errors import ExitCode, UsageError
    from flows.existing import open_existing
    from flows.listing import print_rows
    from flows.progress import shown
    from flows.reproduction import COLUMNS, Reproducer
    from flows.selection import find_done, sample_done

    if bool(items) == (sample is not None):
        raise UsageError("name items to be reproduced, or give --sample N")
    with open_existing(database, output) as opened, shown(sys.stderr) as progress:
        chosen = (
            sample_done(opened, output, sample) if sample else [find_done(opened, output, one) for one in items or ()]
        )
        progress.begin(len(chosen), "items")
        found = []
        with Reproducer(opened, keep=keep, device=device) as reproducer:
            for rows in chosen:
                results = reproducer.reproduce(rows)
                found += results
                progress.advance(failed=any(one.finding != "identical" for one in results))
    print_rows([one.as_row() for one in found], COLUMNS, format)
    identical = sum(one.finding == "identical" for one in found)
    print(f"{identical} of {len(found)} files identical", file=sys.stderr)
    return int(ExitCode.DONE if identical == len(found) else ExitCode.ITEMS_FAILED)
