"""What the gallery shows of a run beside its items: seconds by stage, and what people decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from storage.database import Database, audit
from storage.database.records import ReviewDecision


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """What a stage took for all items together, and for the middle one."""

    stage: str
    items: int
    seconds: float
    median: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on a colorization; of a film perhaps only on one `shot`."""

    decision: ReviewDecision
    reviewer: str | None
    reason: str | None
    at: datetime
    other_reference_path: str | None = None
    shot: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Stages, the longest first; decisions by colorization, the latest first."""

    stages: tuple[StageSeconds, ...] = ()
    decisions: Mapping[int, tuple[Decision, ...]] = field(default_factory=dict)

    def decision(self, colorization_id: int, shot: int | None = None) -> Decision | None:
        """What counts now for a colorization (None: nobody has looked), or for one of its shots."""
        made = self.decisions.get(colorization_id, ())
        return next((one for one in made if shot is None or one.shot in (None, shot)), None)


def read_evidence(database: Database, run_id: int) -> Evidence:
    """The evidence of one run."""
    stages = tuple(
        StageSeconds(
            str(row["stage"]), _whole(row["items"]), _number(row["seconds_total"]), _number(row["seconds_median"])
        )
        for row in audit.rows(database, "audit_runtime", run_id)
    )
    decisions: dict[int, list[Decision]] = {}
    rows = audit.rows(database, "audit_review", run_id)
    for row in sorted(rows, key=lambda row: (cast(datetime, row["at"]), _whole(row["review_id"])), reverse=True):
        decisions.setdefault(_whole(row["colorization_id"]), []).append(
            Decision(
                decision=cast(ReviewDecision, row["decision"]),
                reviewer=cast("str | None", row["reviewer"]),
                reason=cast("str | None", row["reason"]),
                at=cast(datetime, row["at"]),
                other_reference_path=cast("str | None", row["other_reference_path"]),
                shot=cast("int | None", row["shot"]),
            )
        )
    return Evidence(stages, {id_: tuple(made) for id_, made in decisions.items()})


def _number(value: object) -> float:
    return float(cast(float, value or 0))


def _whole(value: object) -> int:
    return int(cast(int, value or 0))
