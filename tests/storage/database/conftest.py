"""Every test that asks for `db` or `url` runs on SQLite and on PostgreSQL."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.database import Database, open_database, sqlite_url
from tests.storage.database.postgresql import fresh_database, running_server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    with fresh_database(postgresql_server, f"test_{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "provenance.db")
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def open_again(url: str) -> Iterator[Callable[[], Database]]:
    """Opens the test's database once more; all are closed at the end."""
    opened: list[Database] = []

    def open_one() -> Database:
        opened.append(open_database(url))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def db(open_again: Callable[[], Database]) -> Database:
    return open_again()
