"""`archive-colorizer database`: care of the provenance database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import options
from flows.listing import ListingFormat

if TYPE_CHECKING:
    from storage.database.backup import Copied

app = typer.Typer(help="Care of the provenance database.", no_args_is_help=True)

Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
BackupFile = Annotated[
    Path | None,
    typer.Option(
        "--backup",
        metavar="FILE",
        help="Where the backup goes (default: beside the SQLite file, for PostgreSQL in the output folder).",
    ),
]
NoBackup = Annotated[bool, typer.Option("--no-backup", help="Make no backup first.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="File whose first line is the role's password from now on."),
]


@app.callback()
def _group() -> None:
    """Care of the provenance database."""


@app.command("check")
def check(
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """Whether the database is sound and complete. Nothing is changed; exit code 2 if something is not right.

    Looked at are its schema, the file (PostgreSQL: all tables are read whole), whether the counts of runs agree with
    their rows, runs that never ended, and whether anything on record was changed afterwards.
    """
    from flows.database_care import check_rows, existing_url
    from flows.errors import ExitCode
    from flows.listing import print_rows

    rows = check_rows(existing_url(database, output))
    print_rows(rows, ("looked_at", "finding", "result"), format)
    return ExitCode.DONE if all(row["finding"] == "right" for row in rows) else ExitCode.ITEMS_FAILED


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="SQLite file to be made.")],
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    force: Force = False,
) -> int:
    """Copy the whole database into one SQLite file, also from PostgreSQL; runs may go on meanwhile.

    The file is a database that every command can read, and that `database restore` puts into another one.
    """
    from flows.database_care import existing_url
    from storage.database import backup as making

    copied = making.backup(existing_url(database, output), file, force=force)
    print(f"backup {file}: {_content(copied)}")
    return _told(copied)


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `database backup` made. Only read.")],
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
) -> int:
    """Put a backup into an empty database: a PostgreSQL database, or a SQLite file that is not there yet."""
    from flows.settings import default_database
    from storage.database import backup as making

    copied = making.restore(file, database or default_database(output or Path()))
    print(f"restored {file}: {_content(copied)}")
    return _told(copied)


@app.command("grant-auditor")
def grant_auditor(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Role of PostgreSQL, made if it is not there.")],
    password_file: PasswordFile = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
) -> None:
    """Let a role of PostgreSQL read everything on record, and nothing more."""
    import shlex

    from flows.database_care import read_password
    from flows.existing import open_existing
    from storage.database import auditor

    password = None if password_file is None else read_password(password_file)
    with open_existing(database, output) as opened:
        granted = auditor.grant(opened, name, password)
    made = "was made and may" if granted.is_new else "may"
    connect = f"psql {shlex.quote(granted.url)}"
    print(f"the role {granted.name} {made} read everything here and change nothing; connect with: {connect}")


@app.command("upgrade")
def upgrade(
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    backup: BackupFile = None,
    no_backup: NoBackup = False,
) -> None:
    """Bring a database of an older version of this program to this version's schema. A backup is made first.

    All or nothing: if it fails, the database is as it was. A database that is up to date is left alone.
    """
    from flows.database_care import backup_place, existing_url, is_up_to_date, name_of
    from flows.errors import UsageError
    from storage.database import backup as making
    from storage.database import open_database

    if backup is not None and no_backup:
        raise UsageError("--backup and --no-backup exclude each other; give one of them")
    url = existing_url(database, output)
    if is_up_to_date(url):
        print(f"nothing to do: {name_of(url)} has the schema of this version")
        return
    if not no_backup:
        file = backup or backup_place(url, output)
        copied = making.backup(url, file)
        print(f"backup {file}: {_content(copied)}")
    open_database(url, create=False, upgrade=True).close()
    print(f"upgraded {name_of(url)} to the schema of this version; its records are kept")


def _content(copied: "Copied") -> str:
    runs, results = copied.rows.get("run", 0), copied.rows.get("colorization", 0)
    chain = f", {copied.head.event_id} events" if copied.head else ""
    return f"{runs} runs, {results} results{chain}, checked (schema {copied.schema})"


def _told(copied: "Copied") -> int:
    """Says what is not as it was written; that is no fault of the copy."""
    import sys

    from flows.errors import ExitCode

    for finding in copied.findings:
        print(f"{finding.name}: {finding.finding} since it was written", file=sys.stderr)
    return ExitCode.ITEMS_FAILED if copied.findings else ExitCode.DONE
