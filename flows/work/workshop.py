"""A workshop: everything a process needs to do jobs of a run. One for a process, so that the networks load once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from flows.batch import BatchWorker
from flows.choosing import PhotographReferences
from flows.destination import Destination
from flows.documents.job import DocumentTools
from flows.encoded_references import EncodedReferences
from flows.engine import Engine, with_threads
from flows.errors import EnvironmentProblem
from flows.film.choosing import ByHand, ShotReferences
from flows.film.given import GivenReferences
from flows.film.job import FilmTools
from flows.logs import run_logs
from flows.pins import PinnedReferences, Pins
from flows.progress import Progress
from flows.reference_index import open_references
from flows.report.gallery import gallery_folder
from flows.report.thumbnails import ThumbnailFolder
from flows.variety import Variety
from flows.version import code_version
from flows.work.order import Order
from storage.database import Database, colorizations, open_database
from storage.database.records import ItemOutcome
from storage.decoding import Decoder
from storage.paths import path_to_text

if TYPE_CHECKING:  # see flows.engine
    from retrieval import SearchableLibrary


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a workshop tells what it does.

    `through` is told of each photograph that has its outcome, `ended` of each page and film, whose progress is told
    before that; `recording` of the seconds that the database took.
    """

    progress: Progress
    through: Callable[[ItemOutcome], None]
    ended: Callable[[ItemOutcome], None]
    recording: Callable[[float], None]


class Workshop:
    """The tools of one process for one run.

    Args:
        library: what is searched; it stays the caller's to close, as engine, decoder and database do.
        by_hand: what people chose.
    """

    def __init__(
        self,
        order: Order,
        engine: Engine,
        decoder: Decoder,
        library: "SearchableLibrary",
        by_hand: ByHand,
        database: Database,
        reports: Reports,
    ) -> None:
        self.order = order
        self.reports = reports
        self._engine = engine
        self._decoder = decoder
        self._library = library
        self._by_hand = by_hand
        self._database = database
        settings = order.settings
        is_output = partial(colorizations.is_output, database, path_to_text(settings.output))
        self._destination = Destination(settings.archive, settings.output, is_output)
        self._thumbnails = ThumbnailFolder(gallery_folder(settings.output, order.run_id))

    @property
    def batch_size(self) -> int:
        """Photographs or pages in one job."""
        return self.order.settings.batch_size

    @cached_property
    def photographs(self) -> BatchWorker:
        """Does photographs and pages."""
        settings = self.order.settings
        variety = Variety(settings.variety, settings.low_match, self.order.finished)
        references = PhotographReferences(self._engine, self._library, self._by_hand.pinned, variety)
        return BatchWorker(
            self._engine, self._decoder, references, settings.archive, self._destination, self._thumbnails
        )

    @cached_property
    def documents(self) -> DocumentTools:
        """What documents are made with."""
        settings = self.order.settings
        return DocumentTools(
            self._engine,
            self._decoder,
            self.photographs,
            settings.archive,
            settings.output,
            self._destination,
            self._thumbnails,
        )

    @cached_property
    def films(self) -> FilmTools:
        """What films are made with.

        Raises:
            UsageError: a reference given for films cannot be used.
        """
        settings = self.order.settings
        references = ShotReferences(self._engine, self._library, self._database, self._by_hand, self.order.run_id)
        return FilmTools(
            self._engine,
            references,
            EncodedReferences(self._decoder),
            settings.archive,
            settings.output,
            self._destination,
            self._thumbnails,
            self.reports.progress,
        )

    def record(self, outcomes: Sequence[ItemOutcome]) -> None:
        """Put outcomes into the database.

        Raises:
            DatabaseError: it is away.
        """
        start = time.monotonic()
        colorizations.record(self._database, self.order.run_id, outcomes)
        self.reports.recording(time.monotonic() - start)

    def recorded(self, item_ids: Sequence[int]) -> list[ItemOutcome]:
        """What this run has recorded of some items already, as a worker did that was killed then."""
        return colorizations.recorded(self._database, self.order.run_id, item_ids)


@contextmanager
def open_workshop(order: Order, reports: Reports) -> Iterator[Workshop]:
    """A workshop in a process of its own, with networks, database and references that it opens itself.

    Raises:
        EnvironmentProblem: this machine does not see what the run is about, or has another version of the program.
        DatabaseError, UsageError: as a run.
    """
    settings = order.settings
    if code_version() != order.code_version:
        raise EnvironmentProblem(
            f"a worker has version {code_version()} of this program, the run {order.code_version}; install the same"
        )
    for folder in (settings.archive, settings.references, settings.output):
        if not folder.is_dir():
            raise EnvironmentProblem(f"a worker does not see the folder {folder}; mount it there at the same place")
    with (
        run_logs(settings.log, form=settings.log_form, run=order.run_id),
        with_threads(order.threads),
        open_database(settings.database_url) as database,
        Decoder() as decoder,
    ):
        engine = Engine.load(settings)
        library = open_references(settings, database, engine, decoder, order.run_id)
        try:
            given, pins = GivenReferences.read(settings.reference), Pins.read(settings, database)
            by_hand = ByHand(given, PinnedReferences(pins, library))
            yield Workshop(order, engine, decoder, library, by_hand, database, reports)
        finally:
            library.close()
