"""The reference that a photograph or a shot gets, how it was come by, and what else there was to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.database.records import MatchRecord, ReferenceChoice

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Match, Reference


@dataclass(frozen=True, slots=True)
class ChosenReference:
    """A reference with the candidates that were found; score and rank are there only if it is one of them."""

    reference: "Reference"
    path_text: str
    """As the database has it, relative to the reference's own library."""
    choice: ReferenceChoice
    matches: "tuple[Match, ...]" = ()
    low_match: bool | None = None
    """Whether the match confidence lies below the run's threshold; None for a reference that a person chose."""

    @property
    def match(self) -> "Match | None":
        """The candidate that it is."""
        return next((match for match in self.matches if match.reference.id == self.reference.id), None)

    @property
    def score(self) -> float | None:
        """Of the match, 0..1."""
        return self.match.score if self.match else None

    @property
    def match_confidence(self) -> float | None:
        """How far the score is to be trusted, 0..1."""
        return self.match.confidence if self.match else None

    @property
    def rank(self) -> int | None:
        """Among the candidates, from 1."""
        return self.match.rank if self.match else None

    def match_records(self, shot: int = 0) -> Sequence[MatchRecord]:
        """The candidates for the database."""
        return [
            MatchRecord(
                reference_id=match.reference.id,
                rank=match.rank,
                score=match.score,
                chosen=match.reference.id == self.reference.id,
                shot=shot,
                confidence=match.confidence,
            )
            for match in self.matches
        ]
