"""The plain records that go into the provenance database and come out of it.

Conventions: paths are the reversible text of `storage.paths.path_to_text`; item, output and reference paths
are relative (POSIX) to the absolute root that is named beside them; digests are lower-case hex SHA-256; times
are timezone-aware (stored as UTC); durations are seconds; sizes are bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from storage.database.film_records import CopyRecord as CopyRecord
from storage.database.film_records import RecordedShot as RecordedShot
from storage.database.film_records import ReferenceChoice as ReferenceChoice
from storage.database.film_records import ReferenceFile as ReferenceFile
from storage.database.film_records import ShotRecord as ShotRecord
from storage.database.reference_records import FailedReferenceRecord as FailedReferenceRecord
from storage.database.reference_records import KnownReference as KnownReference
from storage.database.reference_records import ReferenceMetadata as ReferenceMetadata
from storage.database.reference_records import ReferenceRecord as ReferenceRecord
from storage.database.reference_records import ReferenceState as ReferenceState
from storage.database.review_records import Replacement as Replacement
from storage.database.review_records import ReviewDecision as ReviewDecision
from storage.database.review_records import ReviewedItem as ReviewedItem

Kind = Literal["photograph", "page", "film"]
ColorizationState = Literal["done", "failed", "skipped"]
RunState = Literal["running", "completed", "completed_with_failures", "interrupted", "crashed", "failed"]
ItemReferenceChoice = Literal["retrieved", "pinned", "self"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run at its start.

    `archive`, `output_root` and `references_root` are absolute. `parameters` is everything that changes
    pixels or choices, `library_versions` package name -> version. What is left None is filled in by
    `runs.start`: the clock, this host, this process.
    """

    archive: str
    output_root: str
    references_root: str
    code_version: str
    weights_sha256: str
    device: str
    precision: str
    index_version: str | None = None
    flow_run_id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    library_versions: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    hostname: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many items a run looked at, and what became of them."""

    items: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as the database has it; `ended_at` and `seconds` are None while it is running."""

    id: int
    flow_run_id: str | None
    started_at: datetime
    ended_at: datetime | None
    seconds: float | None
    state: RunState
    archive: str
    output_root: str
    references_root: str
    counts: RunCounts
    code_version: str
    weights_sha256: str
    index_version: str | None
    device: str
    precision: str
    hostname: str
    pid: int
    library_versions: Mapping[str, str]
    parameters: Mapping[str, Any]
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """One item found in an archive: a photograph, one page of a multi-page file, or a film.

    Facts that could not be found out (the file is damaged) are None; `bit_depth` is per channel. Only films
    have `frames` and `duration_seconds`.
    """

    archive: str
    path: str
    kind: Kind
    size_bytes: int
    mtime_ns: int
    page: int = 1
    format: str | None = None
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    bit_depth: int | None = None
    frames: int | None = None
    duration_seconds: float | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownItem:
    """An item that the database already has; size, time and digest tell whether the file changed."""

    id: int
    path: str
    page: int
    kind: Kind
    format: str | None
    width: int | None
    height: int | None
    channels: int | None
    bit_depth: int | None
    size_bytes: int
    mtime_ns: int
    sha256: str | None
    frames: int | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRecord:
    """One candidate reference of an item, or of one of its shots (`shot` from 1; 0: the whole item).

    `rank` is from 1, `score` in 0..1, `chosen` the one used, `confidence` (0..1) how far the score is to be trusted.
    """

    reference_id: int
    rank: int
    score: float
    chosen: bool = False
    shot: int = 0
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """Seconds spent in one stage for `items` items together."""

    stage: str
    seconds: float
    items: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome:
    """What became of one item in a run: one `colorization` row, and those of `match`, `stage_timing`, `shot`, `copy`.

    A `done` outcome needs output_path and output_sha256, a `failed` one stage, error_type and message.
    `request_key` is one digest over source sha256, reference choice, weights and parameters: equal key,
    equal output. `output_path` is relative to the run's output_root. `weights_sha256`, `index_version`,
    `device` and `precision` are the run's where they are None; `created_at` (the end) is now if None. Of a
    film, `frames` are those colorized, and the reference is the one that most of them have; `copies` are its
    outputs in further formats. `match_confidence` (0..1) is how far the reference's score is to be trusted,
    `low_match` that this lay below the run's threshold. `reference_choice` is how the reference was come by: found in
    the library, pinned to the item by a person, or the item's own colour. `network_size` is the long side, in pixels,
    at which the network worked.

    Raises:
        ValueError: a field that the state needs is missing.
    """

    item_id: int
    state: ColorizationState
    request_key: str | None = None
    source_sha256: str | None = None
    reference_id: int | None = None
    reference_path: str | None = None
    reference_sha256: str | None = None
    reference_score: float | None = None
    reference_rank: int | None = None
    output_path: str | None = None
    output_sha256: str | None = None
    output_bytes: int | None = None
    output_format: str | None = None
    width: int | None = None
    height: int | None = None
    bit_depth: int | None = None
    frames: int | None = None
    weights_sha256: str | None = None
    index_version: str | None = None
    device: str | None = None
    precision: str | None = None
    confidence: float | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    started_at: datetime | None = None
    created_at: datetime | None = None
    stage: str | None = None
    error_type: str | None = None
    message: str | None = None
    match_confidence: float | None = None
    low_match: bool | None = None
    reference_choice: ItemReferenceChoice | None = None
    network_size: int | None = None
    matches: tuple[MatchRecord, ...] = ()
    timings: tuple[StageTiming, ...] = ()
    shots: tuple[ShotRecord, ...] = ()
    copies: tuple[CopyRecord, ...] = ()

    def __post_init__(self) -> None:
        needed = {"done": ("output_path", "output_sha256"), "failed": ("stage", "error_type", "message")}
        missing = [name for name in needed.get(self.state, ()) if getattr(self, name) is None]
        if missing:
            lacks = ", ".join(missing)
            raise ValueError(f"the outcome of item {self.item_id} is {self.state} but lacks {lacks}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentColorization:
    """The colorization of an item that counts in one output folder: the newest that is not superseded.

    Nothing is missing if the main output and all `copies` (by path) are there.
    """

    id: int
    run_id: int
    item_id: int
    state: ColorizationState
    request_key: str | None
    source_sha256: str | None
    output_path: str | None
    output_sha256: str | None
    output_bytes: int | None
    stage: str | None
    error_type: str | None
    message: str | None
    created_at: datetime
    reference_id: int | None = None
    copies: tuple[CopyRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate reference of a recorded colorization, with where the picture lies (`library`/`path`).

    `shot` is the number of the shot it is for, 0 for the whole item.
    """

    reference_id: int
    library: str
    path: str
    sha256: str | None
    rank: int
    score: float
    chosen: bool
    shot: int = 0
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunColorization:
    """One colorization of a run with its item and its candidates: what a report shows.

    `candidates` are by shot and rank, `shots` by number, `copies` by path.
    """

    id: int
    run_id: int
    item_id: int
    archive: str
    path: str
    page: int
    kind: Kind
    state: ColorizationState
    request_key: str | None
    source_sha256: str | None
    reference_id: int | None
    reference_library: str | None
    reference_path: str | None
    reference_sha256: str | None
    reference_score: float | None
    reference_rank: int | None
    output_root: str
    output_path: str | None
    output_sha256: str | None
    output_bytes: int | None
    output_format: str | None
    width: int | None
    height: int | None
    bit_depth: int | None
    weights_sha256: str | None
    index_version: str | None
    device: str | None
    precision: str | None
    confidence: float | None
    seconds: float | None
    peak_memory_bytes: int | None
    started_at: datetime | None
    created_at: datetime
    stage: str | None
    error_type: str | None
    message: str | None
    superseded_at: datetime | None
    frames: int | None = None
    match_confidence: float | None = None
    low_match: bool | None = None
    reference_choice: ItemReferenceChoice | None = None
    network_size: int | None = None
    kept_path: str | None = None
    candidates: tuple[Candidate, ...] = ()
    shots: tuple[RecordedShot, ...] = ()
    copies: tuple[CopyRecord, ...] = ()
