"""What is found out about a film before anything is colorized: its facts, every frame's time and digest, its shots."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from storage.film import (
    FilmFacts,
    Frames,
    Shot,
    detect_fields,
    probe,
    refuse_interlaced,
    survey,
)

if TYPE_CHECKING:  # see flows.engine
    from sscn.video import SampleCoding

SEGMENT_FRAMES = 96
"""A crash loses no more of a film than this."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of one shot that becomes one segment; `shot` counts from 1, the frames are the film's own numbers."""

    shot: int
    number: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def name(self) -> str:
        """Sorts as the film runs."""
        return f"shot-{self.shot:05}-{self.number:05}"


@dataclass(frozen=True, slots=True)
class FilmAnalysis:
    """A film that can be decoded from its first to its last frame."""

    path: Path
    facts: FilmFacts
    frames: Frames
    shots: tuple[Shot, ...]

    def parts(self, shot: int | None = None) -> list[Part]:
        """The segments to be made (of one shot, by its number from 1), in order. A segment never crosses a cut."""
        numbers = range(1, len(self.shots) + 1) if shot is None else [shot]
        return [part for number in numbers for part in _parts(number, self.shots[number - 1])]

    @property
    def coding(self) -> "SampleCoding":
        """What the numbers of its planes mean.

        Raises:
            SscnError: its colour matrix is not handled.
        """
        from sscn.video import SampleCoding

        return SampleCoding(self.facts.bit_depth, self.facts.full_range, self.facts.matrix)


def analyse(path: Path, *, sequence_rate: Fraction, shot_threshold: float) -> FilmAnalysis:
    """Look at every frame of a film.

    Args:
        sequence_rate: frames a second of a folder of frames.
        shot_threshold: percent of change that counts as a cut, see `storage.film.survey`.

    Raises:
        UnreadableFilm: it is not a film, is damaged anywhere, or is interlaced.
    """
    facts = detect_fields(path, probe(path, sequence_rate=sequence_rate))
    refuse_interlaced(facts)
    found = survey(path, facts, shot_threshold)
    return FilmAnalysis(path, facts, found.frames, found.shots)


def _parts(number: int, shot: Shot) -> list[Part]:
    starts = range(shot.first, shot.last + 1, SEGMENT_FRAMES)
    return [
        Part(number, place, first, min(first + SEGMENT_FRAMES - 1, shot.last))
        for place, first in enumerate(starts, start=1)
    ]
