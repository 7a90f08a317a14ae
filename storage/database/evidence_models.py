"""The tables of what is said about the records afterwards: decisions of people, events, fixity of files."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.database.base import Base, one_of
from storage.database.types import Id, MessageText


class Review(Base):
    """A person's decision on a colorization; the latest counts, all are kept.

    `replaced`: it was made again from the reference `reference_id`; of a film perhaps only its shot `shot`.
    """

    __tablename__ = "review"
    __table_args__ = (
        one_of("decision", ("approved", "rejected", "replaced"), "decision"),
        sa.CheckConstraint("(decision = 'replaced') = (reference_id IS NOT NULL)", name="replaced_by"),
        sa.Index(None, "colorization_id", "at"),
        sa.Index(
            "ix_review_reference_id",
            "reference_id",
            sqlite_where=sa.text("reference_id IS NOT NULL"),
            postgresql_where=sa.text("reference_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    colorization_id: Mapped[int] = mapped_column(Id, sa.ForeignKey("colorization.id"))
    decision: Mapped[str]
    reason: Mapped[str | None] = mapped_column(MessageText)
    reviewer: Mapped[str]
    at: Mapped[datetime]
    reference_id: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("reference.id"))
    shot: Mapped[int | None]


class Event(Base):
    """Something that happened to the records, written once: rows can be added, not changed or removed.

    `id` counts from 1 without a gap. `records` says, as JSON, which rows of other tables had which digest then
    (`storage.database.seals`). `sha256` is that of everything here together with that of the event before it.
    """

    __tablename__ = "event"
    __table_args__ = (
        sa.Index(None, "run_id"),
        sa.Index(None, "colorization_id"),
        sa.Index(None, "type"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    type: Mapped[str]
    outcome: Mapped[str | None]
    agent: Mapped[str] = mapped_column(MessageText)
    run_id: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("run.id"))
    colorization_id: Mapped[int | None] = mapped_column(Id, sa.ForeignKey("colorization.id"))
    message: Mapped[str | None] = mapped_column(MessageText)
    records: Mapped[str | None]
    previous_sha256: Mapped[str | None]
    sha256: Mapped[str]


class Fixity(Base):
    """What a file was found to be when it was last hashed; `path` is absolute."""

    __tablename__ = "fixity"
    __table_args__ = (
        sa.UniqueConstraint("what", "path"),
        one_of("what", ("source", "output", "reference"), "what"),
        one_of("finding", ("intact", "changed", "missing", "unreadable", "unknown"), "finding"),
        sa.Index(None, "checked_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    what: Mapped[str]
    path: Mapped[str]
    finding: Mapped[str]
    expected_sha256: Mapped[str | None]
    found_sha256: Mapped[str | None]
    checked_at: Mapped[datetime]
