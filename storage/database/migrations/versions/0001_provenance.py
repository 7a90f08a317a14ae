"""Items, references, runs, matches, colorizations, timings and reviews; the five views for auditors.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from storage.database.migrations.views_0001 import VIEWS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Written out, not taken from the models: a released migration stays what it was when they change.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    _create_item()
    _create_run()
    _create_reference()
    _create_colorization()
    _create_match()
    _create_review()
    _create_stage_timing()
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    for name in ("review", "stage_timing", "match", "colorization", "reference", "run", "item"):
        op.drop_table(name)


def _create_item() -> None:
    op.create_table(
        "item",
        sa.Column("id", ID, nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("page", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=True),
        sa.Column("width", sa.BigInteger(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("channels", sa.BigInteger(), nullable=True),
        sa.Column("bit_depth", sa.BigInteger(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("first_seen_at", INSTANT, nullable=False),
        sa.Column("examined_at", INSTANT, nullable=False),
        sa.CheckConstraint("kind IN ('photograph', 'page', 'film')", name=op.f("ck_item_kind")),
        sa.CheckConstraint("page >= 1", name=op.f("ck_item_page")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("archive", "path", "page", name=op.f("uq_item_archive_path_page")),
    )
    op.create_index(op.f("ix_item_sha256"), "item", ["sha256"])


def _create_run() -> None:
    op.create_table(
        "run",
        sa.Column("id", ID, nullable=False),
        sa.Column("flow_run_id", sa.Text(), nullable=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("output_root", sa.Text(), nullable=False),
        sa.Column("references_root", sa.Text(), nullable=False),
        sa.Column("items", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("weights_sha256", sa.Text(), nullable=False),
        sa.Column("index_version", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("library_versions", JSON, nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name=op.f("ck_run_ended")),
        sa.CheckConstraint(
            "state IN ('running', 'completed', 'completed_with_failures', 'interrupted', 'crashed', 'failed')",
            name=op.f("ck_run_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_flow_run_id"), "run", ["flow_run_id"])


def _create_reference() -> None:
    op.create_table(
        "reference",
        sa.Column("id", ID, nullable=False),
        sa.Column("library", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("width", sa.BigInteger(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("embedding_version", sa.Text(), nullable=True),
        sa.Column("embedding", sa.LargeBinary(), nullable=True),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("retired_at", INSTANT, nullable=True),
        sa.Column("added_by_run_id", ID, nullable=True),
        sa.CheckConstraint(
            "state <> 'active' OR (sha256 IS NOT NULL AND embedding IS NOT NULL AND embedding_version IS NOT NULL)",
            name=op.f("ck_reference_active_complete"),
        ),
        sa.CheckConstraint("state IN ('active', 'retired', 'failed')", name=op.f("ck_reference_state")),
        sa.ForeignKeyConstraint(["added_by_run_id"], ["run.id"], name=op.f("fk_reference_added_by_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference")),
    )
    op.create_index(op.f("ix_reference_added_by_run_id"), "reference", ["added_by_run_id"])
    op.create_index(op.f("ix_reference_library_path"), "reference", ["library", "path"])
    op.create_index(op.f("ix_reference_sha256"), "reference", ["sha256"])
    op.create_index(
        "uq_reference_library_path_live",
        "reference",
        ["library", "path"],
        unique=True,
        sqlite_where=sa.text("state <> 'retired'"),
        postgresql_where=sa.text("state <> 'retired'"),
    )


def _create_colorization() -> None:
    op.create_table(
        "colorization",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("reference_id", ID, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.Column("reference_path", sa.Text(), nullable=True),
        sa.Column("reference_sha256", sa.Text(), nullable=True),
        sa.Column("reference_score", sa.Double(), nullable=True),
        sa.Column("reference_rank", sa.BigInteger(), nullable=True),
        sa.Column("output_root", sa.Text(), nullable=False),
        sa.Column("output_path", sa.Text(), nullable=True),
        sa.Column("output_sha256", sa.Text(), nullable=True),
        sa.Column("output_bytes", sa.BigInteger(), nullable=True),
        sa.Column("output_format", sa.Text(), nullable=True),
        sa.Column("width", sa.BigInteger(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("bit_depth", sa.BigInteger(), nullable=True),
        sa.Column("weights_sha256", sa.Text(), nullable=False),
        sa.Column("index_version", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("superseded_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "state <> 'done' OR (output_path IS NOT NULL AND output_sha256 IS NOT NULL)",
            name=op.f("ck_colorization_done_has_output"),
        ),
        sa.CheckConstraint(
            "state <> 'failed' OR (stage IS NOT NULL AND error_type IS NOT NULL AND message IS NOT NULL)",
            name=op.f("ck_colorization_failed_has_reason"),
        ),
        sa.CheckConstraint("state IN ('done', 'failed', 'skipped')", name=op.f("ck_colorization_state")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_colorization_item_id_item")),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["reference.id"], name=op.f("fk_colorization_reference_id_reference")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_colorization_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_colorization")),
        sa.UniqueConstraint("run_id", "item_id", name=op.f("uq_colorization_run_id_item_id")),
    )
    op.create_index(op.f("ix_colorization_item_id"), "colorization", ["item_id"])
    op.create_index(op.f("ix_colorization_output_sha256"), "colorization", ["output_sha256"])
    op.create_index(
        "ix_colorization_reference_id",
        "colorization",
        ["reference_id", "state", "reference_score", "confidence"],
    )
    op.create_index(
        "ix_colorization_run_id_failed",
        "colorization",
        ["run_id"],
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "uq_colorization_item_id_output_root_current",
        "colorization",
        ["item_id", "output_root"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )


def _create_match() -> None:
    op.create_table(
        "match",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("reference_id", ID, nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.CheckConstraint("rank >= 1", name=op.f("ck_match_rank")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_match_item_id_item")),
        sa.ForeignKeyConstraint(["reference_id"], ["reference.id"], name=op.f("fk_match_reference_id_reference")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_match_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match")),
        sa.UniqueConstraint("run_id", "item_id", "rank", name=op.f("uq_match_run_id_item_id_rank")),
    )
    op.create_index(op.f("ix_match_item_id"), "match", ["item_id"])
    op.create_index(op.f("ix_match_reference_id"), "match", ["reference_id"])


def _create_review() -> None:
    op.create_table(
        "review",
        sa.Column("id", ID, nullable=False),
        sa.Column("colorization_id", ID, nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("decision IN ('approved', 'rejected')", name=op.f("ck_review_decision")),
        sa.ForeignKeyConstraint(
            ["colorization_id"], ["colorization.id"], name=op.f("fk_review_colorization_id_colorization")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_colorization_id_at"), "review", ["colorization_id", "at"])


def _create_stage_timing() -> None:
    op.create_table(
        "stage_timing",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("colorization_id", ID, nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("items", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("items >= 0", name=op.f("ck_stage_timing_items")),
        sa.ForeignKeyConstraint(
            ["colorization_id"],
            ["colorization.id"],
            name=op.f("fk_stage_timing_colorization_id_colorization"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_stage_timing_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_timing")),
    )
    op.create_index(op.f("ix_stage_timing_colorization_id"), "stage_timing", ["colorization_id"])
    op.create_index(op.f("ix_stage_timing_run_id_stage"), "stage_timing", ["run_id", "stage"])
