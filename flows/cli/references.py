"""`archive-colorizer references`: a reference library that runs can share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import options
from flows.listing import ListingFormat
from storage.paths import path_to_text

if TYPE_CHECKING:
    from retrieval import ReferenceLibrary

app = typer.Typer(help="Build and search a reference library.", no_args_is_help=True)

CHECK_COLUMNS = ("figure", "value", "unit")
Library = Annotated[
    Path,
    typer.Option("--library", metavar="DIR", envvar="ARCHIVE_COLORIZER_LIBRARY", help="Folder of the library."),
]


@app.command("add")
def add(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of colour photographs, or one photograph.")],
    library: Library,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata",
            metavar="FILE",
            envvar="ARCHIVE_COLORIZER_METADATA",
            help="CSV that describes them: path, caption, rights, creator, date, tags (with semicolons).",
        ),
    ] = None,
    device: options.NetworkDevice = "auto",
) -> int:
    """Take pictures into the library; only what is new or changed is read. Makes the library if there is none."""
    from flows.errors import ExitCode, UsageError

    if not folder.exists():  # before a library is made for it
        raise UsageError(f"{path_to_text(folder)} does not exist; check the path")
    if metadata is not None and not metadata.is_file():
        raise UsageError(f"the table {path_to_text(metadata)} does not exist; check the path")
    from flows.progress import shown
    from flows.reference_index import counted

    with _opened(library, device, create=True) as opened, shown(sys.stderr) as progress:
        report = opened.add([folder], progress=counted(progress, "references"))
        table = opened.describe(metadata, folder if folder.is_dir() else folder.parent) if metadata else None
    for failed in report.failed:
        print(f"left out: {failed.message}", file=sys.stderr)
    print(f"{report.added} added, {report.unchanged} unchanged, {len(report.failed)} left out")
    if table is not None:
        for line in (*table.notes, *table.problems):
            print(line, file=sys.stderr)
        print(f"{table.described} described, {table.changed} of them anew, {len(table.problems)} problems")
    return int(ExitCode.ITEMS_FAILED if report.failed or (table and table.problems) else ExitCode.DONE)


@app.command("list")
def list_references(
    library: Library,
    rights: options.Rights = None,
    tags: options.Tags = None,
    years: options.Years = None,
    only_references: options.OnlyReferences = None,
    never_references: options.NeverReferences = None,
    format: options.Listing = ListingFormat.TABLE,
) -> None:
    """List the references, or those that pass the conditions."""
    given = dict(locals())
    from flows.filters import reference_filter
    from flows.listing import print_rows
    from flows.reference_listing import columns, listed
    from flows.settings import filter_settings
    from storage.database import open_database, sqlite_url

    where = reference_filter(filter_settings(given), library)
    # the rows alone: no network is loaded, and no index looked at
    with open_database(sqlite_url(_database_of(library)), create=False) as database:
        print_rows(listed(database, library, where, format), columns(format), format)


@app.command("search")
def search(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photograph to find references for.")],
    library: Library,
    k: Annotated[int, typer.Option("-k", min=1, envvar="ARCHIVE_COLORIZER_K", help="How many.")] = 5,
    rights: options.Rights = None,
    tags: options.Tags = None,
    years: options.Years = None,
    only_references: options.OnlyReferences = None,
    never_references: options.NeverReferences = None,
    format: options.Listing = ListingFormat.TABLE,
    device: options.NetworkDevice = "auto",
) -> None:
    """Find the references that resemble a photograph most, among those that pass the conditions."""
    given = dict(locals())
    from flows.errors import UsageError
    from flows.filters import reference_filter, told
    from flows.listing import print_rows
    from flows.settings import filter_settings
    from storage.images import read_master

    if not image.is_file():
        raise UsageError(f"the photograph {path_to_text(image)} does not exist; check the path")
    settings = filter_settings(given)
    where = reference_filter(settings, library)
    pixels = read_master(image).preview
    with _opened(library, device) as opened:
        if where is not None and len(opened.allowed(where)) == 0:
            raise UsageError(f"no reference in {path_to_text(library)} passes {told(settings)}; loosen that")
        rows = [
            {
                "rank": match.rank,
                "score": match.score,
                "confidence": match.confidence,
                "id": match.reference.id,
                "path": path_to_text(match.reference.path),
                "sha256": match.reference.sha256,
            }
            for match in opened.search(pixels, k=k, where=where)
        ]
    print_rows(rows, ("rank", "score", "confidence", "id", "path", "sha256"), format)


@app.command("remove")
def remove(
    reference: Annotated[int, typer.Argument(metavar="ID", help="The reference's id, see `references list`.")],
    library: Library,
    device: options.NetworkDevice = "auto",
) -> None:
    """Take a reference out of the library; its file stays."""
    with _opened(library, device) as opened:
        opened.remove(reference)
    print(f"reference {reference} removed from the library; the file stays where it is")


@app.command("rebuild")
def rebuild(library: Library, device: options.NetworkDevice = "auto") -> None:
    """Build the search index again from the vectors in the database."""
    with _opened(library, device) as opened:
        opened.rebuild()
        print(f"index rebuilt: {opened.index_version}")


@app.command("check")
def check(
    library: Library,
    sample: Annotated[
        int,
        typer.Option(
            "--sample",
            envvar="ARCHIVE_COLORIZER_SAMPLE",
            metavar="N",
            min=1,
            help="References recall is measured with.",
        ),
    ] = 200,
    format: options.Listing = ListingFormat.TABLE,
    device: options.NetworkDevice = "auto",
) -> None:
    """Hold the search index against the database, and what it finds against comparing every vector."""
    from flows.errors import EnvironmentProblem
    from flows.listing import print_rows

    with _opened(library, device) as opened:
        found = opened.check(sample)
        version = opened.index_version
    rows: list[tuple[str, object, str]] = [
        ("references in use", found.references, ""),
        ("index", found.kind, f"{found.lists} lists, {found.probes} probed" if found.lists else "all compared"),
        ("index version", version, ""),
        ("not yet written to the index", found.unsaved, "references"),
        ("files of the index", found.disk_bytes / 1e6, "MB"),
        ("the database's own references", "yes" if found.agrees else "no", ""),
        ("recall of the ten nearest", found.recall, f"of those found by exact search, {found.sample} queries"),
        ("a query", 1000 * found.seconds, "ms"),
        ("a query, all compared", 1000 * found.exact_seconds, "ms"),
    ]
    print_rows([dict(zip(CHECK_COLUMNS, row, strict=True)) for row in rows], CHECK_COLUMNS, format)
    if not found.agrees:
        raise EnvironmentProblem(
            f"the search index of {path_to_text(library)} is not what its database says; run `references rebuild`"
        )


def _database_of(library: Path) -> Path:
    from flows.errors import UsageError
    from flows.settings import LIBRARY_DATABASE_NAME

    file = library / LIBRARY_DATABASE_NAME
    if not file.is_file():
        raise UsageError(f"there is no reference library in {library}; `references add` makes one")
    return file


@contextmanager
def _opened(library: Path, device: str, *, create: bool = False) -> Iterator["ReferenceLibrary"]:
    if not create:
        _database_of(library)
    from flows.engine import loading_networks, resolve_device
    from retrieval import ReferenceLibrary
    from storage.decoding import Decoder

    with Decoder() as decoder:
        with loading_networks():
            opened = ReferenceLibrary.open(library, device=resolve_device(device), read=decoder.read)
        with opened:
            yield opened
