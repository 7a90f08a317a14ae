"""`archive-colorizer verify`: files and records against what was recorded."""

from typing import Annotated

import typer

from flows.cli import options
from flows.listing import ListingFormat

Restart = Annotated[bool, typer.Option("--restart", help="Begin anew, not where an earlier verification was cut off.")]
FilesOnly = Annotated[bool, typer.Option("--files-only", help="Only hash files; do not check the record.")]
RecordOnly = Annotated[bool, typer.Option("--record-only", help="Only check the record; hash no files.")]
Noted = Annotated[
    str | None,
    typer.Option("--noted", metavar="N:SHA256", help="An end of the record that an earlier verify told."),
]


def verify(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    restart: Restart = False,
    files_only: FilesOnly = False,
    record_only: RecordOnly = False,
    noted: Noted = None,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """Hash masters, references and copies again, and check that nobody has edited the record; list what is not as it
    was (exit code 2 if anything is).

    One that was interrupted is gone on with by the same command. With --database, --output says which of its output
    folders is verified.
    """
    import sys

    from flows.errors import ExitCode, UsageError
    from flows.fixity import COLUMNS, Ledger, Wanted, counts, open_to_verify, parse_noted
    from flows.fixity import verify as verify_all
    from flows.listing import print_rows
    from flows.progress import shown

    if files_only and record_only:
        raise UsageError("--files-only and --record-only leave nothing to do; give one of them")
    if noted is not None and files_only:
        raise UsageError("--noted is about the record, which --files-only leaves out; give one of them")
    wanted = Wanted(
        run_id=run,
        output=output if database is not None else None,
        files=not record_only,
        record=not files_only,
        restart=restart,
        noted=None if noted is None else parse_noted(noted),
    )
    with Ledger() as ledger:
        with open_to_verify(database, output) as opened, shown(sys.stderr) as progress:
            result = verify_all(opened, wanted, ledger, progress)
        if result.findings or format is not ListingFormat.TABLE:
            print_rows(ledger.rows(), COLUMNS, format)
    print(counts(wanted, result.files, result.findings), file=sys.stderr)
    if result.head is not None:
        print(
            f"the record's last event is {result.head}; note it down elsewhere to be able to show that nothing was "
            "cut off",
            file=sys.stderr,
        )
    return int(ExitCode.ITEMS_FAILED if result.findings else ExitCode.DONE)
