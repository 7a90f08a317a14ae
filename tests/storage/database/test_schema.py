"""The schema: made from nothing, kept in step with the models, recognised or refused."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from storage.database import Database, DatabaseError, SchemaError, audit, open_database, runs
from storage.database.models import Base
from storage.database.schema import REVISIONS, judge
from tests.storage.database.samples import start_run

PROMISED_VIEWS = {
    "audit_run": "run_id, flow_run_id, started_at, ended_at, state, items, done, failed, skipped, seconds,"
    " code_version, weights_sha256, parameters",
    "audit_item": "run_id, path, kind, page, state, reference_path, reference_score, reference_rank,"
    " confidence, output_path, source_sha256, output_sha256, reference_sha256, weights_sha256, index_version,"
    " device, seconds, review, created_at, match_confidence, low_match, reference_choice"
    ", item_id, colorization_id, archive, output_root, superseded_at, reference_id",
    "audit_shot": "run_id, path, shot, first_frame, last_frame, frames, cut_score, reference_path, reference_sha256,"
    " reference_score, reference_rank, reference_choice, confidence, flicker, fps, seconds, seconds_read,"
    " seconds_network, seconds_motion, seconds_chroma, seconds_write, output_path,"
    " match_confidence, low_match",
    "audit_failure": "run_id, path, stage, error_type, message, at",
    "audit_reference": "reference_id, path, sha256, times_used, mean_score, mean_confidence,"
    " caption, rights, creator, created",
    "audit_runtime": "run_id, stage, items, seconds_total, seconds_median, seconds_p95",
    "audit_output": "colorization_id, run_id, item_id, archive, path, kind, page, output_root, output_path,"
    " output_format, output_sha256, output_bytes, source_sha256, reference_id, reference_path, reference_sha256,"
    " reference_score, reference_rank, reference_choice, match_confidence, index_version, weights_sha256,"
    " code_version, parameters, network_size, device, precision, library_versions, started_at, ended_at, seconds,"
    " peak_memory_bytes, confidence, review, superseded_at, kept_path",
    "audit_stage": "run_id, colorization_id, path, page, stage, seconds",
    "audit_review": "review_id, colorization_id, run_id, path, page, decision, reason, reviewer, at,"
    " other_reference_path, shot",
    "audit_event": "event_id, at, type, outcome, agent, run_id, path, page, message, sha256",
    "audit_fixity": "what, path, finding, expected_sha256, found_sha256, checked_at",
}


def test_an_empty_database_gets_tables_and_views(empty_url: str) -> None:
    with open_database(empty_url) as db, db.read() as session:
        inspector = sa.inspect(session.connection())
        assert set(inspector.get_table_names()) == {
            *("item", "reference", "reference_tag", "reference_parts", "run", "match", "colorization", "shot", "copy"),
            *("stage_timing", "review", "event", "fixity", "alembic_version"),
        }
        assert set(inspector.get_view_names()) == set(PROMISED_VIEWS)
        for view, columns in PROMISED_VIEWS.items():
            assert ", ".join(column["name"] for column in inspector.get_columns(view)) == columns
            assert audit.columns(view) == columns.split(", ")


def test_migrations_make_exactly_the_models(empty_url: str) -> None:
    with open_database(empty_url) as db, db.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_check_constraints_are_those_of_the_models(db: Database) -> None:
    """Alembic does not compare check constraints."""
    with db.read() as session:
        inspector = sa.inspect(session.connection())
        for table in Base.metadata.sorted_tables:
            made = {constraint["name"] for constraint in inspector.get_check_constraints(table.name)}
            modelled = {c.name for c in table.constraints if isinstance(c, sa.CheckConstraint)}
            assert made == modelled, table.name


def test_every_foreign_key_leads_an_index() -> None:
    for table in Base.metadata.sorted_tables:
        leading = {next(iter(index.columns)).name for index in table.indexes}
        keys = (sa.UniqueConstraint, sa.PrimaryKeyConstraint)
        leading |= {next(iter(c.columns)).name for c in table.constraints if isinstance(c, keys)}
        assert {key.parent.name for key in table.foreign_keys} <= leading, table.name


def test_the_known_revisions_are_those_in_the_script_directory() -> None:
    config = Config()
    config.set_main_option("script_location", "storage.database:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == REVISIONS


def test_the_migrations_can_be_taken_back_whole(db: Database) -> None:
    from alembic import command

    config = Config()
    config.set_main_option("script_location", "storage.database:migrations")
    with db.write() as session:
        config.attributes["connection"] = session.connection()
        command.downgrade(config, "base")
    with db.read() as session:
        inspector = sa.inspect(session.connection())
        assert inspector.get_table_names() == ["alembic_version"]
        assert inspector.get_view_names() == []


def test_opening_again_keeps_what_is_there(url: str) -> None:
    with open_database(url) as db:
        run_id = start_run(db)
    with open_database(url) as db:
        found = runs.get(db, run_id)
    assert found is not None
    assert found.id == run_id


def test_opening_a_database_that_is_up_to_date_does_not_load_alembic(url: str) -> None:
    open_database(url).close()
    code = (
        "import sys; from storage.database import open_database; open_database(sys.argv[1]).close();"
        "print('alembic' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_a_migration_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.database.migrations.views_0004 import VIEWS

    monkeypatch.setitem(VIEWS, "audit_item", "SELECT nothing from from from run")
    with pytest.raises(DatabaseError):
        open_database(empty_url)
    monkeypatch.undo()
    with open_database(empty_url) as db:
        assert start_run(db) == 1


def test_processes_that_open_an_empty_database_at_once_make_it_once(empty_url: str) -> None:
    code = "import sys; from storage.database import open_database; open_database(sys.argv[1]).close()"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 3


def _pretend_version(url: str, version: str) -> None:
    with open_database(url) as db, db.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_a_newer_schema_is_refused_with_the_remedy(url: str) -> None:
    _pretend_version(url, "0999")
    with pytest.raises(SchemaError, match=r"newer version .*schema 0999.*update archive-colorizer") as caught:
        open_database(url)
    assert "\n" not in str(caught.value)


def test_a_database_of_another_program_is_refused(url: str) -> None:
    _pretend_version(url, "b5a3c1f00d11")
    with pytest.raises(SchemaError, match="another program"):
        open_database(url)


def test_tables_of_another_program_are_refused_and_left_alone(url: str) -> None:
    with open_database(url) as db, db.write() as session:
        for view in PROMISED_VIEWS:
            session.execute(sa.text(f"DROP VIEW {view}"))
        session.execute(sa.text("DROP TABLE alembic_version"))
    with pytest.raises(SchemaError, match="another program"):
        open_database(url)


def test_an_empty_database_is_only_filled_if_asked(empty_url: str) -> None:
    with pytest.raises(DatabaseError, match=r"no database|no records yet"):
        open_database(empty_url, create=False)
    open_database(empty_url).close()
    open_database(empty_url, create=False).close()


@pytest.mark.parametrize(
    ("version", "tables", "standing"),
    [
        ("0004", ["run"], "current"),
        ("0003", ["run"], "older"),
        ("0002", ["run"], "older"),
        ("0001", ["run"], "older"),
        (None, [], "empty"),
        (None, ["alembic_version"], "empty"),
    ],
)
def test_how_versions_are_judged(version: str | None, tables: list[str], standing: str) -> None:
    assert judge(version, tables, "the database", ("0001", "0002", "0003", "0004")) == standing


@pytest.fixture
def a_revision_ahead(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the program believe that there is a schema after the newest."""

    def go_ahead() -> None:
        monkeypatch.setattr("storage.database.schema.judge", lambda version, *_: "older" if version else "empty")

    return go_ahead


def test_an_older_schema_with_records_waits_for_the_upgrade_command(
    url: str, a_revision_ahead: Callable[[], None]
) -> None:
    with open_database(url) as db:
        start_run(db)
    a_revision_ahead()
    with pytest.raises(SchemaError, match="archive-colorizer database upgrade"):
        open_database(url)
    open_database(url, upgrade=True).close()


def test_an_older_schema_without_records_is_upgraded_at_once(url: str, a_revision_ahead: Callable[[], None]) -> None:
    open_database(url).close()
    a_revision_ahead()
    open_database(url).close()
