"""The work of a run in small pieces: batches of photographs, films."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flows.batch import BatchWorker
from flows.choosing import PhotographReferences
from flows.destination import Destination
from flows.encoded_references import EncodedReferences
from flows.engine import Engine
from flows.film.choosing import ByHand, ShotReferences
from flows.film.job import FilmTools
from flows.film.steps import Step, film_steps
from flows.planning import Plan, cut_into_batches
from flows.progress import Progress
from flows.report.gallery import gallery_folder
from flows.report.thumbnails import ThumbnailFolder
from flows.variety import Variety
from storage.database import Database, colorizations
from storage.database.records import ItemOutcome
from storage.paths import path_to_text

if TYPE_CHECKING:  # see flows.engine
    from retrieval import SearchableLibrary


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where outcomes go: `record` puts them into the database, the others count one that is recorded."""

    record: Callable[[Sequence[ItemOutcome]], None]
    photograph_done: Callable[[ItemOutcome], None]
    film_done: Callable[[ItemOutcome], None]
    progress: Progress


def make_steps(
    plan: Plan,
    engine: Engine,
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
    photographs = [item for item in pending if item.kind != "film"]
    films = [item for item in pending if item.kind == "film"]
    finished = {path: reference_id for path, reference_id in plan.finished.items() if reference_id is not None}
    variety = Variety(settings.variety, settings.low_match, finished)
    references = PhotographReferences(engine, library, by_hand.pinned, variety)
    worker = BatchWorker(engine, references, archive, destination, thumbnails)
    steps: list[Step] = [
        partial(worker.run, batch, reporting.record, reporting.photograph_done)
        for batch in cut_into_batches(photographs, settings.batch_size)
    ]
    if films:
        shot_references = ShotReferences(engine, library, database, by_hand, run_id)
        tools = FilmTools(
            engine, shot_references, EncodedReferences(), archive, output, destination, thumbnails, reporting.progress
        )
        for film in films:
            steps += film_steps(tools, film, reporting.record, reporting.film_done)
    return steps
