"""The records of what people decided; conventions are those of `storage.database.records`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ReviewDecision = Literal["approved", "rejected", "replaced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedItem:
    """A colorization that counts, as a person is to look at it, with its latest review (None: nobody has)."""

    colorization_id: int
    run_id: int
    item_id: int
    archive: str
    path: str
    page: int
    kind: Literal["photograph", "page", "film"]
    output_root: str
    output_path: str
    confidence: float | None
    match_confidence: float | None
    low_match: bool | None
    reference_id: int | None
    reference_path: str | None
    review: ReviewDecision | None
    reviewer: str | None
    reason: str | None
    reviewed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """The reference that a person chose for an item in place of another; of a film perhaps only for one `shot`."""

    path: str
    page: int
    kind: Literal["photograph", "page", "film"]
    shot: int | None
    reference_id: int
    reference_library: str
    reference_path: str
    reference_sha256: str | None
