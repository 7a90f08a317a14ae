"""`archive-colorizer export`: copies and their provenance in the forms that archives, viewers and programs take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import options
from flows.listing import ListingFormat

if TYPE_CHECKING:  # imports the database
    from flows.exports.report import ExportReport

app = typer.Typer(help="Hand copies and their provenance to others.", no_args_is_help=True)


@app.command("bag")
def bag(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that becomes the bag; it must be new.")],
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    run: options.RunId = None,
    organization: Annotated[
        str | None,
        typer.Option(
            "--organization",
            metavar="TEXT",
            envvar="ARCHIVE_COLORIZER_ORGANIZATION",
            help="Who hands the bag over (Source-Organization).",
        ),
    ] = None,
    identifier: Annotated[
        str | None,
        typer.Option("--identifier", metavar="TEXT", help="What the bag is called there (External-Identifier)."),
    ] = None,
    with_sources: Annotated[
        bool, typer.Option("--with-sources/--no-sources", help="Put the scans in too (default --no-sources).")
    ] = False,
    with_rejected: Annotated[bool, typer.Option("--with-rejected", help="Also what was rejected in a review.")] = False,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """A BagIt bag: copies, references, and PREMIS and tables that tell where they come from.

    Every file is compared with its recorded digest; what differs is left out and listed (exit code 2).
    """
    import sys

    from flows.existing import open_existing
    from flows.exports.bag import export_bag
    from flows.progress import shown
    from flows.selection import output_root

    with open_existing(database, output) as opened, shown(sys.stderr) as progress:
        report = export_bag(
            opened,
            output_root(opened, output),
            target,
            run,
            organization=organization,
            identifier=identifier,
            with_sources=with_sources,
            with_rejected=with_rejected,
            progress=progress,
        )
    return _told(report, format)


@app.command("premis")
def premis(
    target: Annotated[Path, typer.Argument(metavar="FILE.xml", help="The file to write.")],
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    run: options.RunId = None,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """Every file, where it came from and what was done to it, as PREMIS 3.0."""
    from flows.existing import open_existing
    from flows.exports.premis import export_premis
    from flows.selection import output_root

    with open_existing(database, output) as opened:
        report = export_premis(opened, output_root(opened, output), target, run)
    return _told(report, format)


@app.command("iiif")
def iiif(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write; it must be new.")],
    base_url: Annotated[
        str, typer.Option("--base-url", metavar="URL", help="Where the folder will be found in the web.")
    ],
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    run: options.RunId = None,
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="What the whole is called.")] = None,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """Scan and colorized copy side by side for viewers of the web, as IIIF Presentation 3.0."""
    from flows.existing import open_existing
    from flows.exports.iiif import export_iiif
    from flows.selection import output_root

    with open_existing(database, output) as opened:
        report = export_iiif(opened, output_root(opened, output), target, base_url, run, label)
    return _told(report, format)


@app.command("table")
def table(
    view: Annotated[str, typer.Argument(metavar="VIEW", help="An audit view: audit_item, or item for short.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write: .csv or .parquet.")],
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    run: options.RunId = None,
) -> int:
    """An audit view as CSV or Parquet, of any length."""
    from typing import Literal

    from flows.errors import UsageError
    from flows.existing import open_existing
    from flows.exports.table import export_table
    from storage.paths import path_to_text

    forms: dict[str, Literal["csv", "parquet"]] = {".csv": "csv", ".parquet": "parquet"}
    form = forms.get(target.suffix.lower())
    if form is None:
        raise UsageError(
            f"{path_to_text(target)}: the name says how the table is written; end it with .csv or .parquet"
        )
    name = view if view.startswith("audit_") else f"audit_{view}"
    with open_existing(database, output) as opened:
        report = export_table(opened, name, target, form, run)
    return _told(report, ListingFormat.TABLE)


@app.command("c2pa")
def c2pa(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for the signed copies.")],
    key: Annotated[
        Path,
        typer.Option("--key", metavar="PEM", envvar="ARCHIVE_COLORIZER_C2PA_KEY", help="The private key to sign with."),
    ],
    certificate: Annotated[
        Path,
        typer.Option(
            "--certificate",
            metavar="PEM",
            envvar="ARCHIVE_COLORIZER_C2PA_CERTIFICATE",
            help="Its certificate, followed by those above it.",
        ),
    ],
    algorithm: Annotated[
        str, typer.Option("--algorithm", metavar="NAME", help="How the key signs: es256, ps256, ed25519, ...")
    ] = "es256",
    timestamp_url: Annotated[
        str | None, typer.Option("--timestamp", metavar="URL", help="A time-stamping authority (RFC 3161) to ask.")
    ] = None,
    output: options.FoundOutput = None,
    database: options.FoundDatabase = None,
    run: options.RunId = None,
    format: options.Listing = ListingFormat.TABLE,
) -> int:
    """Signed copies of the copies, with C2PA content credentials; the copies themselves stay as they are."""
    from flows.existing import open_existing
    from flows.exports.c2pa import export_c2pa
    from flows.selection import output_root

    with open_existing(database, output) as opened:
        root = output_root(opened, output)
        report = export_c2pa(opened, root, target, key, certificate, algorithm, run, timestamp_url)
    return _told(report, format)


def _told(report: "ExportReport", form: ListingFormat) -> int:
    """Tell what came of it: what is missing on stdout, the rest on stderr; the exit code."""
    import sys

    from flows.exports.report import COLUMNS
    from flows.listing import print_rows

    if report.failures or form is not ListingFormat.TABLE:
        print_rows([failure.as_row() for failure in report.failures], COLUMNS, form)
    for note in report.notes:
        print(note, file=sys.stderr)
    if report.failures:
        print(f"{len(report.failures)} files are not in the export", file=sys.stderr)
    return int(report.exit_code)
