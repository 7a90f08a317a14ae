"""The work of a run in small pieces: batches of photographs, documents, films."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from flows.batch import BatchWorker
from flows.choosing import PhotographReferences
from flows.destination import Destination
from flows.documents.job import DocumentTools
from flows.documents.steps import document_steps
from flows.encoded_references import EncodedReferences
from flows.engine import Engine
from flows.film.choosing import ByHand, ShotReferences
from flows.film.job import FilmTools
from flows.film.steps import film_steps
from flows.planning import Plan, cut_into_batches
from flows.progress import Progress
from flows.report.gallery import gallery_folder
from flows.report.thumbnails import ThumbnailFolder
from flows.step import Step
from flows.variety import Variety
from storage.database import Database, colorizations
from storage.database.records import ItemOutcome
from storage.decoding import Decoder
from storage.paths import path_to_text

if TYPE_CHECKING:  # see flows.engine
    from retrieval import SearchableLibrary


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where outcomes go: `record` puts them into the database, the others count one that is recorded.

    Photographs move the progress, too; documents and films do so before they are done.
    """

    record: Callable[[Sequence[ItemOutcome]], None]
    photograph_done: Callable[[ItemOutcome], None]
    work_done: Callable[[ItemOutcome], None]
    progress: Progress


def make_steps(
    plan: Plan,
    engine: Engine,
    decoder: Decoder,
    library: "SearchableLibrary",
    by_hand: ByHand,
    database: Database,
    run_id: int,
    reporting: Reporting,
) -> list[Step]:
    """The steps that colorize the pending items, to be done in order.

    Raises:
        UsageError: a reference given for films cannot be used.
    """
    settings = engine.settings
    archive, output = settings.archive, settings.output
    destination = Destination(archive, output, partial(colorizations.is_output, database, path_to_text(output)))
    thumbnails = ThumbnailFolder(gallery_folder(output, run_id))
    pending = plan.pending
    photographs = [item for item in pending if item.kind == "photograph"]
    pages = [item for item in pending if item.kind == "page"]
    films = [item for item in pending if item.kind == "film"]
    finished = {path: reference_id for (path, _), reference_id in plan.finished.items() if reference_id is not None}
    variety = Variety(settings.variety, settings.low_match, finished)
    references = PhotographReferences(engine, library, by_hand.pinned, variety)
    worker = BatchWorker(engine, decoder, references, archive, destination, thumbnails)
    steps: list[Step] = [
        partial(worker.run, batch, reporting.record, reporting.photograph_done)
        for batch in cut_into_batches(photographs, settings.batch_size)
    ]
    document_tools = DocumentTools(engine, decoder, worker, archive, output, destination, thumbnails)
    for _, document in groupby(pages, key=lambda item: item.path):
        steps += document_steps(document_tools, [*document], reporting.record, reporting.work_done, reporting.progress)
    if films:
        shot_references = ShotReferences(engine, library, database, by_hand, run_id)
        encoded = EncodedReferences(decoder)
        tools = FilmTools(
            engine, shot_references, encoded, archive, output, destination, thumbnails, reporting.progress
        )
        for film in films:
            steps += film_steps(tools, film, reporting.record, reporting.work_done)
    return steps
