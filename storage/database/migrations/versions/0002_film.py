"""Film: shots, outputs in further formats, candidates for each shot, numbers of frames; the view of shots.

Revision ID: 0002
Revises: 0001
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.database.migrations.views_0001 import VIEWS as VIEWS_0001
from storage.database.migrations.views_0002 import VIEWS

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Written out, not taken from the models: a released migration stays what it was when they change.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    if _is_sqlite():
        _drop_views(VIEWS_0001)
    op.add_column("item", sa.Column("frames", sa.BigInteger(), nullable=True))
    op.add_column("item", sa.Column("duration_seconds", sa.Double(), nullable=True))
    op.add_column("colorization", sa.Column("frames", sa.BigInteger(), nullable=True))
    _let_matches_be_of_shots()
    _create_shot()
    _create_copy()
    _make_views(VIEWS)


def downgrade() -> None:
    """Back to 0001: what is known of shots, and of outputs in further formats, is lost."""
    _drop_views(VIEWS if _is_sqlite() else ["audit_shot"])
    if not _is_sqlite():
        _make_views(VIEWS_0001)  # so that none of them reads `shot`
    op.drop_table("copy")
    op.drop_table("shot")
    _let_matches_be_of_items_only()
    op.drop_column("colorization", "frames")
    op.drop_column("item", "duration_seconds")
    op.drop_column("item", "frames")
    if _is_sqlite():
        _make_views(VIEWS_0001)


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


def _let_matches_be_of_shots() -> None:
    with op.batch_alter_table("match", copy_from=_match_0001()) as match:
        match.add_column(sa.Column("shot", sa.BigInteger(), server_default="0", nullable=False))
        match.drop_constraint(op.f("uq_match_run_id_item_id_rank"), type_="unique")
        match.create_unique_constraint(op.f("uq_match_run_id_item_id_shot_rank"), ["run_id", "item_id", "shot", "rank"])
        match.create_check_constraint(op.f("ck_match_shot"), "shot >= 0")


def _let_matches_be_of_items_only() -> None:
    op.execute("DELETE FROM match WHERE shot > 0")
    with op.batch_alter_table("match", copy_from=_match_0002()) as match:
        match.drop_constraint(op.f("ck_match_shot"), type_="check")
        match.drop_constraint(op.f("uq_match_run_id_item_id_shot_rank"), type_="unique")
        match.create_unique_constraint(op.f("uq_match_run_id_item_id_rank"), ["run_id", "item_id", "rank"])
        match.drop_column("shot")


def _match_0001() -> sa.Table:
    """`match` before this revision, in full: what SQLite tells of a table is without its checks."""
    return sa.Table(
        "match",
        sa.MetaData(),
        *_match_columns(),
        *_match_constraints(),
        sa.UniqueConstraint("run_id", "item_id", "rank", name="uq_match_run_id_item_id_rank"),
        *_match_indexes(),
    )


def _match_0002() -> sa.Table:
    """`match` after this revision."""
    return sa.Table(
        "match",
        sa.MetaData(),
        *_match_columns(),
        sa.Column("shot", sa.BigInteger(), server_default="0", nullable=False),
        *_match_constraints(),
        sa.CheckConstraint("shot >= 0", name="ck_match_shot"),
        sa.UniqueConstraint("run_id", "item_id", "shot", "rank", name="uq_match_run_id_item_id_shot_rank"),
        *_match_indexes(),
    )


def _match_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("reference_id", ID, nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
    ]


def _match_constraints() -> list[sa.Constraint]:
    return [
        sa.CheckConstraint("rank >= 1", name="ck_match_rank"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_match_item_id_item"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_match_reference_id_reference"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_match_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_match"),
    ]


def _match_indexes() -> list[sa.Index]:
    return [sa.Index("ix_match_item_id", "item_id"), sa.Index("ix_match_reference_id", "reference_id")]


def _create_shot() -> None:
    op.create_table(
        "shot",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("colorization_id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("first_frame", sa.BigInteger(), nullable=False),
        sa.Column("last_frame", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("cut_score", sa.Double(), nullable=True),
        sa.Column("reference_id", ID, nullable=True),
        sa.Column("reference_path", sa.Text(), nullable=True),
        sa.Column("reference_sha256", sa.Text(), nullable=True),
        sa.Column("reference_score", sa.Double(), nullable=True),
        sa.Column("reference_rank", sa.BigInteger(), nullable=True),
        sa.Column("reference_choice", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("flicker", sa.Double(), nullable=True),
        sa.Column("fps", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("seconds_read", sa.Double(), nullable=True),
        sa.Column("seconds_network", sa.Double(), nullable=True),
        sa.Column("seconds_motion", sa.Double(), nullable=True),
        sa.Column("seconds_chroma", sa.Double(), nullable=True),
        sa.Column("seconds_write", sa.Double(), nullable=True),
        sa.Column("shown_frame", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("number >= 1", name=op.f("ck_shot_number")),
        sa.CheckConstraint("0 <= first_frame AND first_frame <= last_frame", name=op.f("ck_shot_first_last")),
        sa.CheckConstraint("frames = last_frame - first_frame + 1", name=op.f("ck_shot_frames")),
        sa.CheckConstraint("reference_choice IN ('retrieved', 'given')", name=op.f("ck_shot_reference_choice")),
        sa.ForeignKeyConstraint(
            ["colorization_id"], ["colorization.id"], name=op.f("fk_shot_colorization_id_colorization")
        ),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name=op.f("fk_shot_reference_id_reference")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_shot_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shot")),
        sa.UniqueConstraint("colorization_id", "number", name=op.f("uq_shot_colorization_id_number")),
    )
    op.create_index(op.f("ix_shot_run_id"), "shot", ["run_id"])
    op.create_index(
        "ix_shot_reference_id", "shot", ["reference_id", "colorization_id", "reference_score", "confidence"]
    )


def _create_copy() -> None:
    op.create_table(
        "copy",
        sa.Column("id", ID, nullable=False),
        sa.Column("colorization_id", ID, nullable=False),
        sa.Column("output_path", sa.Text(), nullable=False),
        sa.Column("output_sha256", sa.Text(), nullable=False),
        sa.Column("output_bytes", sa.BigInteger(), nullable=False),
        sa.Column("output_format", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["colorization_id"], ["colorization.id"], name=op.f("fk_copy_colorization_id_colorization")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_copy")),
        sa.UniqueConstraint("colorization_id", "output_path", name=op.f("uq_copy_colorization_id_output_path")),
    )
