"""A film that is cut off anywhere goes on with its first missing segment, and comes out the same to the byte.

Two kills here; KILL_ROUNDS=10 makes it ten.
"""

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from flows.film.workfolder import WORK_FOLDER
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from storage.fixity import PARTIAL_SUFFIX, sha256_file
from tests.flows.conftest import ROOT
from tests.flows.film.films import FOREST, SEA, encode, pan
from tests.flows.test_kill import start

KILLS = int(os.environ.get("KILL_ROUNDS", "2"))
SHOTS = (130, 60, 50, 60)  # frames; the first shot is two segments, so that one goes on from the other
FRAMES = sum(SHOTS)
WAIT = 120.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    (folder / "archive").mkdir()
    (folder / "references").mkdir()
    frames = [frame for number, count in enumerate(SHOTS) for frame in pan((FOREST, SEA)[number % 2], count)]
    encode(frames, folder / "archive" / "film.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
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
    found = {}
    with suppress(FileNotFoundError):  # the film is joined, and its segments and folders go while they are looked at
        for path in (output / WORK_FOLDER).rglob("*.json"):
            found[path.name] = path.stat().st_mtime_ns
    return found


def partial_files(output: Path) -> set[tuple[Path, int]]:
    """Segments that are being written, or were when the process was killed, each with its inode."""
    return {(path, path.stat().st_ino) for path in (output / WORK_FOLDER).rglob(f"*.mkv*{PARTIAL_SUFFIX}")}


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
    assert states[:-1] == ["crashed"] * KILLS + ["interrupted"]


def wait_until_colorizing(process: "subprocess.Popen[bytes]", output: Path, before: set[tuple[Path, int]]) -> None:
    deadline = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(FileNotFoundError):  # it may be renamed meanwhile
            if partial_files(output) - before:
                return
        time.sleep(0.002)


@pytest.fixture(scope="module")
def killed(root: Path) -> Path:
    """The output folder of a run that was killed at random moments while it colorized."""
    moments = random.Random(4)
    output = root / "killed"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_COLORIZER_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    before: dict[str, int] = {}
    for _ in range(KILLS):
        stale = partial_files(output)
        with start(arguments(root, output), environment) as process:
            wait_until_colorizing(process, output, stale)
            time.sleep(moments.uniform(0, 1.2))
            offspring = {child: started_at(child) for child in children(process.pid)}
            process.kill()
        assert process.returncode == -signal.SIGKILL
        gone = time.monotonic() + 5
        while any(began and started_at(child) == began for child, began in offspring.items()):
            assert time.monotonic() < gone, "a child outlives its parent"
            time.sleep(0.01)
        parts = finished_parts(output)
        assert before.items() <= parts.items()  # nothing is made twice
        before = parts
    return output


def test_each_kill_is_a_crashed_run(killed: Path) -> None:
    with sqlite3.connect(killed / "provenance.db") as database:
        states = [state for (state,) in database.execute("SELECT state FROM audit_run ORDER BY run_id")]
    assert states == ["crashed"] * (KILLS - 1) + ["running"]
    assert not (killed / "film.mkv").exists()


def test_interrupted_by_hand_then_one_segment_broken_then_finished(
    root: Path, killed: Path, unbroken: str, environment: Mapping[str, str]
) -> None:
    output = killed
    wanted = max(3, len(finished_parts(output)) + 1)
    stale = partial_files(output)
    with start(arguments(root, output), environment) as process:
        deadline = time.monotonic() + WAIT
        while len(finished_parts(output)) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        wait_until_colorizing(process, output, stale)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.wait(60)
        assert time.monotonic() - began < 15
    assert process.returncode == 130
    assert not list(output.rglob(f"*{PARTIAL_SUFFIX}"))
    assert not (output / "film.mkv").exists()
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("SELECT state FROM audit_run ORDER BY run_id DESC LIMIT 1").fetchall() == [
            ("interrupted",)
        ]
    before = finished_parts(output)
    assert len(before) >= wanted
    broken = sorted((output / WORK_FOLDER).rglob("*.mkv"))[1]
    os.truncate(broken, broken.stat().st_size // 2)

    name = broken.with_suffix(".json").name
    with start(arguments(root, output), environment) as process:
        seen: dict[str, int] = {}
        while process.poll() is None:
            seen |= finished_parts(output)
            time.sleep(0.002)
    assert process.returncode == 0
    assert seen[name] > before[name]
    assert {other: seen[other] for other in before if other != name} == {
        other: when for other, when in before.items() if other != name
    }
    check_complete(output, unbroken)
