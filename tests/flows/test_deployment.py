"""A real installation as plain processes on loopback: Prefect server on PostgreSQL, pool, workers, schedule."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.flows.conftest import ROOT
from tests.flows.debian_postgresql import debian_server, free_port
from tests.flows.workers import alive, descendants
from tests.storage.database.restarts import own_server

PATIENCE = 240.0
DEPLOY = ROOT / "deploy"


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.3)


@contextmanager
def process(environment: Mapping[str, str], folder: Path, *line: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A plain process, with everything below it gone at the end of the block."""
    log = (folder / f"{line[0]}-{time.monotonic_ns()}.log").open("wb")
    started = subprocess.Popen(
        [sys.executable, "-m", "prefect", *map(str, line)], env=environment, cwd=folder, stdout=log, stderr=log
    )
    try:
        yield started
    finally:
        family = descendants(started.pid)
        started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        for pid in alive(family):
            os.kill(pid, 9)
        log.close()


def api(url: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    """The server's answer; None while it has none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError):
        return None


@pytest.fixture
def databases() -> Iterator[tuple[str, str]]:
    """One for Prefect, one for the provenance."""
    with debian_server() as first, own_server() as second:
        yield first, second.url


def test_a_scheduled_run_colorizes_an_archive(
    archive: Path, references: Path, tmp_path: Path, environment: dict[str, str], databases: tuple[str, str]
) -> None:
    theirs, ours = databases
    url = f"http://127.0.0.1:{(port := free_port())}/api"
    clean = environment | {
        "HOME": str(tmp_path / "home"),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "no_proxy": "127.0.0.1,localhost",
    }
    served = clean | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": theirs.replace("postgresql://", "postgresql+asyncpg://"),
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
    }
    working = clean | {
        "ARCHIVE_COLORIZER_ARCHIVE": str(archive),
        "ARCHIVE_COLORIZER_REFERENCES": str(references),
        "ARCHIVE_COLORIZER_OUTPUT": str(tmp_path / "out"),
        "ARCHIVE_COLORIZER_DATABASE": ours,
        "ARCHIVE_COLORIZER_SIZE": "64",
    }
    every_minute = clean | {"ARCHIVE_COLORIZER_CRON": "* * * * *", "ARCHIVE_COLORIZER_TIMEZONE": "UTC"}
    with ExitStack() as stack:
        server = process(served, tmp_path, "server", "start", "--host", "127.0.0.1", "--port", port)
        stack.enter_context(server)
        wait_for(lambda: api(url, "health") is True, "the server")
        for line in (
            ["work-pool", "create", "--type", "process", "archive"],
            ["--no-prompt", "deploy", "--prefect-file", DEPLOY / "prefect.yaml", "--all"],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "prefect", *map(str, line)],
                env=every_minute, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
        workers = [
            stack.enter_context(
                process(working, tmp_path, "worker", "start", "--pool", "archive", "--type", "process", "--limit", 1)
            )
            for _ in range(2)
        ]
        rows = _wait_for_run(ours, workers)
        ((flow_run_id, state, done_items, failed),) = rows[:1]
        assert (state, done_items, failed) == ("completed", 3, 0)
        found = api(url, "flow_runs/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}})
        assert found[0]["auto_scheduled"] is True
        wait_for(
            lambda: (
                api(url, "flow_runs/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}})[0]["state_type"]
                == "COMPLETED"
            ),
            "the flow run's end",
        )
        deployments = api(url, "deployments/filter", {})
        form = {one["name"]: one["parameter_openapi_schema"] for one in deployments}
        assert {"nightly", "weekly", "on-demand"} <= set(form)
        fields = form["nightly"]["definitions"]["RunForm"]["properties"]
        assert fields["size"]["maximum"] == 4096
        assert "database" not in fields
        _check_notification(url, every_minute, tmp_path)
        families = [pid for worker in workers for pid in descendants(worker.pid)]
    assert not alive(families)
    assert len([*(tmp_path / "out").rglob("*.tif")]) == 3


def _check_notification(url: str, environment: Mapping[str, str], folder: Path) -> None:
    """A copy is changed by hand: the check of the files fails, and a webhook hears of it."""
    heard: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not to the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        line = [sys.executable, "-m", "flows.orchestration.automations"]
        line += ["--webhook", f"http://127.0.0.1:{server.server_port}/"]
        for _ in range(2):  # the second time changes what is there
            subprocess.run(line, env=environment, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
        assert len(api(url, "automations/filter", {})) == 2
        with (folder / "out" / "cup.png.tif").open("ab") as copy:
            copy.write(b"!")
        (weekly,) = [one for one in api(url, "deployments/filter", {}) if one["name"] == "weekly"]
        api(url, f"deployments/{weekly['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        wait_for(lambda: heard, "the webhook")
        server.shutdown()
    assert heard[0].startswith("verify-fixity Failed")
    assert "cup.png.tif" in heard[0]


def _wait_for_run(url: str, workers: list["subprocess.Popen[bytes]"]) -> list[tuple[str, str, int, int]]:
    """What `audit_run` says, as soon as there is a run that has ended."""
    query = "SELECT flow_run_id, state, done, failed FROM audit_run WHERE ended_at IS NOT NULL ORDER BY run_id"
    rows: list[tuple[str, str, int, int]] = []

    def ended() -> bool:
        assert all(worker.poll() is None for worker in workers)
        with psycopg.connect(url) as connection:
            if connection.execute("SELECT to_regclass('audit_run')").fetchone() == (None,):
                return False
            rows[:] = connection.execute(query).fetchall()
        return bool(rows)

    wait_for(ended, "a run on record")
    return rows


def test_the_deployments_are_what_the_program_has() -> None:
    from prefect.flows import load_flow_from_entrypoint

    found = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())
    names = {load_flow_from_entrypoint(one["entrypoint"]).name for one in found["deployments"]}
    assert names == {"colorize-archive", "index-references", "verify-fixity"}
    assert all(one["concurrency_limit"]["limit"] == 1 for one in found["deployments"])
