"""A role for auditors reads everything and changes nothing, now and after upgrades."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from psycopg import sql

from storage.database import Database, DatabaseError, audit, auditor, open_database, sqlite_url
from storage.database.checking import check
from storage.database.engine import make_engine, parse_url, writing
from tests.storage.database.filled import fill
from tests.storage.database.samples import add_items

AWKWARD = 'Prüfer "1"; DROP TABLE item; -- 100%'


@pytest.fixture
def pg(postgresql_url: str) -> Iterator[Database]:
    with open_database(postgresql_url) as database:
        yield database


@pytest.fixture
def role(postgresql_server: str) -> Iterator[Callable[..., str]]:
    """Gives the name of a role that goes away afterwards, with all its rights."""
    with ExitStack() as stack:

        def name(wanted: str = "auditor") -> str:
            unique = f"{wanted} {uuid.uuid4().hex[:8]}"
            stack.callback(_drop, postgresql_server, unique)
            return unique

        yield name


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        databases = connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
            return
    for (database,) in databases:
        with psycopg.connect(server.replace("/postgres?", f"/{database}?"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@contextmanager
def _connected(granted: auditor.Auditor) -> Iterator[psycopg.Connection]:
    with psycopg.connect(granted.url, autocommit=True) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (granted.name,)
        yield connection


def _refused(connection: psycopg.Connection, statement: str, *errors: type[psycopg.Error]) -> None:
    with pytest.raises(errors or (psycopg.errors.InsufficientPrivilege,)):
        connection.execute(statement)


@pytest.mark.parametrize("wanted", ["auditor", AWKWARD])
def test_an_auditor_reads_everything_and_changes_nothing(pg: Database, role: Callable[..., str], wanted: str) -> None:
    fill(pg)
    granted = auditor.grant(pg, role(wanted))
    assert granted.is_new
    with _connected(granted) as connection:
        for view in audit.VIEWS:
            connection.execute(f"SELECT * FROM {view}").fetchall()
        assert connection.execute("SELECT count(*) FROM audit_item").fetchone() == (4,)
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (4,)
        _refused(
            connection,
            "DELETE FROM fixity",
            psycopg.errors.ReadOnlySqlTransaction,
            psycopg.errors.InsufficientPrivilege,
        )
        # the setting is only a courtesy: without it nothing more is allowed
        connection.execute("SET default_transaction_read_only = off")
        for table in sa_tables(pg):
            _refused(connection, f'INSERT INTO "{table}" DEFAULT VALUES')
            _refused(connection, f'DELETE FROM "{table}"')
            _refused(connection, f'TRUNCATE "{table}"')
            _refused(connection, f'DROP TABLE "{table}" CASCADE')
        _refused(connection, "UPDATE run SET device = 'x'")
        _refused(connection, "UPDATE event SET type = 'x'")
        _refused(connection, "CREATE TABLE mine (id int)")
        _refused(connection, "CREATE VIEW mine AS SELECT 1")
        _refused(connection, "ALTER TABLE event DISABLE TRIGGER event_is_final")
        _refused(connection, "CREATE ROLE another")


def sa_tables(db: Database) -> list[str]:
    with db.read() as session:
        return sa.inspect(session.connection()).get_table_names()


def test_an_auditor_can_check_the_database(pg: Database, role: Callable[..., str]) -> None:
    fill(pg)
    granted = auditor.grant(pg, role())
    looks = list(check(granted.url))
    assert [look for look in looks if not look.is_right] == []
    assert any(look.what == "record" for look in looks)


def test_granting_again_changes_nothing_but_the_password(pg: Database, role: Callable[..., str]) -> None:
    name = role()
    assert auditor.grant(pg, name, "first % 'pass'").is_new
    first = _kept(pg, name)
    assert first.startswith("SCRAM-SHA-256$")
    assert not auditor.grant(pg, name).is_new
    assert _kept(pg, name) == first
    auditor.grant(pg, name, "second")
    assert _kept(pg, name) != first


def _kept(db: Database, name: str) -> str:
    with db.read() as session:
        return str(session.scalar(sa.text("SELECT rolpassword FROM pg_authid WHERE rolname = :name"), {"name": name}))


def _migrate(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "storage.database:migrations")
    engine = make_engine(parse_url(url), busy_seconds=5)
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def test_what_an_upgrade_makes_can_be_read_too(pg: Database, role: Callable[..., str]) -> None:
    granted = auditor.grant(pg, role())
    _migrate(pg.url, "0001")
    with _connected(granted) as connection:
        assert connection.execute("SELECT to_regclass('audit_event')").fetchone() == (None,)
        connection.execute("SELECT * FROM audit_item")
    with open_database(pg.url, upgrade=True) as db:
        fill(db)
    with _connected(granted) as connection:
        for view in audit.VIEWS:
            connection.execute(f"SELECT * FROM {view}").fetchall()
        connection.execute("SET default_transaction_read_only = off")
        _refused(connection, "DELETE FROM event")


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "ü" * 32, "public", "pg_auditor"])
def test_a_name_that_no_role_can_have_is_refused(pg: Database, name: str) -> None:
    with pytest.raises(DatabaseError, match="cannot be the name of a role") as caught:
        auditor.grant(pg, name)
    assert "\n" not in str(caught.value)


def test_a_role_that_may_write_is_no_auditor(pg: Database, role: Callable[..., str]) -> None:
    name = role()
    with pg.write() as session:
        session.connection().exec_driver_sql(f'CREATE ROLE "{name}" LOGIN')
        session.connection().exec_driver_sql(f'GRANT INSERT ON item TO "{name}"')
    with pytest.raises(DatabaseError, match="may already write to the table item"):
        auditor.grant(pg, name)
    with pytest.raises(DatabaseError, match="administers the server"):
        auditor.grant(pg, "postgres")
    with psycopg.connect(pg.url.replace("postgres:@", f"{name}:@".replace(" ", "%20"))) as connection:
        _refused(connection, "SELECT * FROM run")  # nothing was granted on the way


def test_who_may_not_make_roles_is_told_so(pg: Database, role: Callable[..., str]) -> None:
    clerk = role("clerk")
    with pg.write() as session:
        session.connection().exec_driver_sql(f'CREATE ROLE "{clerk}" LOGIN')
        session.connection().exec_driver_sql(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{clerk}"')
    with (
        open_database(pg.url.replace("postgres:@", f"{clerk}:@".replace(" ", "%20"))) as as_clerk,
        pytest.raises(DatabaseError, match="CREATEROLE"),
    ):
        auditor.grant(as_clerk, role())


def test_a_sqlite_file_knows_no_roles(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db:
        add_items(db, "a.tif")
        with pytest.raises(DatabaseError, match=r"SQLite file, which knows no roles.*sqlite3 -readonly") as caught:
            auditor.grant(db, "auditor")
    assert "\n" not in str(caught.value)
