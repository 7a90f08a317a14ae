"""`archive-colorizer demo`: the bundled archive, end to end."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import options


def demo(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="DIR",
            envvar="ARCHIVE_COLORIZER_OUTPUT",
            help="Folder for the colorized copies and the gallery.",
        ),
    ] = Path("demo-output"),
    size: options.Size = None,
    device: options.Device = None,
    format: options.Formats = None,
    film_format: options.FilmFormats = None,
    prefect: options.Prefect = None,
) -> int:
    """Colorize the bundled demo archive, and show the result table and where the gallery lies."""
    given = dict(locals())
    from importlib.resources import as_file, files

    from flows.launch import launch
    from flows.settings import default_database, run_settings

    # never into the database, nor from the folders, that the environment names for the real archive
    given["database"] = default_database(output.expanduser())
    with as_file(files("flows") / "demo") as folder:
        folders = {"archive": folder / "archive", "references": folder / "references"}
        return int(launch(run_settings(given | folders)).exit_code)
