"""Which reference each shot of a film gets: what a person gave, else what retrieval finds for its typical frames."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from flows.chosen import ChosenReference
from flows.engine import Engine
from flows.errors import UsageError
from flows.failures import ItemFailure, LowMatch
from flows.film.analysis import FilmAnalysis
from flows.film.given import GivenReferences
from flows.naming import reference_text
from flows.pins import PinnedReferences
from storage.database import Database
from storage.film import read_luma

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Match, SearchableLibrary

GIVEN_INDEX = ".archive-colorizer/given"
"""In the output folder; can be thrown away."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """What people chose: pictures given for films, and pins. A pin wins."""

    given: GivenReferences
    pinned: PinnedReferences


class ChoosesShotReferences(Protocol):
    """Gives every shot of a film its reference."""

    @property
    def index_version(self) -> str:
        """Of the library that is searched."""

    def check(self, film: str, shots: int) -> None:
        """See `ShotReferences.check`."""

    def choose(self, film: str, analysis: FilmAnalysis, number: int) -> ChosenReference:
        """See `ShotReferences.choose`."""


class ShotReferences:
    """Chooses references for the shots of a run's films."""

    def __init__(
        self, engine: Engine, library: "SearchableLibrary", database: Database, by_hand: ByHand, run_id: int
    ) -> None:
        self._engine = engine
        self._library = library
        self._by_hand = by_hand
        self._known = _record_given(engine, database, by_hand.given, run_id)

    @property
    def index_version(self) -> str:
        """Of the library that is searched."""
        return self._library.index_version

    def check(self, film: str, shots: int) -> None:
        """The shots of a film that have pins must be among those that it has.

        Raises:
            ItemFailure: `no_such_shot`.
        """
        last = max(self._by_hand.pinned.parts_of(film), default=0)
        if last > shots:
            raise ItemFailure("no_such_shot", f"{film} has {shots} shots, but shot {last} is pinned; correct the pins")

    def choose(self, film: str, analysis: FilmAnalysis, number: int) -> ChosenReference:
        """The reference for a shot, by its number from 1, of the film with this path in the archive.

        Raises:
            ItemFailure: `no_reference`.
            LowMatch: the best is doubtful, and such films are to be left out.
            UnreadableFilm: its frames cannot be read again.
        """
        settings, shot = self._engine.settings, analysis.shots[number - 1]
        pinned = self._by_hand.pinned.of(film, number)
        picture = self._by_hand.given.for_shot(film, shot)
        if pinned is None and picture is not None:
            return self._known[picture]
        candidates = self._search([_picture_of(analysis, frame) for frame in shot.typical])
        if pinned is not None:
            text = reference_text(pinned.path, settings.references)
            return ChosenReference(pinned, text, "pinned", candidates)
        if not candidates:
            raise ItemFailure("no_reference", f"{film}: no reference was found; add colour photographs")
        best = candidates[0]
        is_low_match = best.confidence < settings.low_match
        if is_low_match and settings.skip_low_match:
            frames = f"{film}, frames {shot.first} to {shot.last}"
            raise LowMatch(frames, best.confidence, settings.low_match)
        text = reference_text(best.reference.path, settings.references)
        return ChosenReference(best.reference, text, "retrieved", candidates, is_low_match)

    def _search(self, pictures: Sequence[NDArray[np.uint8]]) -> "tuple[Match, ...]":
        """The candidates of several frames together, ordered by their mean score."""
        described = self._engine.embedder.describe([*pictures])
        found = self._library.candidates(described, self._engine.where)
        return tuple(self._library.rerank(described, found, self._engine.settings.candidates))


def _picture_of(analysis: FilmAnalysis, number: int) -> NDArray[np.uint8]:
    """A frame as a grey picture, (H, W)."""
    import torch

    luma = next(read_luma(analysis.path, analysis.facts, number, number, analysis.frames))
    signal = analysis.coding.signal(torch.from_numpy(luma.astype(np.int32)))
    grey: NDArray[np.uint8] = (signal * 255 + 0.5).byte().numpy()
    return grey


def _record_given(
    engine: Engine, database: Database, given: GivenReferences, run_id: int
) -> dict[Path, ChosenReference]:
    """Put the given pictures on record, each folder as a library of its own: they are not searched."""
    from retrieval import ReferenceLibrary

    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    for picture in given.pictures:
        by_folder[picture.parent.resolve()].append(picture)
    known: dict[Path, ChosenReference] = {}
    for folder, pictures in by_folder.items():
        index = engine.settings.output / GIVEN_INDEX
        library = ReferenceLibrary(database, index, engine.embedder, library_root=folder, run_id=run_id)
        report = library.add(pictures)
        if report.failed:
            raise UsageError(f"the reference given cannot be used: {report.failed[0].message}")
        by_name = {reference.path.name: reference for reference in library.list()}
        for picture in pictures:
            known[picture] = ChosenReference(by_name[picture.name], reference_text(picture, folder), "given")
    return known
