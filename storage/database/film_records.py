"""The records of a film's shots, and of the further copies of a colorization; see `storage.database.records`."""

from dataclasses import dataclass
from typing import Literal

ReferenceChoice = Literal["retrieved", "given", "pinned", "self"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRecord:
    """One shot of a film's colorization: one `shot` row.

    `number` counts from 1, frames from 0; `first_frame` and `last_frame` both belong to the shot, which has
    `frames` = last_frame - first_frame + 1 of them. `cut_score` is how clearly the shot begins (None for the
    first); `shown_frame` stands for the shot in the gallery. The reference was `retrieved` from the library, `given`
    by a person with the film (then it has no rank), `pinned` by one to a picture of the library, or is the film's
    own (`self`). `reference_path` is relative to the library of `reference_id`, or
    absolute if there is none. `reference_score` and `confidence` are 0..1, `flicker` the mean |ab change| where
    luma is still (None where nothing is). `match_confidence` (0..1) is how far the score is to be trusted,
    `low_match` that this lay below the run's threshold; a given reference has neither. `fps` are the frames
    colorized a second; the seconds of the stages run side by side, so that they may come to more than `seconds`.

    Raises:
        ValueError: the frames are none, or not those between the first and the last.
    """

    number: int
    first_frame: int
    last_frame: int
    frames: int
    cut_score: float | None = None
    reference_id: int | None = None
    reference_path: str | None = None
    reference_sha256: str | None = None
    reference_score: float | None = None
    reference_rank: int | None = None
    reference_choice: ReferenceChoice = "retrieved"
    confidence: float | None = None
    flicker: float | None = None
    fps: float | None = None
    seconds: float | None = None
    seconds_read: float | None = None
    seconds_network: float | None = None
    seconds_motion: float | None = None
    seconds_chroma: float | None = None
    seconds_write: float | None = None
    shown_frame: int | None = None
    match_confidence: float | None = None
    low_match: bool | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.first_frame <= self.last_frame or self.frames != self.last_frame - self.first_frame + 1:
            raise ValueError(
                f"shot {self.number} cannot have {self.frames} frames from {self.first_frame} to {self.last_frame}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedShot(ShotRecord):
    """A shot as the database has it; `reference_library` is what `reference_path` is relative to."""

    reference_library: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecord:
    """A further output of a colorization beside its main one, in the same output folder: one `copy` row."""

    output_path: str
    output_sha256: str
    output_bytes: int
    output_format: str


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """A reference as a file to be hashed again; `path` is relative to `library`, or absolute if that is None."""

    library: str | None
    path: str
    sha256: str
