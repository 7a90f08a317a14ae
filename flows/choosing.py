"""Which reference a photograph gets."""

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from flows.chosen import ChosenReference
from flows.engine import Engine
from flows.failures import ItemFailure
from flows.naming import reference_text
from flows.pins import PinnedReferences
from flows.planning import PendingItem
from flows.stopwatch import Stopwatch
from flows.variety import Variety

if TYPE_CHECKING:  # see flows.engine
    from retrieval import SearchableLibrary


class ChoosesReferences(Protocol):
    """Gives every photograph and page its reference."""

    @property
    def index_version(self) -> str:
        """Of the library that is searched."""

    def choose(
        self, item: PendingItem, pixels: NDArray[np.uint8] | NDArray[np.uint16], watch: Stopwatch
    ) -> ChosenReference:
        """See `PhotographReferences.choose`."""

    def count(self, item: PendingItem, chosen: ChosenReference) -> None:
        """See `PhotographReferences.count`."""


class PhotographReferences:
    """Chooses references for the photographs of a run; to be asked in the order of their paths.

    Args:
        engine: with the embedder, the run's settings and its filter.
        library: what is searched.
        pinned: references that are taken without asking.
        variety: which of several good candidates is taken.
    """

    def __init__(
        self, engine: Engine, library: "SearchableLibrary", pinned: PinnedReferences, variety: Variety
    ) -> None:
        self._engine = engine
        self._library = library
        self._pinned = pinned
        self._variety = variety

    @property
    def index_version(self) -> str:
        """Of the library that is searched."""
        return self._library.index_version

    def choose(
        self, item: PendingItem, pixels: NDArray[np.uint8] | NDArray[np.uint16], watch: Stopwatch
    ) -> ChosenReference:
        """The reference for a photograph or page; `watch` is told the seconds of each stage.

        Raises:
            ItemFailure: `no_reference`.
        """
        settings = self._engine.settings
        with watch.stage("embed"):
            described = self._engine.embedder.describe([pixels])
        with watch.stage("search"):
            found = self._library.candidates(described, self._engine.where)
        with watch.stage("rerank"):
            matches = tuple(self._library.rerank(described, found, settings.candidates))
        pinned = self._pinned.of(item.path, item.page if item.kind == "page" else None)
        if pinned is not None:
            return ChosenReference(pinned, reference_text(pinned.path, settings.references), "pinned", matches)
        if not matches:
            raise ItemFailure("no_reference", f"{item.name}: no reference was found; add colour photographs")
        taken = self._variety.take(item.path, matches)
        text = reference_text(taken.reference.path, settings.references)
        is_low_match = taken.confidence < settings.low_match
        return ChosenReference(taken.reference, text, "retrieved", matches, is_low_match)

    def count(self, item: PendingItem, chosen: ChosenReference) -> None:
        """The photograph uses the reference that was chosen."""
        self._variety.count(item.path, chosen.reference.id)
