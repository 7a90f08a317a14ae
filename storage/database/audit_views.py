"""The audit views as the program reads them: their columns, the order to read them in, what they can be filtered by."""

from dataclasses import dataclass
from typing import Any, get_args

import sqlalchemy as sa

from storage.database.records import ColorizationState, ReviewDecision, RunState
from storage.database.types import JsonObject, UtcDateTime

_TIME: Any = UtcDateTime()
_FLAG: Any = sa.Boolean()


@dataclass(frozen=True, slots=True)
class View:
    """An audit view; the fields after `order` name the column that a filter looks at, None where there is none."""

    table: sa.TableClause
    order: tuple[str, ...]
    """Columns, `-` before those that fall: newest first, and within a run as a person looks for things."""
    time: str | None = None
    state: str | None = None
    states: tuple[str, ...] | None = None
    """What `state` can be; None: anything."""
    confidence: str | None = None
    reference: tuple[str, str, str] | None = None
    """Its id, path and digest."""

    @property
    def columns(self) -> list[str]:
        """All columns, in their promised order."""
        return [column.name for column in self.table.columns]


def _columns(name: str, columns: str, **types: Any) -> sa.TableClause:
    return sa.table(name, *(sa.column(column, types.get(column)) for column in columns.split()))


_REFERENCE = ("reference_id", "reference_path", "reference_sha256")

VIEWS = {
    "audit_run": View(
        _columns(
            "audit_run",
            "run_id flow_run_id started_at ended_at state items done failed skipped seconds code_version"
            " weights_sha256 parameters",
            started_at=_TIME,
            ended_at=_TIME,
            parameters=JsonObject,
        ),
        order=("-run_id",),
        time="started_at",
        state="state",
        states=get_args(RunState),
    ),
    "audit_item": View(
        _columns(
            "audit_item",
            "run_id path kind page state reference_path reference_score reference_rank confidence output_path"
            " source_sha256 output_sha256 reference_sha256 weights_sha256 index_version device seconds review"
            " created_at match_confidence low_match reference_choice item_id colorization_id archive output_root"
            " superseded_at reference_id",
            created_at=_TIME,
            superseded_at=_TIME,
            low_match=_FLAG,
        ),
        order=("-run_id", "path", "page"),
        time="created_at",
        state="state",
        states=get_args(ColorizationState),
        confidence="confidence",
        reference=_REFERENCE,
    ),
    "audit_output": View(
        _columns(
            "audit_output",
            "colorization_id run_id item_id archive path kind page output_root output_path output_format output_sha256"
            " output_bytes source_sha256 reference_id reference_path reference_sha256 reference_score reference_rank"
            " reference_choice match_confidence index_version weights_sha256 code_version parameters network_size"
            " device precision library_versions started_at ended_at seconds peak_memory_bytes confidence review"
            " superseded_at kept_path",
            parameters=JsonObject,
            library_versions=JsonObject,
            started_at=_TIME,
            ended_at=_TIME,
            superseded_at=_TIME,
        ),
        order=("-run_id", "path", "page", "output_path"),
        time="ended_at",
        confidence="confidence",
        reference=_REFERENCE,
    ),
    "audit_stage": View(
        _columns("audit_stage", "run_id colorization_id path page stage seconds"),
        order=("-run_id", "path", "page", "-seconds"),
    ),
    "audit_review": View(
        _columns(
            "audit_review",
            "review_id colorization_id run_id path page decision reason reviewer at other_reference_path shot",
            at=_TIME,
        ),
        order=("-review_id",),
        time="at",
        state="decision",
        states=get_args(ReviewDecision),
    ),
    "audit_event": View(
        _columns("audit_event", "event_id at type outcome agent run_id path page message sha256", at=_TIME),
        order=("-event_id",),
        time="at",
        state="type",
    ),
    "audit_fixity": View(
        _columns("audit_fixity", "what path finding expected_sha256 found_sha256 checked_at", checked_at=_TIME),
        order=("path", "what"),
        time="checked_at",
        state="finding",
        states=("intact", "changed", "missing", "unreadable", "unknown"),
    ),
    "audit_shot": View(
        _columns(
            "audit_shot",
            "run_id path shot first_frame last_frame frames cut_score reference_path reference_sha256 reference_score"
            " reference_rank reference_choice confidence flicker fps seconds seconds_read seconds_network"
            " seconds_motion seconds_chroma seconds_write output_path match_confidence low_match",
            low_match=_FLAG,
        ),
        order=("-run_id", "path", "shot"),
        confidence="confidence",
        reference=("", "reference_path", "reference_sha256"),
    ),
    "audit_failure": View(
        _columns("audit_failure", "run_id path stage error_type message at", at=_TIME),
        order=("-run_id", "path", "at"),
        time="at",
    ),
    "audit_reference": View(
        _columns(
            "audit_reference",
            "reference_id path sha256 times_used mean_score mean_confidence caption rights creator created",
        ),
        order=("-times_used", "path", "reference_id"),
        confidence="mean_confidence",
        reference=("reference_id", "path", "sha256"),
    ),
    "audit_runtime": View(
        _columns("audit_runtime", "run_id stage items seconds_total seconds_median seconds_p95"),
        order=("-run_id", "-seconds_total", "stage"),
    ),
}


def view(name: str) -> View:
    """An audit view by its name.

    Raises:
        ValueError: there is none.
    """
    if name not in VIEWS:
        raise ValueError(f"there is no audit view '{name}'; there are {', '.join(VIEWS)}")
    return VIEWS[name]
