"""Which reference each shot of a film gets: what a person gave, else what retrieval finds for its typical frames."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from flows.engine import Engine
from flows.errors import UsageError
from flows.failures import ItemFailure
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

    @property
    def score(self) -> float | None:
        """Of the match, 0..1."""
        return self.matches[0].score if self.matches else None

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
            UnreadableFilm: its frames cannot be read again.
        """
        picture = self._given.for_shot(film, shot)
        if picture is not None:
            return self._known[picture]
        candidates = self._search([_picture_of(analysis, number) for number in shot.typical])
        if not candidates:
            raise ItemFailure("no_reference", f"{film}: no reference was found; add colour photographs")
        best = candidates[0].reference
        text = reference_text(best.path, self._engine.settings.references)
        return ShotReference(best, text, "retrieved", candidates)

    def _search(self, pictures: Sequence[NDArray[np.uint8]]) -> "tuple[Match, ...]":
        """The candidates of several frames together, ordered by their mean score."""
        wanted = self._engine.settings.candidates
        found = self._library.search_vectors(self._engine.embedder.embed([*pictures]), wanted)
        together = {match.reference.id: match for matches in found for match in reversed(matches)}
        scores: defaultdict[int, list[float]] = defaultdict(list)
        for picture in pictures:
            for match in self._library.rerank(picture, [*together.values()]):
                scores[match.reference.id].append(match.score)
        means = {number: sum(values) / len(pictures) for number, values in scores.items()}
        ordered = sorted(means, key=lambda number: (-means[number], number))[:wanted]
        return tuple(
            replace(together[number], score=means[number], rank=rank) for rank, number in enumerate(ordered, start=1)
        )


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
