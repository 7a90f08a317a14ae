"""What is recorded of a finished film: its colorization, its shots, the candidates of each, its copies."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.chosen import ChosenReference
from flows.film.analysis import FilmAnalysis
from flows.film.workfolder import PartRecord
from flows.planning import PendingItem
from flows.stopwatch import Stopwatch
from storage.database.records import CopyRecord, ItemOutcome, ShotRecord, StageTiming
from storage.film import OutputFormat, Shot

if TYPE_CHECKING:  # see flows.engine
    from sscn import Colorizer


@dataclass(frozen=True, slots=True)
class CopyMade:
    """A joined film. `path` is relative to the output folder, as text."""

    format: OutputFormat
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ShotMade:
    """A shot all of whose segments are there."""

    number: int
    shot: Shot
    reference: ChosenReference
    parts: tuple[PartRecord, ...]

    @property
    def shown_frame(self) -> int:
        """The frame that stands for it in the gallery."""
        return self.shot.typical[len(self.shot.typical) // 2]

    @property
    def confidence(self) -> float:
        """Mean over its frames, 0..1."""
        return sum(part.confidence * part.frames for part in self.parts) / len(self.shot)

    @property
    def flicker(self) -> float | None:
        """Mean change of a* and b* from frame to frame where the film holds still; None if it never does."""
        frames = sum(part.flicker_frames for part in self.parts)
        total = sum((part.flicker or 0.0) * part.flicker_frames for part in self.parts)
        return total / frames if frames else None

    @property
    def wall_seconds(self) -> float:
        """From its first frame to its last; stages run beside each other."""
        return sum(part.wall_seconds for part in self.parts)

    def seconds(self, stage: str) -> float:
        """Seconds of one stage."""
        return sum(part.seconds.get(stage, 0.0) for part in self.parts)


def film_outcome(
    item: PendingItem,
    analysis: FilmAnalysis,
    colorizer: "Colorizer",
    made: Sequence[ShotMade],
    copies: Sequence[CopyMade],
    watch: Stopwatch,
) -> ItemOutcome:
    """The outcome of a film that is done. Its reference is the one that most of its frames have.

    It is a low match if one of its shots is.
    """
    frames = len(analysis.frames)
    weights: Counter[int] = Counter()
    for shot in made:
        weights[shot.reference.reference.id] += len(shot.shot)
    (main_id, _), *_ = weights.most_common(1)
    main = next(shot.reference for shot in made if shot.reference.reference.id == main_id)
    retrieved = [shot for shot in made if shot.reference.choice == "retrieved"]
    first, *further = copies
    stages = {stage: sum(shot.seconds(stage) for shot in made) for stage in _stages(made)}
    film_wide = watch.timings()
    return ItemOutcome(
        item_id=item.item_id,
        state="done",
        reference_id=main_id,
        reference_path=main.path_text,
        reference_sha256=main.reference.sha256,
        reference_score=main.score,
        reference_rank=main.rank,
        reference_choice=None if main.choice == "given" else main.choice,
        match_confidence=main.match_confidence,
        low_match=any(shot.reference.low_match for shot in made) if retrieved else None,
        output_path=first.path,
        output_sha256=first.sha256,
        output_bytes=first.size_bytes,
        output_format=first.format.name,
        width=analysis.facts.width,
        height=analysis.facts.height,
        bit_depth=first.format.bit_depth,
        frames=frames,
        network_size=int(colorizer.parameters["size"]),
        confidence=sum(shot.confidence * len(shot.shot) for shot in made) / frames,
        seconds=watch.total + sum(shot.wall_seconds for shot in made),
        matches=tuple(record for shot in made for record in shot.reference.match_records(shot.number)),
        timings=(*film_wide, *(StageTiming(stage=stage, seconds=seconds) for stage, seconds in stages.items())),
        shots=tuple(_shot_record(shot) for shot in made),
        copies=tuple(
            CopyRecord(
                output_path=copy.path,
                output_sha256=copy.sha256,
                output_bytes=copy.size_bytes,
                output_format=copy.format.name,
            )
            for copy in further
        ),
    )


def _stages(made: Sequence[ShotMade]) -> list[str]:
    return list(dict.fromkeys(stage for shot in made for part in shot.parts for stage in part.seconds))


def _shot_record(made: ShotMade) -> ShotRecord:
    reference, shot = made.reference, made.shot
    return ShotRecord(
        number=made.number,
        first_frame=shot.first,
        last_frame=shot.last,
        frames=len(shot),
        cut_score=shot.score if made.number > 1 else None,
        reference_id=reference.reference.id,
        reference_path=reference.path_text,
        reference_sha256=reference.reference.sha256,
        reference_score=reference.score,
        reference_rank=reference.rank,
        reference_choice=reference.choice,
        confidence=made.confidence,
        flicker=made.flicker,
        fps=len(shot) / made.wall_seconds if made.wall_seconds else None,
        seconds=made.wall_seconds,
        seconds_read=made.seconds("read"),
        seconds_network=made.seconds("network"),
        seconds_motion=made.seconds("motion"),
        seconds_chroma=made.seconds("chroma"),
        seconds_write=made.seconds("write"),
        shown_frame=made.shown_frame,
        match_confidence=reference.match_confidence,
        low_match=reference.low_match,
    )
