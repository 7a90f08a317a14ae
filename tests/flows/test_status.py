"""What an administrator is told in the morning; on SQLite and PostgreSQL, beside a real Prefect server or none."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from flows.cli.status import status
from flows.errors import UsageError
from flows.orchestration.deployed import index_references, verify_fixity
from flows.orchestration.flow import colorize_archive
from flows.status.prefect import FLOW_NAMES, Schedules, schedules
from flows.status.printing import as_json, in_words
from flows.status.standing import Standing, open_for_status, standing_of
from storage.database import Database, DatabaseError, colorizations, runs, standing
from storage.database.models import Run
from storage.database.types import now
from tests.storage.database.conftest import db as db
from tests.storage.database.conftest import postgresql_server as postgresql_server
from tests.storage.database.conftest import postgresql_template as postgresql_template
from tests.storage.database.conftest import postgresql_url as postgresql_url
from tests.storage.database.conftest import sqlite_template as sqlite_template
from tests.storage.database.conftest import url as url
from tests.storage.database.filled import all_rows, fill
from tests.storage.database.samples import add_items, done, failed, start_run

PATIENCE = 150  # seconds; a server with a new database needs 10 to 30
LONG_LIVED = 1  # the first process: it is there, and was before any run that a test says began an hour ago


@pytest.fixture
def no_prefect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "ARCHIVE_COLORIZER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect-home"))


def ask(*arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    app = typer.Typer()
    app.command()(status)
    answer = CliRunner().invoke(app, [*arguments], standalone_mode=False)
    if answer.exception is not None:
        raise answer.exception
    return int(answer.return_value), answer.stdout


def words(found: Standing) -> str:
    return "\n".join(in_words(found, Schedules()))


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_an_empty_database(db: Database) -> None:
    found = standing_of(db)
    assert not found.is_bad
    assert words(found).splitlines()[:2] == ["running: nothing", "last run: none yet"]


def test_a_run_under_way_tells_how_far_it_is(db: Database) -> None:
    ids = add_items(db, *(f"{number}.tif" for number in range(8)))
    began = now() - timedelta(minutes=30)
    run_id = start_run(db, started_at=began, pid=LONG_LIVED)
    runs.set_planned(db, run_id, items=28, skipped=2)
    old = [done(one, created_at=began + timedelta(minutes=1)) for one in ids[:2]]
    late = [done(one, created_at=now() - timedelta(minutes=2)) for one in ids[2:7]]
    colorizations.record(db, run_id, [*old, *late, failed(ids[7], created_at=now() - timedelta(minutes=1))])
    before = all_rows(db)
    found = standing_of(db)
    (one,) = found.running
    assert one.is_alive is True
    assert one.per_second == pytest.approx(6 / 600, rel=0.01)  # six in ten minutes, and not what was long ago
    assert one.seconds_left == pytest.approx(18 * 100, rel=0.01)
    assert not found.is_bad
    text = words(found)
    assert f"running: run {run_id} since" in text
    assert f"process {LONG_LIVED} on {socket.gethostname()}" in text
    assert "10 of 28 items: 7 done, 1 failed, 2 skipped; 0.6 a minute, 30 min" in text
    assert "  failed: 1 truncated" in text
    assert "    7.tif: the file ends too early: copy it again" in text
    assert all_rows(db) == before


def test_where_the_last_minutes_brought_nothing_the_rate_is_that_of_the_run(db: Database) -> None:
    (item,) = add_items(db, "film.mkv")
    began = now() - timedelta(hours=2)
    run_id = start_run(db, started_at=began, pid=LONG_LIVED)
    runs.set_planned(db, run_id, items=2, skipped=0)
    colorizations.record(db, run_id, [done(item, created_at=began + timedelta(hours=1))])
    (one,) = standing_of(db).running
    assert one.seconds_left == pytest.approx(7200, rel=0.01)


def test_a_run_whose_process_is_gone_is_told_of_and_left_as_it_is(db: Database) -> None:
    run_id = start_run(db, started_at=now(), pid=dead_pid())
    found = standing_of(db)
    assert found.is_bad
    assert "stopped without finishing; the next run goes on from there" in words(found)
    assert json.loads(as_json(found, Schedules()))["running"][0]["state"] == "dead"
    stored = runs.get(db, run_id)
    assert stored is not None
    assert stored.state == "running"


def test_a_number_that_another_process_has_now_is_not_taken_for_the_run(db: Database) -> None:
    start_run(db, started_at=now() - timedelta(days=400), pid=os.getpid())
    assert [one.is_alive for one in standing_of(db).running] == [False]


def test_a_process_that_has_ended_and_was_not_waited_for_is_gone(db: Database) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        deadline = time.monotonic() + 60
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline
        start_run(db, started_at=now(), pid=process.pid)
        assert [one.is_alive for one in standing_of(db).running] == [False]


def test_of_another_machine_nobody_here_knows_whether_it_lives(db: Database) -> None:
    start_run(db, started_at=now(), hostname="somewhere-else", pid=1)
    found = standing_of(db)
    assert [one.is_alive for one in found.running] == [None]
    assert not found.is_bad
    assert "on somewhere-else (whether it lives shows only there)" in words(found)


def test_what_the_last_run_came_to(db: Database) -> None:
    ids = add_items(db, *(f"{number}.tif" for number in range(10)))
    run_id = start_run(db)
    runs.set_planned(db, run_id, items=12, skipped=2)
    kinds = ["truncated"] * 5 + ["unsupported"] * 2
    bad = [failed(one, error_type=kind, message=f"{kind}\nfor a reason") for one, kind in zip(ids, kinds, strict=False)]
    colorizations.record(db, run_id, [*bad, *(done(one, low_match=one == ids[9]) for one in ids[7:])])
    runs.finish(db, run_id, "completed_with_failures")
    found = standing_of(db)
    assert not found.is_bad
    lines = words(found).splitlines()
    assert lines[0] == "running: nothing"
    assert lines[1].startswith(f"last run: run {run_id} completed with failures at ")
    assert "  12 items: 3 done, 7 failed, 2 skipped" in lines
    assert "  failed: 5 truncated, 2 unsupported" in lines
    assert "    6.tif: unsupported for a reason" in lines
    assert f"    and 2 more; `archive-colorizer audit failures --run {run_id}` lists them" in lines
    assert "  not reviewed: 3, 1 of them with a reference that may not fit" in lines


def test_the_latest_run_decides_whether_something_is_wrong(db: Database) -> None:
    runs.finish(db, start_run(db), "failed", "no space\nleft")
    assert standing_of(db).is_bad
    assert "  no space left" in words(standing_of(db)).splitlines()
    start_run(db, started_at=now())
    assert not standing_of(db).is_bad


def test_one_run_or_one_folder_may_be_asked_for(db: Database, tmp_path: Path) -> None:
    first = start_run(db, output_root=str(tmp_path / "a"))
    runs.finish(db, first, "crashed")
    second = start_run(db, output_root=str(tmp_path / "b"), flow_run_id="other")
    runs.finish(db, second, "completed")
    last = [standing_of(db, output=tmp_path / name).last for name in "ab"]
    assert [one and one.run.id for one in last] == [first, second]
    asked = standing_of(db, run_id=first)
    assert asked.is_bad
    with pytest.raises(UsageError, match="audit runs"):
        standing_of(db, run_id=99)


def test_no_query_reads_all_of_a_large_table(db: Database) -> None:
    run_id = fill(db)
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if "FROM colorization" in statement:
            asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        standing.failure_kinds(db, run_id)
        standing.newest_failures(db, run_id, 5)
        standing.latest_outcomes(db, run_id)
        standing.unreviewed(db, run_id, low_match=True)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert len(asked) == 4
    with db.read() as session:
        if db.dialect == "postgresql":  # which reads tables of a few rows whole, if it may
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        for statement, parameters in asked:
            explain = "EXPLAIN QUERY PLAN" if db.dialect == "sqlite" else "EXPLAIN"
            plan = session.connection().exec_driver_sql(f"{explain} {statement}", parameters)
            lines = [str(row[-1]) for row in plan]
            assert not [line for line in lines if "Seq Scan" in line], lines
            newest_first = "ORDER BY colorization.id DESC" in statement  # along the primary key, until there are enough
            assert newest_first or "SCAN colorization" not in lines, lines


def test_the_command_on_a_real_file(db: Database, url: str, no_prefect: None) -> None:
    fill(db)
    with db.write() as session:  # the second run of `fill` is by this process; let it be a crashed one
        session.execute(sa.update(Run).where(Run.state == "running").values(pid=dead_pid()))
    code, text = ask("--database", url)
    assert code == 2
    assert "stopped without finishing" in text
    assert "schedule: no Prefect server is known here" in text
    code, text = ask("--database", url, "--format", "json", "--run", "1")
    assert code == 0
    document = json.loads(text)
    assert document["ok"] is True
    assert document["last"]["failures"] == {"truncated": 1}
    assert document["prefect"] == {"url": None, "problem": None, "deployments": []}


def test_nothing_is_written_into_a_folder_that_is_for_reading(tmp_path: Path, sqlite_template: Path) -> None:
    file = tmp_path / "provenance.db"
    file.write_bytes(sqlite_template.read_bytes())
    with (
        open_for_status(None, tmp_path) as opened,
        pytest.raises(DatabaseError),
        opened.write() as session,
    ):
        session.execute(sa.text("DELETE FROM run"))
    assert file.read_bytes() == sqlite_template.read_bytes()


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no database"), open_for_status(None, tmp_path):
        pass
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        away = f"postgresql://nobody@127.0.0.1:{taken.getsockname()[1]}/nothing"
        with pytest.raises(DatabaseError), open_for_status(away, None):
            pass


@pytest.fixture
def strange_server() -> Iterator[str]:
    """Answers everything with a page, as the server of somebody else would."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def test_a_server_that_is_away_or_another_one_is_told_of(strange_server: str) -> None:
    asked = schedules({"PREFECT_API_URL": strange_server})
    assert asked.problem is not None
    assert "not as a Prefect server does" in asked.problem
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = schedules({"PREFECT_API_URL": f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}/api"})
        assert away.problem is not None
        assert "does not answer" in away.problem
        assert "secret" not in str(away)
        taken.listen()  # takes the connection and never says a word
        mute = schedules({"PREFECT_API_URL": f"http://127.0.0.1:{taken.getsockname()[1]}/api"}, limit=0.5)
        assert mute.problem is not None
    wrong = schedules({"PREFECT_API_URL": "file:///etc/passwd"})
    assert wrong.problem is not None


def test_the_flows_are_looked_for_by_their_names() -> None:
    assert sorted(FLOW_NAMES) == sorted(flow.name for flow in (colorize_archive, verify_fixity, index_references))


def api(url: str, path: str, body: dict[str, object]) -> Any:
    """What Prefect's API answers; again while its SQLite is busy (503)."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/{path}", json.dumps(body).encode(), headers)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def add_pool_with_a_late_run(url: str) -> None:
    """A work pool with one worker, and a run of a deployment there that should have begun long ago."""
    api(url, "work_pools/", {"name": "gpu pool", "type": "process"})
    api(url, "work_pools/gpu%20pool/workers/heartbeat", {"name": "worker 1"})
    (flow,) = api(url, "flows/filter", {})
    one = api(url, "deployments/", {"name": "zone 2", "flow_id": flow["id"], "work_pool_name": "gpu pool"})
    details = {"scheduled_time": "2026-03-01T02:00:00Z"}
    late = {"type": "SCHEDULED", "name": "Late", "state_details": details}
    api(url, f"deployments/{one['id']}/create_flow_run", {"state": late})


def test_what_a_real_server_has_planned(
    archive: Path, references: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    environment |= {"PREFECT_HOME": str(tmp_path / "prefect-home"), "HOME": str(tmp_path / "home")}
    assert schedules(environment) == Schedules()
    line = [sys.executable, "-m", "flows.cli", "serve", "--cron", "0 2 * * *", str(archive)]
    line += ["--references", str(references), "--output", str(tmp_path / "out"), "--size", "64"]
    process = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        deadline = time.monotonic() + PATIENCE
        while not ((found := schedules(environment)).deployments and found.deployments[0].next_runs):
            assert process.poll() is None
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        assert found.url is not None
        add_pool_with_a_late_run(found.url)
        while len((found := schedules(environment)).deployments) < 2:  # away for a moment where its SQLite is busy
            assert time.monotonic() < deadline, found
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert found.problem is None
    deployment, pooled = found.deployments
    assert (pooled.pool, pooled.workers, pooled.late, pooled.next_runs) == ("gpu pool", 1, 1, ())
    assert deployment.name.startswith("archive-")
    assert (deployment.pool, deployment.workers, deployment.late, deployment.is_paused) == (None, None, 0, False)
    assert list(deployment.next_runs) == sorted(deployment.next_runs)
    assert len({time.astimezone().date() for time in deployment.next_runs}) == 3  # every night
    said = list(in_words(Standing((), None), found))
    assert [one for one in said if one.startswith(f"schedule {deployment.name}: next at ")]
    assert said[-2].startswith("  late: 1 should have begun")
    assert said[-1] == "  pool gpu pool: ready, workers online: 1"
    assert schedules(environment).url is None  # the announcement went with the server
