"""`archive-colorizer benchmark`: what a run costs, and how well colour is brought back."""

from typing import Annotated

import typer

from flows.cli import options
from flows.cli.options import Attention
from flows.listing import ListingFormat

app = typer.Typer(help="Measure speed, memory and colour on this machine.", invoke_without_command=True)

Items = Annotated[int, typer.Option("--items", metavar="N", min=2, help="Photographs to colorize.")]
Side = Annotated[int, typer.Option("--side", metavar="N", min=64, help="Their long side in pixels.")]
Size = Annotated[int, typer.Option("--size", metavar="N", min=64, help="Long side at which the network works.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")]
AttentionChoice = Annotated[Attention, typer.Option("--attention", help="How colours are looked up.")]

COLUMNS = ("figure", "value", "unit")


@app.callback()
def everything(context: typer.Context) -> None:
    """Without a subcommand: an archive run, then the first-frame film test, both as they are by default."""
    if context.invoked_subcommand is None:
        archive()
        first_frame()


@app.command("archive")
def archive(
    items: Items = 16,
    side: Side = 1024,
    size: Size = 512,
    device: Device = "auto",
    attention: AttentionChoice = Attention.SPARSE,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """A run over photographs: seconds per stage and item, peak memory, overhead of orchestration and database."""
    from flows.benchmark.archive import measure_archive
    from flows.listing import print_rows

    figures = measure_archive(items, side, size, device, attention.value)
    rows: list[dict[str, object]] = [
        {"figure": "items", "value": figures.items, "unit": f"photographs of {side} px, network at {size} px"},
        {"figure": "an item, start-up left out", "value": figures.seconds_per_item, "unit": "s"},
        {"figure": "orchestration and database", "value": figures.overhead_seconds_per_item, "unit": "s an item"},
        {"figure": "start-up", "value": figures.start_up_seconds, "unit": "s"},
        {"figure": "peak memory", "value": figures.peak_memory_bytes / 1e9, "unit": "GB"},
    ]
    rows += [
        {"figure": f"stage {stage}", "value": seconds, "unit": "s, median"}
        for stage, seconds in figures.stage_medians.items()
    ]
    print_rows(rows, COLUMNS, format)


@app.command("first-frame")
def first_frame(
    size: Size = 512,
    device: Device = "auto",
    attention: AttentionChoice = Attention.SPARSE,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """Film frames colorized with the film's first frame as reference: PSNR against the true colours."""
    from dataclasses import asdict

    from flows.benchmark.first_frame import measure_first_frame
    from flows.engine import resolve_device
    from flows.listing import print_rows

    figures = measure_first_frame(attention.value, resolve_device(device), size)
    print_rows([asdict(one) for one in figures], ("clip", "psnr_grey", "psnr", "confidence"), format)
