"""Evidence: a chain of events, fixity of files, results that people replaced.

Revision ID: 0005
Revises: 0004
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.database.migrations.views_0004 import VIEWS as VIEWS_0004
from storage.database.migrations.views_0005 import VIEWS

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Written out, not taken from the models: a released migration stays what it was when they change.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_DECISIONS_0004 = "decision IN ('approved', 'rejected')"
_DECISIONS = "decision IN ('approved', 'rejected', 'replaced')"
_CHANGED = ("audit_item",)
_NEW = tuple(name for name in VIEWS if name not in VIEWS_0004)
_FINAL = "an event on record cannot be changed or removed"


def upgrade() -> None:
    if _is_sqlite():
        _drop_views(VIEWS_0004)
    op.add_column("colorization", sa.Column("network_size", sa.BigInteger(), nullable=True))
    op.add_column("colorization", sa.Column("kept_path", sa.Text(), nullable=True))
    with op.batch_alter_table("review", copy_from=_review()) as review:
        review.drop_constraint(op.f("ck_review_decision"), type_="check")
        review.add_column(sa.Column("reference_id", ID, nullable=True))
        review.add_column(sa.Column("shot", sa.BigInteger(), nullable=True))
        review.create_check_constraint(op.f("ck_review_decision"), _DECISIONS)
        review.create_check_constraint(
            op.f("ck_review_replaced_by"), "(decision = 'replaced') = (reference_id IS NOT NULL)"
        )
        review.create_foreign_key(op.f("fk_review_reference_id_reference"), "reference", ["reference_id"], ["id"])
    where = sa.text("reference_id IS NOT NULL")
    op.create_index("ix_review_reference_id", "review", ["reference_id"], sqlite_where=where, postgresql_where=where)
    op.create_index(op.f("ix_item_path"), "item", ["path"])
    _create_event()
    _create_fixity()
    _make_views(VIEWS if _is_sqlite() else {name: VIEWS[name] for name in (*_CHANGED, *_NEW)})


def downgrade() -> None:
    """Back to 0004: events and fixity are lost, and so are reviews that replaced a result."""
    _drop_views(VIEWS if _is_sqlite() else (*_CHANGED, *_NEW))
    op.drop_table("fixity")
    op.drop_table("event")
    if not _is_sqlite():
        op.execute("DROP FUNCTION event_is_final()")
    op.drop_index(op.f("ix_item_path"), "item")
    op.execute("DELETE FROM review WHERE decision = 'replaced'")
    op.drop_index("ix_review_reference_id", "review")
    with op.batch_alter_table("review", copy_from=_review_0005()) as review:
        review.drop_constraint(op.f("fk_review_reference_id_reference"), type_="foreignkey")
        review.drop_constraint(op.f("ck_review_replaced_by"), type_="check")
        review.drop_constraint(op.f("ck_review_decision"), type_="check")
        review.drop_column("shot")
        review.drop_column("reference_id")
        review.create_check_constraint(op.f("ck_review_decision"), _DECISIONS_0004)
    op.drop_column("colorization", "kept_path")
    op.drop_column("colorization", "network_size")
    _make_views(VIEWS_0004 if _is_sqlite() else {name: VIEWS_0004[name] for name in _CHANGED})


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("colorization_id", ID, nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("records", sa.Text(), nullable=True),
        sa.Column("previous_sha256", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_event_run_id_run")),
        sa.ForeignKeyConstraint(
            ["colorization_id"], ["colorization.id"], name=op.f("fk_event_colorization_id_colorization")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    for column in ("run_id", "colorization_id", "type"):
        op.create_index(op.f(f"ix_event_{column}"), "event", [column])
    if _is_sqlite():
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER event_no_{what.lower()} BEFORE {what} ON event"
                f" BEGIN SELECT RAISE(ABORT, '{_FINAL}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION event_is_final() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_FINAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER event_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON event"
        " FOR EACH STATEMENT EXECUTE FUNCTION event_is_final()"
    )


def _create_fixity() -> None:
    op.create_table(
        "fixity",
        sa.Column("id", ID, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("expected_sha256", sa.Text(), nullable=True),
        sa.Column("found_sha256", sa.Text(), nullable=True),
        sa.Column("checked_at", TIME, nullable=False),
        sa.CheckConstraint("what IN ('source', 'output', 'reference')", name=op.f("ck_fixity_what")),
        sa.CheckConstraint(
            "finding IN ('intact', 'changed', 'missing', 'unreadable', 'unknown')", name=op.f("ck_fixity_finding")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fixity")),
        sa.UniqueConstraint("what", "path", name=op.f("uq_fixity_what_path")),
    )
    op.create_index(op.f("ix_fixity_checked_at"), "fixity", ["checked_at"])


def _review() -> sa.Table:
    """`review` in full, as 0004 has it: what SQLite tells of a table is without its checks."""
    return sa.Table(
        "review",
        sa.MetaData(),
        *_review_columns(),
        sa.CheckConstraint(_DECISIONS_0004, name="ck_review_decision"),
        *_review_constraints(),
    )


def _review_0005() -> sa.Table:
    return sa.Table(
        "review",
        sa.MetaData(),
        *_review_columns(),
        sa.Column("reference_id", ID, nullable=True),
        sa.Column("shot", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(_DECISIONS, name="ck_review_decision"),
        sa.CheckConstraint("(decision = 'replaced') = (reference_id IS NOT NULL)", name="ck_review_replaced_by"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_review_reference_id_reference"),
        *_review_constraints(),
    )


def _review_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", ID, nullable=False),
        sa.Column("colorization_id", ID, nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
    ]


def _review_constraints() -> list[sa.schema.SchemaItem]:
    return [
        sa.ForeignKeyConstraint(
            ["colorization_id"], ["colorization.id"], name="fk_review_colorization_id_colorization"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_review"),
        sa.Index("ix_review_colorization_id_at", "colorization_id", "at"),
    ]


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _drop_views(names: Iterable[str]) -> None:
    """SQLite puts a new table in place of one that changes, which no view may read meanwhile."""
    for name in names:
        op.execute(f"DROP VIEW {name}")


def _make_views(views: Mapping[str, str]) -> None:
    """PostgreSQL replaces those that are there, so that rights to read them stay granted."""
    create = "CREATE VIEW" if _is_sqlite() else "CREATE OR REPLACE VIEW"
    for name, query in views.items():
        op.execute(f"{create} {name} AS {query}")
