"""Large reference libraries: the order of changes, parts to compare, how far a match is to be trusted.

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from alembic import op

from storage.database.migrations.views_0002 import VIEWS as VIEWS_0002
from storage.database.migrations.views_0003 import VIEWS

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Written out, not taken from the models: a released migration stays what it was when they change.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CHANGED = ("audit_item", "audit_shot")


def upgrade() -> None:
    op.add_column("reference", sa.Column("change", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(op.f("ix_reference_library_change"), "reference", ["library", "change"])
    op.create_table(
        "reference_parts",
        sa.Column("reference_id", ID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["reference.id"], name=op.f("fk_reference_parts_reference_id_reference")
        ),
        sa.PrimaryKeyConstraint("reference_id", name=op.f("pk_reference_parts")),
    )
    op.add_column("match", sa.Column("confidence", sa.Double(), nullable=True))
    for table in ("colorization", "shot"):
        op.add_column(table, sa.Column("match_confidence", sa.Double(), nullable=True))
        op.add_column(table, sa.Column("low_match", sa.Boolean(), nullable=True))
    if _is_sqlite():
        _drop_views(_CHANGED)
    _make_views({name: VIEWS[name] for name in _CHANGED})


def downgrade() -> None:
    """Back to 0002: how far matches are to be trusted is lost, and the parts, which can be made again."""
    _drop_views(_CHANGED)  # PostgreSQL cannot take columns from a view in place
    for table in ("shot", "colorization"):
        op.drop_column(table, "low_match")
        op.drop_column(table, "match_confidence")
    op.drop_column("match", "confidence")
    op.drop_table("reference_parts")
    op.drop_index(op.f("ix_reference_library_change"), "reference")
    op.drop_column("reference", "change")
    _make_views({name: VIEWS_0002[name] for name in _CHANGED})


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _drop_views(names: Iterable[str]) -> None:
    for name in names:
        op.execute(f"DROP VIEW {name}")


def _make_views(views: Mapping[str, str]) -> None:
    """PostgreSQL replaces those that are there, so that rights to read them stay granted."""
    create = "CREATE VIEW" if _is_sqlite() else "CREATE OR REPLACE VIEW"
    for name, query in views.items():
        op.execute(f"{create} {name} AS {query}")
