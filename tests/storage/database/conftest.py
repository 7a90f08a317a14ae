"""Every test that asks for `db`, `url` or `empty_url` runs on SQLite and on PostgreSQL."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database, open_database, sqlite_url
from tests.storage.database.postgresql import fresh_database, running_server

_BOTH = ("sqlite", "postgresql")
_TEMPLATE = "archive_colorizer_template"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """The name of a database with the schema: copying it is faster than migrating for every test."""
    with fresh_database(postgresql_server, _TEMPLATE) as url:
        open_database(url).close()
        yield _TEMPLATE


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "provenance.db"
    open_database(sqlite_url(file)).close()
    return file


@pytest.fixture
def postgresql_url(postgresql_server: str, postgresql_template: str) -> Iterator[str]:
    with fresh_database(postgresql_server, f"test_{uuid.uuid4().hex}", postgresql_template) as url:
        yield url


@pytest.fixture(params=_BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "provenance.db")
        return
    with fresh_database(request.getfixturevalue("postgresql_server"), f"test_{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture(params=_BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the schema, without records."""
    if request.param == "sqlite":
        file = tmp_path / "provenance.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        return sqlite_url(file)
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    with open_database(url) as database:
        yield database
