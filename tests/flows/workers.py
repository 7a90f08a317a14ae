"""Processes of a run that is spread: which they are, and a worker that some file kills."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 180.0

_KILLER = """
import os, sys
def hook(event, arguments):
    if event == "open" and "deadly" in str(arguments[0]) and ".tif" in str(arguments[0]) and arguments[2] & 1:
        os.kill(os.getpid(), 9)
sys.addaudithook(hook)
"""


def deadly(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """An environment whose processes die when they write the copy of a `deadly` item."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_KILLER)
    return {**environment, "PYTHONPATH": os.pathsep.join([str(folder), environment["PYTHONPATH"]])}


def descendants(pid: int) -> list[int]:
    """All processes below one, the nearest first."""
    try:
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(one) for one in (task / "children").read_text().split() if int(one) not in children]
    except OSError:
        return []
    return children + [further for child in children for further in descendants(child)]


def workers_of(pid: int) -> list[int]:
    """The worker processes of a run: they have a decoder, or will have one."""
    return [one for one in descendants(pid) if "spawn_main" in command_of(one)]


def command_of(pid: int) -> str:
    """Its command line; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def alive(pids: list[int]) -> list[int]:
    """Those that still run; the dead that nobody has waited for do not count."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.append(pid)
    return found


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str]", seconds: float = PATIENCE) -> None:
    """Until it is true, or the process has ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(environment: Mapping[str, str], *arguments: object) -> "Iterator[subprocess.Popen[str]]":
    """The command line, killed at the end of the block if it has not ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def dask_cluster(environment: Mapping[str, str], folder: Path, workers: int) -> Iterator[str]:
    """A scheduler and workers as processes of their own, as an administrator starts them; its address."""
    file = folder / "scheduler.json"
    program = [sys.executable, "-m", "dask"]
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    lines = [[*program, "scheduler", "--host", "127.0.0.1", "--port", "0", *common]]
    lines += [[*program, "worker", "--nthreads", "1", "--memory-limit", "0", "--host", "127.0.0.1", *common]] * workers
    processes = [
        subprocess.Popen(line, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for line in lines
    ]
    try:
        deadline = time.monotonic() + PATIENCE
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

        address: str = json.loads(file.read_text())["address"]
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
