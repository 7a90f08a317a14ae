"""What is known of a film between its jobs, which may be done by different processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flows.chosen import ChosenReference
from flows.film.analysis import FilmAnalysis


@dataclass(frozen=True, slots=True)
class FilmState:
    """Grows from job to job; `add` puts together what several found out.

    `references` are those of the shots, by their numbers from 1; `seconds` those of the stages that concern the film as
    a whole; `smaller` says that it is made at half the size, since the memory does not suffice for the full one.
    """

    analysis: FilmAnalysis | None = None
    references: Mapping[int, ChosenReference] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    started_at: datetime | None = None
    smaller: bool = False

    def of_shots(self, shots: range) -> "FilmState":
        """What a job needs that makes these shots; its seconds begin anew."""
        references = {number: self.references[number] for number in shots if number in self.references}
        return FilmState(self.analysis, references, {}, self.started_at, self.smaller)

    def add(self, other: "FilmState") -> "FilmState":
        """This with what another job found out."""
        seconds = dict(self.seconds)
        for stage, value in other.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + value
        return FilmState(
            self.analysis or other.analysis,
            {**self.references, **other.references},
            seconds,
            self.started_at or other.started_at,
            self.smaller,
        )
