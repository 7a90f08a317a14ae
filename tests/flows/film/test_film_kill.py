"""A film that is cut off anywhere goes on with its first missing segment, and comes out the same to the byte."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from flows.archive_run import run_archive
from flows.film.workfolder import WORK_FOLDER
from flows.progress import SilentProgress
from flows.settings import run_settings
from storage.fixity import PARTIAL_SUFFIX, sha256_file
from tests.flows.film.films import FOREST, SEA, encode, pan
from tests.flows.test_kill import start

KILLS = 10
FRAMES = 300
WAIT = 120.0


def wild(count: int) -> list[np.ndarray]:
    """A pan there and back over a photograph, so that every frame differs from the next."""
    frames = pan(SEA, count // 2)
    return [*frames, *reversed(frames)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    (folder / "archive").mkdir()
    (folder / "references").mkdir()
    encode(wild(FRAMES), folder / "archive" / "film.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    for picture in (FOREST, SEA):
        (folder / "references" / picture.name).write_bytes(picture.read_bytes())
    return folder


@pytest.fixture(scope="module")
def unbroken(root: Path) -> str:
    """The digest of the film that nothing interrupted."""
    given = {"archive": root / "archive", "references": root / "references", "output": root / "whole", "size": 64}
    summary = run_archive(run_settings(given), SilentProgress())
    assert (summary.done, summary.failures) == (1, ())
    return sha256_file(root / "whole" / "film.mkv")


def arguments(root: Path, output: Path) -> list[object]:
    folders = [root / "archive", "--references", root / "references", "--output", output]
    return ["run", *folders, "--size", 64, "--no-prefect"]


def finished_parts(output: Path) -> dict[str, int]:
    """The segments on disk that are whole, with the times at which they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (output / WORK_FOLDER).rglob("*.json")}


def under_way(output: Path) -> list[Path]:
    """Segments that are being written."""
    return list((output / WORK_FOLDER).rglob(f"*.mkv*{PARTIAL_SUFFIX}"))


def children(parent: int) -> dict[int, str]:
    """The processes that a process has started, with their commands."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def started_at(process: int) -> str | None:
    """What tells a process from a later one with the same number; None if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def check_complete(output: Path, digest: str) -> None:
    assert sha256_file(output / "film.mkv") == digest
    assert not list(output.rglob(f"*{PARTIAL_SUFFIX}"))
    assert not [path for path in (output / WORK_FOLDER).rglob("*") if path.is_file()]
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT state, frames FROM colorization").fetchall() == [("done", FRAMES)]
        assert database.execute("SELECT SUM(frames) FROM audit_shot").fetchall() == [(FRAMES,)]
        states = [state for (state,) in database.execute("SELECT state FROM audit_run ORDER BY run_id")]
    assert states[-1] == "completed"
    assert set(states[:-1]) <= {"crashed", "interrupted"}


def test_ten_kills_at_random_moments(root: Path, unbroken: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    moments = random.Random(4)
    output = tmp_path / "output"
    killed = 0
    before: dict[str, int] = {}
    while killed < KILLS:
        with start(arguments(root, output), environment) as process:
            deadline = time.monotonic() + WAIT
            while not under_way(output) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.9))
            offspring = {child: started_at(child) for child in children(process.pid)}
            process.kill()
        if process.returncode == 0:
            break  # it was quicker than the moment that was chosen
        assert process.returncode == -signal.SIGKILL
        killed += 1
        gone = time.monotonic() + 5
        while any(began and started_at(child) == began for child, began in offspring.items()):
            assert time.monotonic() < gone, "a child outlives its parent"
            time.sleep(0.01)
        parts = finished_parts(output)
        assert before.items() <= parts.items() or not parts
        before = parts
    assert killed >= 3
    if process.returncode:
        with start(arguments(root, output), environment) as process:
            pass
    assert process.returncode == 0
    check_complete(output, unbroken)


def wait_for_parts(process: "object", output: Path, count: int) -> None:
    deadline = time.monotonic() + WAIT
    while len(finished_parts(output)) < count and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_broken_segment_alone_is_made_again(
    root: Path, unbroken: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with start(arguments(root, output), environment) as process:
        wait_for_parts(process, output, 3)
        process.kill()
    before = finished_parts(output)
    assert len(before) >= 3
    broken = sorted((output / WORK_FOLDER).rglob("*.mkv"))[1]
    os.truncate(broken, broken.stat().st_size // 2)
    with start(arguments(root, output), environment) as process:
        deadline = time.monotonic() + WAIT
        while (now := finished_parts(output)).get(broken.with_suffix(".json").name) in (
            None,
            before[broken.with_suffix(".json").name],
        ):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.001)
        assert {name for name, when in now.items() if before.get(name) not in (None, when)} == {
            broken.with_suffix(".json").name
        }
    assert process.returncode == 0
    check_complete(output, unbroken)


def test_interrupted_by_hand(root: Path, unbroken: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    output = tmp_path / "output"
    with start(arguments(root, output), environment) as process:
        wait_for_parts(process, output, 1)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.wait(60)
        assert time.monotonic() - began < 15
    assert process.returncode == 130
    assert not list(output.rglob(f"*{PARTIAL_SUFFIX}"))
    assert not (output / "film.mkv").exists()
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("SELECT state FROM audit_run").fetchall() == [("interrupted",)]
    kept = finished_parts(output)
    assert kept
    with start(arguments(root, output), environment) as process:
        pass
    assert process.returncode == 0
    check_complete(output, unbroken)
