"""`archive-colorizer colorize`: one photograph with one reference."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import options
from flows.cli.options import Attention


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
        typer.Option("--output", metavar="FILE", help="The copy to write: a .tif or .png file."),
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
    format: options.Format = None,
) -> None:
    """Colorize one photograph with one reference; no database, no Prefect."""
    from flows.pair import PairSettings, colorize_pair

    written = colorize_pair(
        PairSettings(
            target=target,
            reference=reference,
            output=output,
            size=size,
            attention=attention.value,
            device=device,
            format=format.value if format else None,
        )
    )
    print(written.path)
