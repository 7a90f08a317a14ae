"""`archive-colorizer review`: people look at results and decide; the database keeps every decision."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import options
from flows.listing import ListingFormat

if TYPE_CHECKING:
    from storage.database.records import ReviewDecision

app = typer.Typer(
    help="Look at results, approve or reject them, or choose another reference; every decision is kept.",
    no_args_is_help=True,
)

COLUMNS = (
    "path", "page", "kind", "confidence", "match_confidence", "low_match", "reference_path", "review", "reviewer",
    "reviewed_at", "reason", "run_id", "item_id",
)  # fmt: skip

Item = Annotated[
    str, typer.Argument(metavar="ITEM", help="Path in the archive as `review list` shows it, or the item's number.")
]
Page = Annotated[int | None, typer.Option("--page", metavar="N", min=1, help="Page of a document.")]
Reviewer = Annotated[
    str | None,
    typer.Option(
        "--reviewer",
        metavar="NAME",
        envvar="ARCHIVE_COLORIZER_REVIEWER",
        help="Who decides (default: the name of the login).",
    ),
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for those who ask later.")]


@app.command("list")
def list_results(
    run: options.RunId = None,
    below: Annotated[
        float | None,
        typer.Option("--below", metavar="C", min=0, max=1, help="Only what has less confidence than this, 0 to 1."),
    ] = None,
    reviewed: Annotated[
        bool | None,
        typer.Option("--reviewed/--unreviewed", help="Only what somebody, or nobody, has decided on (default: both)."),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Only paths with this in them.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """What counts in the output folder, with its latest review; the lowest confidence first."""
    from dataclasses import asdict

    from flows.existing import open_existing
    from flows.listing import print_rows
    from flows.review.deciding import reviewed_output
    from storage.database.review_queue import Filters, all_results

    with open_existing(database, output) as opened:
        root = reviewed_output(opened, output, run)
        filters = Filters("all" if reviewed is None else "reviewed" if reviewed else "unreviewed", below, run, text)
        print_rows(map(asdict, all_results(opened, root, filters, limit)), COLUMNS, format)


@app.command("approve")
def approve(
    item: Item,
    reason: Reason = None,
    reviewer: Reviewer = None,
    page: Page = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
) -> None:
    """Approve a result; of a document without --page all its pages."""
    _decide("approved", item, page, reviewer, reason, output, database)


@app.command("reject")
def reject(
    item: Item,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for those who ask later.")],
    reviewer: Reviewer = None,
    page: Page = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
) -> None:
    """Reject a result; of a document without --page all its pages. The copy stays where it is."""
    _decide("rejected", item, page, reviewer, reason, output, database)


@app.command("reference")
def reference(
    item: Item,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REFERENCE", help="Another candidate by its rank (#2), or a reference by its path or id."
        ),
    ],
    shot: Annotated[
        int | None, typer.Option("--shot", metavar="N", min=1, help="Only this shot of a film (default: all).")
    ] = None,
    page: Page = None,
    reason: Reason = None,
    reviewer: Reviewer = None,
    device: options.NetworkDevice = "auto",
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
) -> int:
    """Colorize an item again from another reference. The old result is kept as superseded, the choice for later runs.

    A document is written anew as a whole, with the other reference for the one page.
    """
    import sys

    from flows.errors import ExitCode
    from flows.existing import open_existing
    from flows.failures import ItemFailure
    from flows.progress import shown
    from flows.review.deciding import find_one, find_reference, reviewed_output, reviewer_name

    with open_existing(database, output) as opened:
        who = reviewer_name(reviewer)
        row = find_one(opened, reviewed_output(opened, output), item, page)
        reference_id = find_reference(opened, row, reference, shot)
        from flows.again import colorize_again  # loads torch: not before it is known that there is something to do

        try:
            with shown(sys.stderr) as progress:
                made = colorize_again(
                    opened,
                    row,
                    reference_id,
                    reviewer=who,
                    reason=(reason or "").strip() or None,
                    shot=shot,
                    device=device,
                    progress=progress,
                )
        except ItemFailure as failure:
            print(failure.message, file=sys.stderr)
            return int(ExitCode.ITEMS_FAILED)
    print(f"{made.output_path}: colorized again from {made.reference_path}, run {made.run_id}")
    return int(ExitCode.DONE)


@app.command("serve")
def serve(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port of this machine (default: a free one).")
    ] = 0,
    reviewer: Reviewer = None,
    device: options.NetworkDevice = "auto",
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
) -> None:
    """Review in the browser, on this machine only: pictures side by side, decisions by key, another reference by click.

    Prints the address to open. Ends when the page says stop, or with Ctrl-C.
    """
    import sys

    from flows.existing import open_existing
    from flows.review.deciding import reviewed_output, reviewer_name
    from flows.review.serving import Serving
    from flows.review.serving import serve as serve_review

    def announce(address: str) -> None:
        print(address, flush=True)
        print(f"open this address in a browser; decisions are recorded as those of {who}; Ctrl-C ends", file=sys.stderr)

    with open_existing(database, output) as opened:
        who = reviewer_name(reviewer)
        root = reviewed_output(opened, output)
        serve_review(Serving(opened, root, who, port, device, announce))


def _decide(
    decision: "ReviewDecision",
    item: str,
    page: int | None,
    reviewer: str | None,
    reason: str | None,
    output: options.FoundOutput,
    url: str | None,
) -> None:
    from flows.existing import open_existing
    from flows.review.deciding import decide, find_done, name_of, reviewed_output, reviewer_name

    with open_existing(url, output) as database:
        who = reviewer_name(reviewer)
        rows = find_done(database, reviewed_output(database, output), item, page)
        decide(database, rows, decision, reviewer=who, reason=reason)
    for row in rows:
        print(f"{name_of(row)}: {decision}")
