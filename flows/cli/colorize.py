"""`archive-colorizer colorize`: one photograph with one reference."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import Attention, OutputFormat
from flows.errors import UsageError
from storage.paths import path_to_text

SUFFIXES = {".tif": OutputFormat.TIFF, ".tiff": OutputFormat.TIFF, ".png": OutputFormat.PNG}


def colorize(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The photograph to colorize.")],
    reference: Annotated[
        Path,
        typer.Option(
            "--reference",
            metavar="IMAGE",
            envvar="ARCHIVE_COLORIZER_REFERENCE",
            help="The colour photograph.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="FILE",
            envvar="ARCHIVE_COLORIZER_OUTPUT",
            help="The copy to write: a .tif or .png file.",
        ),
    ],
    size: Annotated[
        int,
        typer.Option(
            "--size",
            min=64,
            max=4096,
            envvar="ARCHIVE_COLORIZER_SIZE",
            help="Long side in pixels at which the network works.",
        ),
    ] = 512,
    attention: Annotated[
        Attention,
        typer.Option("--attention", envvar="ARCHIVE_COLORIZER_ATTENTION", help="How colours are looked up."),
    ] = Attention.SPARSE,
    device: Annotated[
        str, typer.Option("--device", envvar="ARCHIVE_COLORIZER_DEVICE", help="auto, cpu, cuda or cuda:N.")
    ] = "auto",
    format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            envvar="ARCHIVE_COLORIZER_FORMAT",
            help="File format of the copy (default: as the output's name ends).",
        ),
    ] = None,
) -> None:
    """Colorize one photograph with one reference; no database, no Prefect."""
    named = SUFFIXES.get(output.suffix.lower())
    if format is not None and named not in (None, format):
        raise UsageError(f"the output {output} is named as {named} but the format is {format}; change one of them")
    from flows.engine import loading_networks
    from flows.pair import PairSettings, colorize_pair

    settings = PairSettings(
        target=target,
        reference=reference,
        output=output,
        size=size,
        attention=attention.value,
        device=device,
        format=format.value if format else None,
    )
    with loading_networks():
        written = colorize_pair(settings)
    print(path_to_text(written.path))
