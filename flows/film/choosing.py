"""Which reference each shot of a film gets: what a person gave, else what retrieval finds for its typical frames."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from flows.engine import Engine
from flows.errors import UsageError
from flows.failures import ItemFailure, LowMatch
from flows.film.analysis import FilmAnalysis
from flows.film.given import GivenReferences
from flows.naming import reference_text
from storage.database import Database
from storage.film import Shot, read_luma

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Match, Reference, ReferenceLibrary

GIVEN_INDEX = ".archive-colorizer/given"
"""In the output folder; can be thrown away."""


@dataclass(frozen=True, slots=True)
class ShotReference:
    """The reference of one shot; score, rank and candidates are there only for one that was retrieved."""

    reference: "Reference"
    path_text: str
    """As the database has it, relative to the reference's own library."""
    choice: Literal["retrieved", "given"]
    matches: "tuple[Match, ...]" = ()
    low_match: bool | None = None
    """Whether the match confidence lies below the run's threshold; None for a reference that was given."""

    @property
    def score(self) -> float | None:
        """Of the match, 0..1."""
        return self.matches[0].score if self.matches else None

    @property
    def match_confidence(self) -> float | None:
        """How far the score is to be trusted, 0..1."""
        return self.matches[0].confidence if self.matches else None

    @property
    def rank(self) -> int | None:
        """Among the candidates, from 1."""
        return self.matches[0].rank if self.matches else None


class ShotReferences:
    """Chooses references for the shots of a run's films."""

    def __init__(
        self, engine: Engine, library: "ReferenceLibrary", database: Database, given: GivenReferences, run_id: int
    ) -> None:
        self._engine = engine
        self._library = library
        self._given = given
        self._known = _record_given(engine, database, given, run_id)

    @property
    def index_version(self) -> str:
        """Of the library that is searched."""
        return self._library.index_version

    def choose(self, film: str, analysis: FilmAnalysis, shot: Shot) -> ShotReference:
        """The reference for a shot of the film with this path in the archive.

        Raises:
            ItemFailure: `no_reference`.
            LowMatch: the best is doubtful, and such films are to be left out.
            UnreadableFilm: its frames cannot be read again.
        """
        picture = self._given.for_shot(film, shot)
        if picture is not None:
            return self._known[picture]
        candidates = self._search([_picture_of(analysis, number) for number in shot.typical])
        if not candidates:
            raise ItemFailure("no_reference", f"{film}: no reference was found; add colour photographs")
        best, settings = candidates[0], self._engine.settings
        is_low_match = best.confidence < settings.low_match
        if is_low_match and settings.skip_low_match:
            frames = f"{film}, frames {shot.first} to {shot.last}"
            raise LowMatch(frames, best.confidence, settings.low_match)
        text = reference_text(best.reference.path, settings.references)
        return ShotReference(best.reference, text, "retrieved", candidates, is_low_match)

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


def _record_given(engine: Engine, database: Database, given: GivenReferences, run_id: int) -> dict[Path, ShotReference]:
    """Put the given pictures on record, each folder as a library of its own: they are not searched."""
    from retrieval import ReferenceLibrary

    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    for picture in given.pictures:
        by_folder[picture.parent.resolve()].append(picture)
    known: dict[Path, ShotReference] = {}
    for folder, pictures in by_folder.items():
        index = engine.settings.output / GIVEN_INDEX
        library = ReferenceLibrary(database, index, engine.embedder, library_root=folder, run_id=run_id)
        report = library.add(pictures)
        if report.failed:
            raise UsageError(f"the reference given cannot be used: {report.failed[0].message}")
        by_name = {reference.path.name: reference for reference in library.list()}
        for picture in pictures:
            known[picture] = ShotReference(by_name[picture.name], reference_text(picture, folder), "given")
    return known
