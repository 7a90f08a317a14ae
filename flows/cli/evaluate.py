"""`archive-colorizer evaluate`: how good the network's colours are, beside simpler methods."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import options
from flows.listing import ListingFormat

app = typer.Typer(invoke_without_command=True)


@app.callback()
def evaluate(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            envvar="ARCHIVE_COLORIZER_EVALUATION_DATA",
            help="Folder of held-out colour photographs (default: film only).",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            envvar="ARCHIVE_COLORIZER_WEIGHTS",
            help="Learned weights in place of the shipped ones.",
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option("--compare", metavar="FILE", help="Further weights to set beside them (may be repeated)."),
    ] = None,
    size: options.NetworkSize = 512,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            envvar="ARCHIVE_COLORIZER_EVALUATION_LIMIT",
            help="Only so many photographs, evenly spread (default: all).",
        ),
    ] = None,
    rows: Annotated[
        str, typer.Option("--rows", metavar="NAMES", help="What to compare, with commas between.")
    ] = "grey,histogram,warp,sparse,dense",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="JSON file for all figures, case by case.")
    ] = None,
    sheets: Annotated[
        Path | None, typer.Option("--sheets", metavar="DIR", help="Folder for contact sheets of the results.")
    ] = None,
    device: options.NetworkDevice = "auto",
) -> None:
    """Measure the colours against the truth: film after its first frame; photographs after their other half, a warped
    copy, one in another light, one of the same kind, and an unrelated one."""
    if context.invoked_subcommand is not None:
        return
    from flows.evaluation import EvaluationSettings, evaluate_network
    from flows.listing import print_rows
    from flows.progress import shown

    settings = EvaluationSettings(
        data=data,
        weights=weights,
        compare=tuple(compare or ()),
        size=size,
        limit=limit,
        rows=tuple(filter(None, (row.strip() for row in rows.split(",")))),
        output=output,
        sheets=sheets,
        device=device,
    )
    with shown() as progress:
        found = evaluate_network(settings, progress)
    print_rows(found, tuple(found[0]), ListingFormat.TABLE)


@app.command("retrieval")
def retrieval(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="DIR",
            envvar="ARCHIVE_COLORIZER_EVALUATION_DATA",
            help="Folder of held-out colour photographs, each of another scene.",
        ),
    ],
    kinds: Annotated[
        Path | None,
        typer.Option("--kinds", metavar="DIR", help="Folder with a folder of pictures for each kind of thing."),
    ] = None,
    size: options.NetworkSize = 512,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="So many photographs are colorized, evenly spread.")
    ] = 12,
    device: options.NetworkDevice = "auto",
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Measure how well references are found: the other half of the same scene, pictures of the same kind, and the
    colours that the found reference gives, beside a random one and the best of those tried."""
    from flows.listing import print_rows
    from flows.progress import shown
    from flows.retrieval_evaluation import COLUMNS, RetrievalEvaluationSettings, evaluate_retrieval

    settings = RetrievalEvaluationSettings(data=data, kinds=kinds, size=size, limit=limit, device=device)
    with shown() as progress:
        found = evaluate_retrieval(settings, progress)
    print_rows(found, COLUMNS, format)
