"""Index: the references of a run, in its own database with a FAISS index beside it, or in a library of their own."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.engine import Engine
from flows.errors import UsageError
from flows.filters import told
from flows.progress import Progress
from flows.settings import RunSettings
from storage.database import Database
from storage.decoding import Decoder

if TYPE_CHECKING:  # see flows.engine
    from retrieval import BorrowedLibrary, ReferenceLibrary, SearchableLibrary

INDEX_FOLDER = ".archive-colorizer/index"  # in the output folder; can be thrown away, it is made again
_FAILURES_SHOWN = 10


def index_references(
    settings: RunSettings, database: Database, engine: Engine, decoder: Decoder, progress: Progress, run_id: int
) -> tuple["SearchableLibrary", int]:
    """Make the references ready to be searched; only new or changed pictures are embedded. Close the library.

    The references folder holds pictures, or is a library (`archive-colorizer references`), searched where it is.
    Broken references are recorded as found by this run and named, and do not stop it. Returns also how many references
    were handled.

    Raises:
        UsageError: not one reference can be used, or the filter leaves none.
    """
    from retrieval import BorrowedLibrary

    progress.say(f"looking through the references {settings.references}")
    library = open_references(settings, database, engine, decoder, run_id)
    if isinstance(library, BorrowedLibrary):
        return _usable(library, settings, engine), len(library)
    report = library.add([settings.references], progress=counted(progress, "references"))
    for failed in report.failed[:_FAILURES_SHOWN]:
        progress.say(f"reference left out: {failed.message}")
    if len(report.failed) > _FAILURES_SHOWN:
        progress.say(f"... and {len(report.failed) - _FAILURES_SHOWN} more references left out")
    handled = report.added + report.unchanged + report.left_out + len(report.failed)
    return _usable(library, settings, engine), handled


def open_references(
    settings: RunSettings, database: Database, engine: Engine, decoder: Decoder, run_id: int
) -> "ReferenceLibrary | BorrowedLibrary":
    """The references as they are on record, without looking through their folder. Close the library."""
    from retrieval import BorrowedLibrary, ReferenceLibrary

    if ReferenceLibrary.is_library(settings.references):
        return BorrowedLibrary(settings.references, engine.embedder, database, run_id, read=decoder.read)
    return ReferenceLibrary(
        database,
        settings.output / INDEX_FOLDER,
        engine.embedder,
        library_root=settings.references,
        run_id=run_id,
        read=decoder.read,
    )


def _usable(library: "SearchableLibrary", settings: RunSettings, engine: Engine) -> "SearchableLibrary":
    """The library, in which there is something to be found."""
    problem = ""
    if len(library) == 0:
        problem = f"no usable reference in {settings.references}; put colour photographs there"
    elif engine.where is not None and len(library.allowed(engine.where)) == 0:
        problem = (
            f"no reference in {settings.references} passes {told(settings)}; loosen that, or describe the references"
            " (`references add --metadata`)"
        )
    if problem:
        library.close()
        raise UsageError(problem)
    return library


def counted(progress: Progress, unit: str) -> Callable[[int, int], None]:
    """A callback (handled so far, files found) that moves our progress display."""

    def advance(handled: int, found: int) -> None:
        if handled == 1:
            progress.begin(found, unit)
        progress.advance()

    return advance
