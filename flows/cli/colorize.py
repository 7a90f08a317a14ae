"""`archive-colorizer colorize`: one photograph or film with one reference."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import options
from flows.cli.options import Attention, OutputFormat
from flows.errors import UsageError
from storage.paths import path_to_text

if TYPE_CHECKING:
    from flows.pair import PairSettings

FILM_SUFFIXES = (".mkv", ".mp4", ".mov")
SUFFIXES = {
    ".tif": OutputFormat.TIFF,
    ".tiff": OutputFormat.TIFF,
    ".png": OutputFormat.PNG,
    ".jp2": OutputFormat.JP2,
}


def colorize(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The photograph or film to colorize.")],
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
            help="The copy to write: .tif, .png, .jp2, or .jpg for access; of a film .mkv (FFV1), .mp4 (H.264), "
            ".mov (ProRes).",
        ),
    ],
    size: options.NetworkSize = 512,
    attention: options.NetworkAttention = Attention.SPARSE,
    device: options.NetworkDevice = "auto",
    format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            envvar="ARCHIVE_COLORIZER_FORMAT",
            help="File format of a photograph's copy (default: as the output's name ends).",
        ),
    ] = None,
    steady: Annotated[
        bool,
        typer.Option(
            "--steady/--frame-by-frame",
            envvar="ARCHIVE_COLORIZER_STEADY",
            help="Carry a film's colours from frame to frame.",
        ),
    ] = True,
) -> None:
    """Colorize one photograph or film with one reference; no database, no Prefect."""
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
        steady=steady,
    )
    if output.suffix.lower() in FILM_SUFFIXES:
        print(path_to_text(_colorize_film(settings)))
        return
    with loading_networks():
        written = colorize_pair(settings)
    print(path_to_text(written.path))


def _colorize_film(settings: "PairSettings") -> Path:
    from flows.engine import loading_networks, resolve_device
    from flows.film.single import colorize_film
    from flows.progress import shown
    from sscn import Colorizer

    with loading_networks():
        colorizer = Colorizer.from_pretrained(
            "default", device=resolve_device(settings.device), attention=settings.attention, size=settings.size
        )
    with shown() as progress:
        return colorize_film(settings, colorizer, progress).path
