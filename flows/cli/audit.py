"""`archive-colorizer audit`: the audit views, as table, JSON or CSV."""

import typer

from flows.cli import options
from flows.listing import ListingFormat

app = typer.Typer(help="What the database has on record.", no_args_is_help=True)


@app.command("runs")
def runs(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every run with its outcome."""
    _print_view("audit_run", run, output, database, format)


@app.command("items")
def items(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every item with its reference, copy and digests."""
    _print_view("audit_item", run, output, database, format)


@app.command("shots")
def shots(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every shot of the films with its reference and figures."""
    _print_view("audit_shot", run, output, database, format)


@app.command("failures")
def failures(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every failure with what is wrong."""
    _print_view("audit_failure", run, output, database, format)


@app.command("references")
def references(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every reference and how often it was used."""
    _print_view("audit_reference", run, output, database, format)


@app.command("runtimes")
def runtimes(
    run: options.RunId = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Seconds of every stage."""
    _print_view("audit_runtime", run, output, database, format)


def _print_view(view: str, run: int | None, output: options.FoundOutput, url: str | None, form: ListingFormat) -> None:
    from flows.existing import open_existing
    from flows.listing import print_rows
    from storage.database import audit

    with open_existing(url, output) as database:
        print_rows(audit.rows(database, view, run), audit.columns(view), form)
