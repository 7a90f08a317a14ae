"""`archive-colorizer verify`: sources and copies against the database."""

from flows.cli import options
from flows.listing import ListingFormat


def verify(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """Hash masters, references and copies again; list what is changed or missing (exit code 2 if anything is)."""
    import sys

    from flows.errors import ExitCode
    from flows.existing import open_existing
    from flows.fixity_check import COLUMNS, check_outputs
    from flows.listing import print_rows
    from flows.progress import shown
    from storage.database import colorizations

    with open_existing(database, output) as opened:
        records = colorizations.outputs(opened, run)
    with shown(sys.stderr) as progress:
        findings, checked = check_outputs(records, progress)
    if findings or format is not ListingFormat.TABLE:
        print_rows([finding.as_row() for finding in findings], COLUMNS, format)
    print(f"{checked} files checked, {len(findings)} changed or missing", file=sys.stderr)
    return int(ExitCode.ITEMS_FAILED if findings else ExitCode.DONE)
