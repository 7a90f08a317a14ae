"""A PostgreSQL server of the distribution, with the extensions that Prefect needs and the one from PyPI lacks."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

PATIENCE = 60.0


def free_port() -> int:
    """A port on loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def debian_server() -> Iterator[str]:
    """Its URL, of an empty database; the test is skipped where the package `postgresql` is missing.

    It ends with the block, and with this process when that is killed.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("the package postgresql is not installed")
    program = programs[-1]
    folder = Path(tempfile.mkdtemp(prefix="archive-colorizer-postgresql-", dir="/tmp"))
    other_user: list[str] = []
    if os.geteuid() == 0:  # which it refuses to run as
        shutil.chown(folder, "postgres", "postgres")
        other_user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run_as = ["setpriv", *other_user]
    data, port = folder / "data", free_port()
    initialize = [program.with_name("initdb"), "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*run_as, *map(str, initialize)], check=True, capture_output=True, cwd=folder)
    line = [program, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", folder, "-c", "fsync=off"]
    with (folder.with_name(f"{folder.name}.log")).open("wb") as log:
        server = subprocess.Popen(
            [*run_as, "--pdeathsig", "INT", *map(str, line)], stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
    url = f"postgresql://tests@127.0.0.1:{port}/postgres"
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(url):
            assert server.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        server.send_signal(2)  # fast shutdown, postgres(1)
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
        Path(log.name).unlink(missing_ok=True)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
