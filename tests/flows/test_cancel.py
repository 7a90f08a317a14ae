"""Cancel on Prefect's page: the run stops, nothing of it is left, and the next one goes on."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.fixity import PARTIAL_SUFFIX
from tests.flows.conftest import CommandLine, picture
from tests.flows.workers import alive, command_of, descendants

ITEMS = 40
PATIENCE = 180.0


@pytest.fixture
def many(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    for number in range(ITEMS):
        picture("coffee.png", 300 + number).convert("L").save(tmp_path / "archive" / f"{number}.png")
    return tmp_path / "archive"


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.1)


def api(url: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/{path}", data, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_is_cancelled(
    workers: int,
    many: Path,
    references: Path,
    tmp_path: Path,
    environment: dict[str, str],
    command: CommandLine,
) -> None:
    output, home = tmp_path / "out", tmp_path / "prefect"
    common = [many, "--references", references, "--output", output, "--size", 256, "--workers", workers]
    line = [sys.executable, "-m", "flows.cli", "serve", "--cron", "0 2 * * *", *map(str, common)]
    with (tmp_path / "serve.log").open("wb") as log:
        serving = subprocess.Popen(line, env=environment | {"PREFECT_HOME": str(home)}, cwd=tmp_path, stderr=log)
    try:
        announcement = home / "archive-colorizer-server.url"
        wait_for(lambda: announcement.exists() or serving.poll() is not None, "the server")
        url = announcement.read_text()
        wait_for(lambda: api(url, "deployments/filter", {}), "the deployment")
        (deployment,) = api(url, "deployments/filter", {})
        run = api(url, f"deployments/{deployment['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        wait_for(lambda: [*output.glob("*.tif")], "the first copy")
        family = [pid for pid in descendants(serving.pid) if "server_child" not in command_of(pid)]
        assert len(family) >= 1 + workers  # the run, its decoders, its workers
        api(url, f"flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})  # what the page's button does
        wait_for(lambda: api(url, f"flow_runs/{run['id']}")["state"]["type"] == "CANCELLED", "the end of the run")
        wait_for(lambda: not alive(family), "the end of its processes")
    finally:
        serving.send_signal(signal.SIGTERM)
        try:
            serving.wait(60)
        except subprocess.TimeoutExpired:
            os.kill(serving.pid, signal.SIGKILL)
            serving.wait()
    with sqlite3.connect(output / "provenance.db") as database:
        ((state, done),) = database.execute("SELECT state, done FROM audit_run").fetchall()
    assert state == "interrupted"
    assert done < ITEMS  # what a worker has not recorded yet is done again: some seconds of work
    assert not [*output.rglob(f"*{PARTIAL_SUFFIX}")]
    assert command("run", *common, "--no-prefect").returncode == 0
    with sqlite3.connect(output / "provenance.db") as database:
        (found,) = database.execute("SELECT count(*) FROM colorization WHERE state = 'done'").fetchone()
    assert found == ITEMS
