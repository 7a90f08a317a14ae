"""A run whose database goes away waits for it and goes on; if that takes too long it ends, and the next one goes on."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from storage.database import Database, events, open_database, sqlite_url
from storage.images import read_master
from tests.flows.conftest import picture
from tests.storage.database.restarts import Server, kept_locked, own_server

ITEMS = 8

# The command line with less patience than a minute, so that its end need not be waited for as long.
_IMPATIENT = """
import sys
from storage.database import connection
connection.open_database.__kwdefaults__["patience_seconds"] = 4.0
from flows.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with own_server() as running:
        yield running


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    names = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
    for number in range(ITEMS):
        picture(names[number % 4], 300 + 10 * number).convert("L").save(folder / f"{number}.jpg")
    return folder


class Run:
    """A command that is under way."""

    def __init__(self, environment: Mapping[str, str], *arguments: object, impatient: bool = False) -> None:
        how = ["-c", _IMPATIENT] if impatient else ["-m", "flows.cli"]
        self._process = subprocess.Popen(
            [sys.executable, *how, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_under_way(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 240
        while not reached():
            assert self.is_under_way(), self._process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def end(self, timeout: float = 300) -> tuple[int, str]:
        """The exit code and what was said on stderr."""
        try:
            _, said = self._process.communicate(timeout=timeout)
        finally:
            self._process.kill()
        return self._process.returncode, said


def _arguments(many: Path, references: Path, output: Path, *more: object) -> list[object]:
    return [
        *("run", many, "--references", references, "--size", 128, "--batch-size", 2),
        *("--no-prefect", "--output", output, *more),
    ]


def _check_complete(database: Database, output: Path) -> None:
    """Each item exactly once done, each copy as recorded, no run left as running, the record unbroken."""
    with database.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT item_id, state, output_path, output_sha256 FROM colorization WHERE superseded_at IS NULL"
        )
        current = rows.all()
        counts = session.connection().exec_driver_sql(
            "SELECT u.id, u.state, u.done, count(c.id) FROM run u LEFT JOIN colorization c ON c.run_id = u.id"
            " AND c.state = 'done' GROUP BY u.id ORDER BY u.id"
        )
        runs = counts.all()
    assert len(current) == len({row[0] for row in current}) == ITEMS
    assert {row[1] for row in current} == {"done"}
    for _, _, path, sha256 in current:
        assert read_master(output / path).sha256 == sha256
    assert {str(path.relative_to(output)) for path in output.rglob("*.tif")} == {row[2] for row in current}
    assert all(state != "running" and done == there for _, state, done, there in runs), runs
    assert sum(done for _, _, done, _ in runs) == ITEMS, "nothing was done twice"
    assert list(events.check(database)) == []


def _has_schema(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('audit_fixity')").fetchone()
    return found != (None,)


def test_a_run_outlives_restarts_of_the_server(
    many: Path, references: Path, tmp_path: Path, environment: dict[str, str], server: Server
) -> None:
    """Once while it plans, once in the middle of the work."""
    output = tmp_path / "output"
    run = Run(environment, *_arguments(many, references, output, "--database", server.url))
    run.wait_until(lambda: _has_schema(server.url))
    server.stop()
    time.sleep(3)
    assert run.is_under_way()
    server.start()
    run.wait_until(lambda: bool(list(output.rglob("*.tif"))))
    server.stop()
    time.sleep(3)
    assert run.is_under_way()
    server.start()
    code, said = run.end()
    assert code == 0, said
    assert "Traceback" not in said
    with open_database(server.url) as database:
        _check_complete(database, output)
        with database.read() as session:
            assert session.connection().exec_driver_sql("SELECT count(*) FROM run").scalar() == 1


def test_a_run_whose_server_stays_away_ends_and_the_next_one_goes_on(
    many: Path, references: Path, tmp_path: Path, environment: dict[str, str], server: Server
) -> None:
    output = tmp_path / "output"
    arguments = _arguments(many, references, output, "--database", server.url)
    run = Run(environment, *arguments, impatient=True)
    run.wait_until(lambda: bool(list(output.rglob("*.tif"))))
    server.stop()
    code, said = run.end()
    assert code == 3, said
    (line,) = [line for line in said.splitlines() if line.startswith("archive-colorizer:")]
    assert "cannot reach the PostgreSQL database" in line
    assert "check that the server is running" in line
    assert "Traceback" not in said
    server.start()
    code, said = Run(environment, *arguments).end()
    assert code == 0, said
    with open_database(server.url) as database:
        _check_complete(database, output)
        with database.read() as session:
            states = session.connection().exec_driver_sql("SELECT state FROM run ORDER BY id").scalars().all()
        assert states == ["crashed", "completed"]


def test_a_run_waits_while_another_program_has_the_file_locked(
    many: Path, references: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    output = tmp_path / "output"
    file = output / "provenance.db"
    run = Run(environment, *_arguments(many, references, output))
    run.wait_until(lambda: _has_views(file))
    with kept_locked(file, 60):  # it plans
        time.sleep(3)
        assert run.is_under_way()
    run.wait_until(lambda: bool(list(output.rglob("*.tif"))))
    with kept_locked(file, 60):
        time.sleep(3)
        assert run.is_under_way()
    code, said = run.end()
    assert code == 0, said
    with open_database(sqlite_url(file)) as database:
        _check_complete(database, output)


def _has_views(file: Path) -> bool:
    if not file.exists():
        return False
    with sqlite3.connect(file) as plain:
        found = plain.execute("SELECT count(*) FROM sqlite_master WHERE name = 'audit_fixity'").fetchone()
    plain.close()
    return bool(found == (1,))


def test_a_run_whose_file_stays_locked_ends_and_the_next_one_goes_on(
    many: Path, references: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    output = tmp_path / "output"
    file = output / "provenance.db"
    arguments = _arguments(many, references, output)
    run = Run(environment, *arguments, impatient=True)
    run.wait_until(lambda: bool(list(output.rglob("*.tif"))))
    with kept_locked(file, 600):
        code, said = run.end()
        assert code == 3, said
        assert f"archive-colorizer: the database {file} is kept locked by another program" in said
        # and so is one that finds it locked from the beginning
        code, said = Run(environment, *arguments, impatient=True).end()
        assert (code, "kept locked by another program" in said) == (3, True)
    code, said = Run(environment, *arguments).end()
    assert code == 0, said
    with open_database(sqlite_url(file)) as database:
        _check_complete(database, output)


@pytest.mark.slow
def test_a_run_waits_for_a_minute_and_no_longer(
    many: Path, references: Path, tmp_path: Path, environment: dict[str, str], server: Server
) -> None:
    output = tmp_path / "output"
    arguments = _arguments(many, references, output, "--database", server.url)
    run = Run(environment, *arguments)
    run.wait_until(lambda: _has_schema(server.url))
    server.stop()
    starter = threading.Timer(45, server.start)
    starter.start()
    run.wait_until(lambda: bool(list(output.rglob("*.tif"))))
    starter.join()
    server.stop()
    code, said = run.end(timeout=150)
    assert (code, "cannot reach" in said) == (3, True)
