"""Reviews: what people decided about colorizations. Every decision is kept, the latest counts."""

from datetime import datetime

import sqlalchemy as sa

from storage.database.connection import Database
from storage.database.models import Review
from storage.database.records import ReviewDecision
from storage.database.types import now


def decide(
    db: Database,
    colorization_id: int,
    decision: ReviewDecision,
    *,
    reviewer: str,
    reason: str | None = None,
    at: datetime | None = None,
) -> int:
    """Record a decision; its id."""
    row = {
        "colorization_id": colorization_id,
        "decision": decision,
        "reason": reason,
        "reviewer": reviewer,
        "at": at or now(),
    }
    return db.run_write(lambda session: session.scalars(sa.insert(Review).returning(Review.id), row).one())
