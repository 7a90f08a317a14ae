"""Reviews: what people decided about colorizations. Every decision is kept, the latest counts.

What is still to be looked at: `storage.database.review_queue`.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import events
from storage.database.connection import Database
from storage.database.models import Colorization, Item, Reference, Review
from storage.database.records import Replacement, ReviewDecision
from storage.database.types import now


def decide(
    db: Database,
    colorization_id: int,
    decision: ReviewDecision,
    *,
    reviewer: str,
    reason: str | None = None,
    reference_id: int | None = None,
    shot: int | None = None,
    at: datetime | None = None,
) -> int:
    """Record a decision; its id.

    Args:
        reference_id: the other reference, of a result that is `replaced`.
        shot: of a film, if only that one is replaced.
    """
    row: dict[str, Any] = {
        "colorization_id": colorization_id,
        "decision": decision,
        "reason": reason,
        "reviewer": reviewer,
        "at": at or now(),
        "reference_id": reference_id,
        "shot": shot,
    }
    identity = ("colorization_id", "decision", "reviewer", "at")

    def work(session: Session) -> int:
        # If the connection broke during an earlier attempt's commit, the row may be there.
        found = session.scalar(sa.select(Review.id).where(*(getattr(Review, name) == row[name] for name in identity)))
        if found is not None:
            return found
        id_ = session.scalars(sa.insert(Review).returning(Review.id), row).one()
        events.append(
            session,
            events.REVIEWED,
            agent=reviewer,
            outcome=decision,
            run_id=session.scalar(sa.select(Colorization.run_id).where(Colorization.id == colorization_id)),
            colorization_id=colorization_id,
            message=reason,
            sealed={"review": [id_]},
            at=row["at"],
        )
        return id_

    return db.run_write(work)


def replacements(db: Database, output_root: str, archive: str) -> list[Replacement]:
    """The references that people chose in place of others, the latest for each item and shot; by path, page, shot."""
    query = (
        sa.select(
            Item.path,
            Item.page,
            Item.kind,
            Review.shot,
            Review.reference_id,
            Reference.library.label("reference_library"),
            Reference.path.label("reference_path"),
            Reference.sha256.label("reference_sha256"),
        )
        .select_from(Review)
        .join(Colorization, Colorization.id == Review.colorization_id)
        .join(Item, Item.id == Colorization.item_id)
        .join(Reference, Reference.id == Review.reference_id)
        .where(Review.reference_id.is_not(None), Colorization.output_root == output_root, Item.archive == archive)
        .order_by(Review.at, Review.id)
    )

    def work(session: Session) -> list[Replacement]:
        latest: dict[tuple[str, int, int | None], Replacement] = {}
        for row in session.execute(query).mappings():
            one = Replacement(**row)
            if one.shot is None:  # of the whole item: what was said of its shots before does not count any more
                latest = {key: kept for key, kept in latest.items() if key[:2] != (one.path, one.page)}
            latest[one.path, one.page, one.shot] = one
        return sorted(latest.values(), key=lambda one: (one.path, one.page, one.shot or 0))

    return db.run_read(work)
