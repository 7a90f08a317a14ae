"""The tables. Anything that an auditor asks for is a column; only open-ended mappings are JSON.

`item` what was found in archives; `reference` the colour pictures, `reference_tag` the words they are sorted by,
`reference_parts` what their places look like;
`run` one pass over an archive; `match` the candidates of each item; `colorization` what became of each item in a
run, `shot` how each shot of a film was colorized, `copy` the outputs in further formats; `stage_timing` where the
time went; `review` what people decided; `event` the chain that makes later changes of the records show; `fixity` when
which file was last found as it was. The views for auditors are in `migrations`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.database.base import Base as Base
from storage.database.base import one_of
from storage.database.evidence_models import Event as Event
from storage.database.evidence_models import Fixity as Fixity
from storage.database.evidence_models import Review as Review
from storage.database.types import Id, JsonObject, MessageText


class Item(Base):
    """A photograph, a page of a multi-page file or a film, at `archive`/`path`; facts as last seen."""

    __tablename__ = "item"
    __table_args__ = (
        sa.UniqueConstraint("archive", "path", "page"),
        one_of("kind", ("photograph", "page", "film"), "kind"),
        sa.CheckConstraint("page >= 1", name="page"),
        sa.Index(None, "sha256"),
        sa.Index(None, "path"),  # what is asked about one picture, in whatever archive
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    archive: Mapped[str]
    path: Mapped[str]
    page: Mapped[int] = mapped_column(server_default="1")
    kind: Mapped[str]
    format: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    channels: Mapped[int | None]
    bit_depth: Mapped[int | None]
    frames: Mapped[int | None]
    duration_seconds: Mapped[float | None]
    size_bytes: Mapped[int]
    mtime_ns: Mapped[int]
    sha256: Mapped[str | None]
    first_seen_at: Mapped[datetime]
    examined_at: Mapped[datetime]


class Run(Base):
    """One pass over an archive into an output folder; the counts grow while it runs."""

    __tablename__ = "run"
    __table_args__ = (
        one_of(
            "state",
            ("running", "completed", "completed_with_failures", "interrupted", "crashed", "failed"),
            "state",
        ),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="ended"),
        sa.Index(None, "flow_run_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    flow_run_id: Mapped[str | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    seconds: Mapped[float | None]
    state: Mapped[str]
    archive: Mapped[str]
    output_root: Mapped[str]
    references_root: Mapped[str]
    items: Mapped[int] = mapped_column(server_default="0")
    done: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    skipped: Mapped[int] = mapped_column(server_default="0")
    code_version: Mapped[str]
    weights_sha256: Mapped[str]
    index_version: Mapped[str | None]
    device: Mapped[str]
    precision: Mapped[str]
    hostname: Mapped[str]
    pid: Mapped[int]
    library_versions: Mapped[Mapping[str, Any]] = mapped_column(JsonObject)
    parameters: Mapped[Mapping[str, Any]] = mapped_column(JsonObject)
    message: Mapped[str | None] = mapped_column(MessageText)


class Reference(Base):
    """A colour picture with given content at `library`/`path`.

    If the file changes, its row is retired and a new one made, so that what was once matched can always be
    named by its digest. `embedding` is little-endian float32. `change` counts the changes of a library: of all its
    rows those with a higher one were written later; what only describes a picture does not count.

    `created` is the date or era as it was written, `year_first` to `year_last` (both included) what was understood of
    it. `metadata_read` says that the file itself was asked for what describes it. `near_duplicate_of` is the oldest
    reference that shows nearly the same.
    """

    __tablename__ = "reference"
    __table_args__ = (
        one_of("state", ("active", "retired", "failed"), "state"),
        sa.CheckConstraint(
            "state <> 'active' OR (sha256 IS NOT NULL AND embedding IS NOT NULL AND embedding_version IS NOT NULL)",
            name="active_complete",
        ),
        sa.Index(
            "uq_reference_library_path_live",
            "library",
            "path",
            unique=True,
            sqlite_where=sa.text("state <> 'retired'"),
            postgresql_where=sa.text("state <> 'retired'"),
        ),
        sa.Index(None, "library", "path"),
        sa.Index(None, "library", "change"),
        sa.Index(None, "sha256"),
        sa.Index(None, "added_by_run_id"),
        sa.Index(
            "ix_reference_near_duplicate_of",
            "near_duplicate_of",
            sqlite_where=sa.text("near_duplicate_of IS NOT NULL"),
            postgresql_where=sa.text("near_duplicate_of IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    library: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    size_bytes: Mapped[int | None]
    mtime_ns: Mapped[int | None]
    state: Mapped[str]
    error_type: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(MessageText)
    embedding_version: Mapped[str | None]
    embedding: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    added_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    added_by_run_id: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("run.id"))
    change: Mapped[int] = mapped_column(server_default="0")
    caption: Mapped[str | None] = mapped_column(MessageText)
    rights: Mapped[str | None] = mapped_column(MessageText)
    creator: Mapped[str | None] = mapped_column(MessageText)
    created: Mapped[str | None] = mapped_column(MessageText)
    year_first: Mapped[int | None]
    year_last: Mapped[int | None]
    metadata_read: Mapped[bool] = mapped_column(server_default=sa.false())
    near_duplicate_of: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("reference.id"))


class ReferenceTag(Base):
    """A word that a reference is sorted by."""

    __tablename__ = "reference_tag"
    __table_args__ = (sa.Index(None, "tag", "reference_id"),)

    reference_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("reference.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(MessageText, primary_key=True)


class ReferenceParts(Base):
    """What the places of a reference look like, as `version` codes it; apart, so that `reference` stays short."""

    __tablename__ = "reference_parts"

    reference_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("reference.id"), primary_key=True)
    version: Mapped[str]
    parts: Mapped[bytes] = mapped_column(sa.LargeBinary)


class Match(Base):
    """One candidate reference for an item in a run, `rank` from 1; `shot` 0: for the whole item.

    `confidence` is how far its score is to be trusted, 0 to 1.
    """

    __tablename__ = "match"
    __table_args__ = (
        sa.UniqueConstraint("run_id", "item_id", "shot", "rank"),
        sa.Index(None, "item_id"),
        sa.Index(None, "reference_id"),
        sa.CheckConstraint("rank >= 1", name="rank"),
        sa.CheckConstraint("shot >= 0", name="shot"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("run.id"))
    item_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("item.id"))
    reference_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("reference.id"))
    shot: Mapped[int] = mapped_column(server_default="0")
    rank: Mapped[int]
    score: Mapped[float]
    chosen: Mapped[bool]
    confidence: Mapped[float | None]


class Colorization(Base):
    """What became of an item in a run.

    For an item and an output folder at most one row is current (`superseded_at` is NULL): the one whose
    output lies in the folder. Digests and paths of source and reference are copied, as they may change later.
    `low_match` says that `match_confidence`, of the reference taken, lay below the run's threshold.
    `reference_choice` is how the reference was come by; NULL where nobody noted it. `network_size` is the long side, in
    pixels, at which the network worked. `kept_path` is where the output of a superseded row was moved to, if it was.
    """

    __tablename__ = "colorization"
    __table_args__ = (
        sa.UniqueConstraint("run_id", "item_id"),
        one_of("state", ("done", "failed", "skipped"), "state"),
        one_of("reference_choice", ("retrieved", "pinned", "self"), "reference_choice"),
        sa.CheckConstraint(
            "state <> 'done' OR (output_path IS NOT NULL AND output_sha256 IS NOT NULL)",
            name="done_has_output",
        ),
        sa.CheckConstraint(
            "state <> 'failed' OR (stage IS NOT NULL AND error_type IS NOT NULL AND message IS NOT NULL)",
            name="failed_has_reason",
        ),
        sa.Index(
            "uq_colorization_item_id_output_root_current",
            "item_id",
            "output_root",
            unique=True,
            sqlite_where=sa.text("superseded_at IS NULL"),
            postgresql_where=sa.text("superseded_at IS NULL"),
        ),
        sa.Index(None, "item_id"),
        # audit_reference reads of photographs this index alone, audit_failure of one run only its failures.
        sa.Index("ix_colorization_reference_id", "reference_id", "state", "reference_score", "confidence"),
        sa.Index(
            "ix_colorization_run_id_failed",
            "run_id",
            sqlite_where=sa.text("state = 'failed'"),
            postgresql_where=sa.text("state = 'failed'"),
        ),
        sa.Index(None, "output_sha256"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("run.id"))
    item_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("item.id"))
    reference_id: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("reference.id"))
    state: Mapped[str]
    request_key: Mapped[str | None]
    source_sha256: Mapped[str | None]
    reference_path: Mapped[str | None]
    reference_sha256: Mapped[str | None]
    reference_score: Mapped[float | None]
    reference_rank: Mapped[int | None]
    output_root: Mapped[str]
    output_path: Mapped[str | None]
    output_sha256: Mapped[str | None]
    output_bytes: Mapped[int | None]
    output_format: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    bit_depth: Mapped[int | None]
    frames: Mapped[int | None]
    weights_sha256: Mapped[str]
    index_version: Mapped[str | None]
    device: Mapped[str]
    precision: Mapped[str]
    confidence: Mapped[float | None]
    seconds: Mapped[float | None]
    peak_memory_bytes: Mapped[int | None]
    started_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    stage: Mapped[str | None]
    error_type: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(MessageText)
    superseded_at: Mapped[datetime | None]
    match_confidence: Mapped[float | None]
    low_match: Mapped[bool | None]
    reference_choice: Mapped[str | None]
    network_size: Mapped[int | None]
    kept_path: Mapped[str | None]


class Shot(Base):
    """How one shot of a film was colorized; `number` from 1, frames from 0, the last one included.

    The reference that a person gave has no rank; path and digest of the reference are copied, as in `colorization`.
    """

    __tablename__ = "shot"
    __table_args__ = (
        sa.UniqueConstraint("colorization_id", "number"),
        sa.CheckConstraint("number >= 1", name="number"),
        sa.CheckConstraint("0 <= first_frame AND first_frame <= last_frame", name="first_last"),
        sa.CheckConstraint("frames = last_frame - first_frame + 1", name="frames"),
        one_of("reference_choice", ("retrieved", "given", "pinned", "self"), "reference_choice"),
        sa.Index(None, "run_id"),
        # audit_reference reads this index alone.
        sa.Index("ix_shot_reference_id", "reference_id", "colorization_id", "reference_score", "confidence"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("run.id"))
    colorization_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("colorization.id"))
    number: Mapped[int]
    first_frame: Mapped[int]
    last_frame: Mapped[int]
    frames: Mapped[int]
    cut_score: Mapped[float | None]
    reference_id: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("reference.id"))
    reference_path: Mapped[str | None]
    reference_sha256: Mapped[str | None]
    reference_score: Mapped[float | None]
    reference_rank: Mapped[int | None]
    reference_choice: Mapped[str]
    confidence: Mapped[float | None]
    flicker: Mapped[float | None]
    fps: Mapped[float | None]
    seconds: Mapped[float | None]
    seconds_read: Mapped[float | None]
    seconds_network: Mapped[float | None]
    seconds_motion: Mapped[float | None]
    seconds_chroma: Mapped[float | None]
    seconds_write: Mapped[float | None]
    shown_frame: Mapped[int | None]
    match_confidence: Mapped[float | None]
    low_match: Mapped[bool | None]


class Copy(Base):
    """A further output of a colorization, in another format, below the same output folder."""

    __tablename__ = "copy"
    __table_args__ = (sa.UniqueConstraint("colorization_id", "output_path"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    colorization_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("colorization.id"))
    output_path: Mapped[str]
    output_sha256: Mapped[str]
    output_bytes: Mapped[int]
    output_format: Mapped[str]


class StageTiming(Base):
    """Seconds of one stage for `items` items together; without a colorization it belongs to the whole run."""

    __tablename__ = "stage_timing"
    __table_args__ = (
        sa.CheckConstraint("items >= 0", name="items"),
        sa.Index(None, "run_id", "stage"),
        sa.Index(None, "colorization_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("run.id"))
    colorization_id: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("colorization.id"))
    stage: Mapped[str]
    seconds: Mapped[float]
    items: Mapped[int] = mapped_column(server_default="1")
