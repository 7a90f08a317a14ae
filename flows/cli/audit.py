"""`archive-colorizer audit`: the audit views, filtered, as table, JSON or CSV."""

from typing import TYPE_CHECKING

import typer

from flows.cli import options
from flows.cli.audit_options import (
    Below,
    Current,
    Decision,
    EventType,
    Finding,
    ItemState,
    Limit,
    PathOrGlob,
    Reference,
    Reviewed,
    RunState,
    Since,
    Until,
)
from flows.listing import ListingFormat

if TYPE_CHECKING:
    from storage.database.audit import AuditFilter

app = typer.Typer(help="What the database has on record.", no_args_is_help=True)


@app.command("runs")
def runs(
    run: options.RunId = None,
    state: RunState = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every run with its outcome."""
    where = _filter(run, state=state, since=since, until=until)
    _print_view("audit_run", where, limit, output, database, format)


@app.command("items")
def items(
    run: options.RunId = None,
    state: ItemState = None,
    path: PathOrGlob = None,
    reference: Reference = None,
    below: Below = None,
    reviewed: Reviewed = None,
    current: Current = False,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every item with its reference, copy and digests."""
    where = _filter(
        run,
        state=state,
        path=path,
        reference=reference,
        below=below,
        reviewed=reviewed,
        current=current,
        since=since,
        until=until,
    )
    _print_view("audit_item", where, limit, output, database, format)


@app.command("outputs")
def outputs(
    run: options.RunId = None,
    path: PathOrGlob = None,
    reference: Reference = None,
    below: Below = None,
    reviewed: Reviewed = None,
    current: Current = False,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every file that was made, with all that it was made from."""
    where = _filter(
        run,
        path=path,
        reference=reference,
        below=below,
        reviewed=reviewed,
        current=current,
        since=since,
        until=until,
    )
    _print_view("audit_output", where, limit, output, database, format)


@app.command("shots")
def shots(
    run: options.RunId = None,
    path: PathOrGlob = None,
    reference: Reference = None,
    below: Below = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every shot of the films with its reference and figures."""
    where = _filter(run, path=path, reference=reference, below=below)
    _print_view("audit_shot", where, limit, output, database, format)


@app.command("failures")
def failures(
    run: options.RunId = None,
    path: PathOrGlob = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every failure with what is wrong."""
    where = _filter(run, path=path, since=since, until=until)
    _print_view("audit_failure", where, limit, output, database, format)


@app.command("references")
def references(
    run: options.RunId = None,
    path: PathOrGlob = None,
    reference: Reference = None,
    below: Below = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every reference and how often it was used."""
    where = _filter(run, path=path, reference=reference, below=below)
    _print_view("audit_reference", where, limit, output, database, format)


@app.command("runtimes")
def runtimes(
    run: options.RunId = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Seconds of every stage in a run."""
    _print_view("audit_runtime", _filter(run), limit, output, database, format)


@app.command("stages")
def stages(
    run: options.RunId = None,
    path: PathOrGlob = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Seconds of every stage of each item."""
    _print_view("audit_stage", _filter(run, path=path), limit, output, database, format)


@app.command("reviews")
def reviews(
    run: options.RunId = None,
    decision: Decision = None,
    path: PathOrGlob = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Every decision that somebody took, the latest first."""
    where = _filter(run, state=decision, path=path, since=since, until=until)
    _print_view("audit_review", where, limit, output, database, format)


@app.command("events")
def events(
    run: options.RunId = None,
    type_: EventType = None,
    path: PathOrGlob = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """What happened to the records, the latest first."""
    where = _filter(run, state=type_, path=path, since=since, until=until)
    _print_view("audit_event", where, limit, output, database, format)


@app.command("fixity")
def fixity(
    finding: Finding = None,
    path: PathOrGlob = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """What each file was found to be when it was last hashed; paths are absolute."""
    where = _filter(state=finding, path=path, since=since, until=until)
    _print_view("audit_fixity", where, limit, output, database, format)


def _filter(
    run: int | None = None,
    *,
    state: str | None = None,
    path: str | None = None,
    reference: str | None = None,
    below: float | None = None,
    reviewed: bool | None = None,
    current: bool = False,
    since: str | None = None,
    until: str | None = None,
) -> "AuditFilter":
    from flows.instants import end_of, start_of
    from storage.database.audit import AuditFilter

    return AuditFilter(
        run_id=run,
        state=_text(state),
        path=_text(path),
        reference=_text(reference),
        below=below,
        reviewed=reviewed,
        current=current,
        since=None if since is None else start_of(since),
        until=None if until is None else end_of(until),
    )


def _text(given: str | None) -> str | None:
    """As the records have it, whether it was typed so or as the shell completes a name that is no clean text."""
    from storage.paths import path_to_text

    return given if given is None or given.isprintable() else path_to_text(given)


def _print_view(
    view: str,
    where: "AuditFilter",
    limit: int | None,
    output: options.FoundOutput,
    url: str | None,
    form: ListingFormat,
) -> None:
    from flows.errors import UsageError
    from flows.existing import open_existing
    from flows.listing import print_rows
    from storage.database import audit

    with open_existing(url, output) as database:
        try:
            rows = audit.stream(database, view, where, limit)
        except ValueError as error:
            raise UsageError(f"{error}") from None
        print_rows(rows, audit.columns(view), form)
