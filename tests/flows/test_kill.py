"""Kill it anywhere, start it again, and it goes on where it was.

Two rounds here; KILL_ROUNDS=10 makes it ten.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from storage.fixity import PARTIAL_SUFFIX
from storage.images import read_master
from tests.flows.conftest import CommandLine, picture

ITEMS = 10
ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    names = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
    for number in range(ITEMS):
        (folder / f"box {number % 2}").mkdir(exist_ok=True)
        image = picture(names[number % 4], 300 + 10 * number).convert("L")
        image.save(folder / f"box {number % 2}" / f"{number}.jpg")
    return folder


def start(arguments: list[object], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    return subprocess.Popen(
        line,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # as a terminal does: tests that run in the background have SIGINT ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def check_complete(output: Path) -> None:
    """Each item exactly once done, each copy whole and as recorded, nothing half-written, the database sound."""
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        current = database.execute(
            "SELECT item_id, state, output_path, output_sha256 FROM colorization WHERE superseded_at IS NULL"
        ).fetchall()
        running = database.execute("SELECT COUNT(*) FROM run WHERE state = 'running'").fetchone()
    assert running == (0,)
    assert len(current) == len({row[0] for row in current}) == ITEMS
    assert {row[1] for row in current} == {"done"}
    for _, _, path, sha256 in current:
        assert read_master(output / path).sha256 == sha256
    copies = {str(path.relative_to(output)) for path in output.rglob("*.tif")}
    assert copies == {row[2] for row in current}
    assert not list(output.rglob(f"*{PARTIAL_SUFFIX}"))


def is_at_work(output: Path, copies: int) -> bool:
    """Whether there is a database, and as many copies."""
    return (output / "provenance.db").exists() and len([*output.rglob("*.tif")]) >= copies


def test_kill_at_random_moments(
    many: Path, references: Path, tmp_path: Path, environment: dict[str, str], command: CommandLine
) -> None:
    moments = random.Random(7)
    common = ["--references", references, "--size", 128, "--batch-size", 4, "--no-prefect"]
    killed = 0
    for number in range(ROUNDS):
        output = tmp_path / f"round-{number}"
        arguments = ["run", many, *common, "--output", output]
        with start(arguments, environment) as process:
            copies = moments.randrange(ITEMS - 4)  # then it is at work, however fast the machine is
            while process.poll() is None and not is_at_work(output, copies):
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.3))
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        answer = command(*arguments)
        assert answer.returncode == 0, answer.stderr
        check_complete(output)
    assert killed
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if not path.name.startswith("provenance.db")}
    answer = command(*arguments)
    assert answer.returncode == 0
    assert f"nothing to do: {ITEMS} of {ITEMS} items are done" in answer.stdout
    assert {
        path: path.stat().st_mtime_ns for path in output.rglob("*") if not path.name.startswith("provenance.db")
    } == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_cleanly(
    number: signal.Signals,
    many: Path,
    references: Path,
    tmp_path: Path,
    environment: dict[str, str],
    command: CommandLine,
) -> None:
    output = tmp_path / "output"
    arguments = ["run", many, "--references", references, "--size", 128, "--no-prefect", "--output", output]
    with start(arguments, environment) as process:
        deadline = time.monotonic() + 120
        while not list(output.rglob("*.tif")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
    assert process.returncode == 130
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("SELECT state FROM audit_run").fetchall() == [("interrupted",)]
    assert not list(output.rglob(f"*{PARTIAL_SUFFIX}"))
    assert command(*arguments).returncode == 0
    check_complete(output)


def test_locked_output_is_refused(
    many: Path, references: Path, tmp_path: Path, environment: dict[str, str], command: CommandLine
) -> None:
    output = tmp_path / "output"
    arguments = ["run", many, "--references", references, "--size", 128, "--no-prefect", "--output", output]
    with start(arguments, environment) as process:
        while not is_at_work(output, 0) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)  # so that it is still there when the other begins
        answer = command(*arguments)
        assert process.poll() is None
        process.kill()
    assert answer.returncode == 3
    assert "another run is at work in the output folder" in answer.stderr
