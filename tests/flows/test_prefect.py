"""Through Prefect: the run on record there, the server that never outlives us, and a schedule that really schedules."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.orchestration.parameters import parameters_of, settings_of
from flows.orchestration.schedule import deployment_name
from flows.orchestration.server import keep_loopback_off_proxies
from flows.settings import run_settings
from tests.flows.conftest import CommandLine

PATIENCE = 150  # seconds; a server with a new database needs 10 to 30


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: making Prefect's database is the slowest part."""
    return tmp_path_factory.mktemp("prefect-home")


@pytest.fixture
def environment(environment: dict[str, str], prefect_home: Path, tmp_path: Path) -> dict[str, str]:
    return environment | {"PREFECT_HOME": str(prefect_home), "HOME": str(tmp_path / "home")}


def server_pids(parent: int) -> list[int]:
    """The Prefect servers started for a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"flows.orchestration.server_child" in line and line[-2] == str(parent).encode():
            found.append(int(folder.name))
    return found


def children_of(pid: int) -> list[int]:
    """All descendants of a process."""
    children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [further for child in children for further in children_of(child)]


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.1)


@pytest.fixture
def serving(
    archive: Path, references: Path, tmp_path: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-m", "flows.cli", "serve", "--cron", "0 2 * * *", str(archive)]
    line += ["--references", str(references), "--output", str(tmp_path / "out"), "--size", "64"]
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    yield process
    process.kill()
    process.communicate()
    Path(environment["PREFECT_HOME"], "archive-colorizer-server.url").unlink(missing_ok=True)  # for the next test


def api(url: str, path: str, body: dict[str, object]) -> list[dict[str, object]]:
    request = urllib.request.Request(
        f"{url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                found: list[dict[str, object]] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:  # 503: its SQLite is busy, try again
                raise
            time.sleep(0.5)


def test_run_is_on_record_in_prefect(
    archive: Path, references: Path, tmp_path: Path, command: CommandLine, prefect_home: Path
) -> None:
    output = tmp_path / "out"
    arguments = ["run", archive, "--references", references, "--output", output, "--size", 64, "--batch-size", 2]
    # a proxy, as many offices have one, that does not know the way to our loopback address (nor answers at all)
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), "http://127.0.0.1:9")
    answer = command(*arguments, **proxies)
    assert answer.returncode == 0, answer.stderr
    assert "prefect" not in answer.stdout.lower()
    with sqlite3.connect(output / "provenance.db") as ours:
        ((flow_run_id, state),) = ours.execute("SELECT flow_run_id, state FROM audit_run").fetchall()
    assert state == "completed"
    with sqlite3.connect(prefect_home / "prefect.db") as theirs:
        name = theirs.execute("SELECT state_name FROM flow_run WHERE id = ?", (flow_run_id,)).fetchone()
        tasks = theirs.execute("SELECT name FROM task_run WHERE flow_run_id = ?", (flow_run_id,)).fetchall()
        kinds = theirs.execute("SELECT type FROM artifact WHERE flow_run_id = ?", (flow_run_id,)).fetchall()
    assert name == ("Completed",)
    assert sorted(tasks) == [
        ("1 photographs from cup.png",),
        ("2 photographs from album/portrait.jpg",),
    ]  # one task for each batch, never for each item
    assert sorted(kinds) == [("markdown",), ("table",)]
    assert not (tmp_path / "home" / ".prefect").exists()

    again = command(*arguments)
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    with sqlite3.connect(prefect_home / "prefect.db") as theirs:
        assert theirs.execute("SELECT COUNT(*) FROM flow_run").fetchone() == (1,)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "intra.example, localhost"}, "intra.example,localhost,127.0.0.1"),
        ({"no_proxy": "intra.example"}, "intra.example,127.0.0.1,localhost"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_our_own_server_is_never_asked_for_through_a_proxy(before: dict[str, str], after: str) -> None:
    environment = dict(before)
    keep_loopback_off_proxies(environment)
    assert {environment["no_proxy"], environment.get("NO_PROXY", after)} == {after}


def test_server_dies_with_a_killed_run(
    archive: Path, references: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    line = [sys.executable, "-m", "flows.cli", "run", str(archive), "--references", str(references)]
    with subprocess.Popen([*line, "--output", str(tmp_path / "out")], env=environment, cwd=tmp_path) as run:
        wait_for(lambda: server_pids(run.pid) or run.poll() is not None, "the server")
        assert server_pids(run.pid)
        run.kill()
    wait_for(lambda: not server_pids(run.pid), "the end of the server")


def test_the_work_is_done_and_the_end_is_quick_when_the_server_is_killed(
    archive: Path, references: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    for number in range(30):
        shutil.copy(archive / "cup.png", archive / f"cup {number}.png")
    output = tmp_path / "out"
    line = [sys.executable, "-m", "flows.cli", "run", str(archive), "--references", str(references)]
    line += ["--output", str(output), "--size", "64", "--batch-size", "4"]
    with subprocess.Popen(
        line, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        wait_for(lambda: any(output.glob("*.tif")) or run.poll() is not None, "the first copy")
        for pid in server_pids(run.pid):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(list(output.rglob("*.tif"))) == 33 or run.poll() is not None, "the last copy")
        stdout, stderr = run.communicate(timeout=60)  # it does not wait for what is gone
    assert run.returncode == 0, stderr
    assert "gallery: " in stdout
    assert stderr.splitlines()[-1].startswith("Prefect was lost")
    assert "Traceback" not in stderr
    with sqlite3.connect(output / "provenance.db") as ours:
        assert ours.execute("SELECT state, done FROM audit_run").fetchall() == [("completed", 33)]


def test_parameters_are_clean_text_without_the_database_and_come_back(
    archive: Path, references: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "Nachla") + b"\xdf \\x41"))
    archive.rename(odd)
    url = "postgresql://colorizer:secret@host/archive"
    settings = run_settings({"archive": odd, "references": references, "output": tmp_path / "out", "database": url})
    parameters = parameters_of(settings)
    written = json.dumps(parameters, ensure_ascii=False).encode()
    assert b"secret" not in written
    monkeypatch.setenv("ARCHIVE_COLORIZER_DATABASE", url)
    assert settings_of(json.loads(written)) == settings


def test_two_first_runs_at_once_in_a_fresh_home(
    archive: Path, references: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "Nachla") + b"\xdf"))  # as Latin-1 systems named folders
    archive.rename(odd)
    home = tmp_path / "fresh home"
    home.mkdir()
    (home / "server-run-999999999.log").touch()
    line = [sys.executable, "-m", "flows.cli", "run", odd, "--references", str(references), "--size", "64"]
    both = [
        subprocess.Popen(
            [*line, "--output", str(tmp_path / f"out {number}")],
            env=environment | {"PREFECT_HOME": str(home)},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [process.communicate(timeout=2 * PATIENCE)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert not [line for one in said for line in one.splitlines() if "Prefect was lost" in line]
    logs = {path.name for path in home.glob("*.log")}
    assert logs == {f"server-run-{process.pid}.log" for process in both}
    with sqlite3.connect(home / "prefect.db") as theirs:
        assert theirs.execute("SELECT state_name FROM flow_run").fetchall() == [("Completed",)] * 2


def test_a_schedule_of_dry_runs_is_refused(
    archive: Path, references: Path, tmp_path: Path, command: CommandLine
) -> None:
    line = ["serve", "--cron", "0 2 * * *", archive, "--references", references, "--output", tmp_path / "out"]
    answer = command(*line, ARCHIVE_COLORIZER_DRY_RUN="1", timeout=60)
    assert answer.returncode == 1
    assert "unset ARCHIVE_COLORIZER_DRY_RUN" in answer.stderr


def test_schedule_gets_a_scheduled_run_and_stops_cleanly(serving: subprocess.Popen[str], prefect_home: Path) -> None:
    announcement = prefect_home / "archive-colorizer-server.url"
    wait_for(lambda: announcement.exists() or serving.poll() is not None, "the server")
    assert serving.poll() is None, serving.communicate()[1]
    url = announcement.read_text()
    wait_for(lambda: api(url, "deployments/filter", {}), "the deployment")
    (deployment,) = api(url, "deployments/filter", {})
    assert deployment["schedules"][0]["schedule"]["cron"] == "0 2 * * *"  # type: ignore[index]
    query: dict[str, object] = {
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "deployments": {"id": {"any_": [deployment["id"]]}},
    }
    wait_for(lambda: api(url, "flow_runs/filter", query), "a scheduled run")
    children = server_pids(serving.pid)
    assert len(children) == 1
    serving.send_signal(signal.SIGTERM)
    _, stderr = serving.communicate(timeout=180)
    assert serving.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert not server_pids(serving.pid)
    assert not announcement.exists()


def test_a_due_run_colorizes_and_a_stop_in_the_middle_leaves_no_child(
    serving: subprocess.Popen[str], prefect_home: Path, archive: Path, tmp_path: Path
) -> None:
    announcement = prefect_home / "archive-colorizer-server.url"
    wait_for(lambda: announcement.exists() or serving.poll() is not None, "the server")
    url = announcement.read_text()
    name = {"deployments": {"name": {"any_": [deployment_name(output=tmp_path / "out", archive=archive)]}}}
    wait_for(lambda: api(url, "deployments/filter", name), "the deployment")
    (deployment,) = api(url, "deployments/filter", name)
    start = f"deployments/{deployment['id']}/create_flow_run"
    database = tmp_path / "out" / "provenance.db"

    def states() -> list[tuple[str, int]]:
        if not database.exists():
            return []
        with sqlite3.connect(database) as opened:
            try:
                return opened.execute("SELECT state, done FROM audit_run ORDER BY run_id").fetchall()
            except sqlite3.OperationalError:  # being made
                return []

    api(url, start, {"state": {"type": "SCHEDULED"}})
    wait_for(lambda: states() == [("completed", 3)], "the first run")
    for number in range(30):
        shutil.copy(archive / "cup.png", archive / f"cup {number}.png")
    api(url, start, {"state": {"type": "SCHEDULED"}})
    wait_for(lambda: ("running", 0) in states(), "the second run")
    family = children_of(serving.pid)
    assert len(family) >= 2
    serving.send_signal(signal.SIGTERM)
    serving.communicate(timeout=180)
    assert serving.returncode == 0
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


def test_a_killed_schedule_takes_its_run_along(
    serving: subprocess.Popen[str], prefect_home: Path, archive: Path, tmp_path: Path
) -> None:
    for number in range(60):
        shutil.copy(archive / "cup.png", archive / f"cup {number}.png")
    announcement = prefect_home / "archive-colorizer-server.url"
    wait_for(lambda: announcement.exists() or serving.poll() is not None, "the server")
    url = announcement.read_text()
    name: dict[str, object] = {
        "deployments": {"name": {"any_": [deployment_name(output=tmp_path / "out", archive=archive)]}}
    }
    wait_for(lambda: api(url, "deployments/filter", name), "the deployment")
    (deployment,) = api(url, "deployments/filter", name)
    api(url, f"deployments/{deployment['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    wait_for(lambda: any((tmp_path / "out").glob("*.tif")), "the first copy")
    family = children_of(serving.pid)
    serving.kill()
    serving.wait()
    announcement.unlink()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]
