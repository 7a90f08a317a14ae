"""Index: the references of a run in its own database, with vectors, and in a FAISS index beside it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.engine import Engine
from flows.errors import UsageError
from flows.filters import told
from flows.progress import Progress
from flows.settings import RunSettings
from storage.database import Database

if TYPE_CHECKING:  # see flows.engine
    from retrieval import ReferenceLibrary

INDEX_FOLDER = ".archive-colorizer/index"  # in the output folder; can be thrown away, it is made again
_FAILURES_SHOWN = 10


def index_references(
    settings: RunSettings, database: Database, engine: Engine, progress: Progress, run_id: int
) -> tuple["ReferenceLibrary", int]:
    """Bring the references into the database; only new or changed pictures are embedded.

    The references folder holds pictures, or is a library (`archive-colorizer references`) whose vectors are taken over.
    Broken references are recorded as found by this run and named, and do not stop it. Returns also how many references
    were handled.

    Raises:
        UsageError: not one reference can be used, or the filter leaves none.
    """
    from retrieval import ReferenceLibrary

    progress.say(f"looking through the references {settings.references}")
    library = ReferenceLibrary(
        database, settings.output / INDEX_FOLDER, engine.embedder, library_root=settings.references, run_id=run_id
    )
    if library.is_library(settings.references):
        report = library.import_from(settings.references)
    else:
        report = library.add([settings.references], progress=counted(progress, "references"))
    for failed in report.failed[:_FAILURES_SHOWN]:
        progress.say(f"reference left out: {failed.message}")
    if len(report.failed) > _FAILURES_SHOWN:
        progress.say(f"... and {len(report.failed) - _FAILURES_SHOWN} more references left out")
    if len(library) == 0:
        raise UsageError(f"no usable reference in {settings.references}; put colour photographs there")
    if engine.where is not None and len(library.allowed(engine.where)) == 0:
        raise UsageError(
            f"no reference in {settings.references} passes {told(settings)}; loosen that, or describe the references"
            " (`references add --metadata`)"
        )
    return library, report.added + report.unchanged + report.left_out + len(report.failed)


def counted(progress: Progress, unit: str) -> Callable[[int, int], None]:
    """A callback (handled so far, files found) that moves our progress display."""

    def advance(handled: int, found: int) -> None:
        if handled == 1:
            progress.begin(found, unit)
        progress.advance()

    return advance
