"""Choice of references: what describes them, near-duplicates, how the reference of an item was come by.

Revision ID: 0004
Revises: 0003
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.database.migrations.views_0003 import VIEWS as VIEWS_0003
from storage.database.migrations.views_0004 import VIEWS

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Written out, not taken from the models: a released migration stays what it was when they change.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CHANGED = ("audit_item", "audit_reference")
_METADATA = ("caption", "rights", "creator", "created")
_YEARS = ("year_first", "year_last")
_CHOICES_0003 = "reference_choice IN ('retrieved', 'given')"
_CHOICES = "reference_choice IN ('retrieved', 'given', 'pinned', 'self')"
_ITEM_CHOICES = "reference_choice IN ('retrieved', 'pinned', 'self')"


def upgrade() -> None:
    if _is_sqlite():
        _drop_views(VIEWS_0003)
    for name in _METADATA:
        op.add_column("reference", sa.Column(name, sa.Text(), nullable=True))
    for name in _YEARS:
        op.add_column("reference", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("reference", sa.Column("metadata_read", sa.Boolean(), server_default=sa.false(), nullable=False))
    # In words, with their constraints: Alembic would have SQLite copy these tables, vectors and all.
    op.execute(
        f"ALTER TABLE reference ADD COLUMN near_duplicate_of {'INTEGER' if _is_sqlite() else 'BIGINT'}"
        " CONSTRAINT fk_reference_near_duplicate_of_reference REFERENCES reference (id)"
    )
    where = sa.text("near_duplicate_of IS NOT NULL")
    op.create_index(
        "ix_reference_near_duplicate_of",
        "reference",
        ["near_duplicate_of"],
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_table(
        "reference_tag",
        sa.Column("reference_id", ID, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["reference.id"], name=op.f("fk_reference_tag_reference_id_reference")
        ),
        sa.PrimaryKeyConstraint("reference_id", "tag", name=op.f("pk_reference_tag")),
    )
    op.create_index(op.f("ix_reference_tag_tag_reference_id"), "reference_tag", ["tag", "reference_id"])
    op.execute(
        "ALTER TABLE colorization ADD COLUMN reference_choice TEXT"
        f" CONSTRAINT ck_colorization_reference_choice CHECK ({_ITEM_CHOICES})"
    )
    _let_shots_choose(_CHOICES_0003, _CHOICES)
    _make_views(VIEWS if _is_sqlite() else {name: VIEWS[name] for name in _CHANGED})


def downgrade() -> None:
    """Back to 0003: what describes references is lost; a shot's pinned reference counts as given."""
    _drop_views(VIEWS if _is_sqlite() else _CHANGED)  # PostgreSQL cannot take columns from a view in place
    op.execute("UPDATE shot SET reference_choice = 'given' WHERE reference_choice IN ('pinned', 'self')")
    _let_shots_choose(_CHOICES, _CHOICES_0003)
    op.drop_column("colorization", "reference_choice")
    op.drop_table("reference_tag")
    op.drop_index("ix_reference_near_duplicate_of", "reference")
    for name in ("near_duplicate_of", "metadata_read", *reversed(_YEARS), *reversed(_METADATA)):
        op.drop_column("reference", name)
    _make_views(VIEWS_0003 if _is_sqlite() else {name: VIEWS_0003[name] for name in _CHANGED})


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


def _let_shots_choose(before: str, after: str) -> None:
    """Put another check on `shot.reference_choice`."""
    name = op.f("ck_shot_reference_choice")
    with op.batch_alter_table("shot", copy_from=_shot(before)) as shot:
        shot.drop_constraint(name, type_="check")
        shot.create_check_constraint(name, after)


def _shot(choices: str) -> sa.Table:
    """`shot` in full: what SQLite tells of a table is without its checks."""
    return sa.Table(
        "shot",
        sa.MetaData(),
        *_shot_columns(),
        sa.CheckConstraint("number >= 1", name="ck_shot_number"),
        sa.CheckConstraint("0 <= first_frame AND first_frame <= last_frame", name="ck_shot_first_last"),
        sa.CheckConstraint("frames = last_frame - first_frame + 1", name="ck_shot_frames"),
        sa.CheckConstraint(choices, name="ck_shot_reference_choice"),
        sa.ForeignKeyConstraint(["colorization_id"], ["colorization.id"], name="fk_shot_colorization_id_colorization"),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name="fk_shot_reference_id_reference"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_shot_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_shot"),
        sa.UniqueConstraint("colorization_id", "number", name="uq_shot_colorization_id_number"),
        sa.Index("ix_shot_run_id", "run_id"),
        sa.Index("ix_shot_reference_id", "reference_id", "colorization_id", "reference_score", "confidence"),
    )


def _shot_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("colorization_id", ID, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("number", "first_frame", "last_frame")),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("cut_score", sa.Double(), nullable=True),
        sa.Column("reference_id", ID, nullable=True),
        sa.Column("reference_path", sa.Text(), nullable=True),
        sa.Column("reference_sha256", sa.Text(), nullable=True),
        sa.Column("reference_score", sa.Double(), nullable=True),
        sa.Column("reference_rank", sa.BigInteger(), nullable=True),
        sa.Column("reference_choice", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=True) for name in ("confidence", "flicker", "fps", "seconds")),
        *(sa.Column(f"seconds_{name}", sa.Double(), nullable=True) for name in ("read", "network", "motion")),
        *(sa.Column(f"seconds_{name}", sa.Double(), nullable=True) for name in ("chroma", "write")),
        sa.Column("shown_frame", sa.BigInteger(), nullable=True),
        sa.Column("match_confidence", sa.Double(), nullable=True),
        sa.Column("low_match", sa.Boolean(), nullable=True),
    ]
