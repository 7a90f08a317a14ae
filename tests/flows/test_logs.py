"""The log of a run: a record for each event, whole lines from several processes, a file that logrotate moves away."""

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from flows.errors import EnvironmentProblem
from flows.logs import outcome_logged, run_began, run_ended, run_logs
from storage.database.records import RunCounts
from tests.flows.conftest import ROOT
from tests.storage.database.samples import done, failed


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_event_is_a_record_with_run_and_item(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    with run_logs(file):
        run_began(7, "3f1c", archive="/archive", output="/output", items=2)
        outcome_logged(7, "Zürich/1.tif", done(11))
        outcome_logged(7, "2.tif", failed(12))
        run_ended(7, "completed_with_failures", RunCounts(2, 1, 1, 0), 12.5)
    began, good, bad, ended = records(file)
    assert began["time"].endswith("Z")
    assert len(began["time"]) == len("2026-03-01T12:00:00.000Z")
    assert (began["event"], began["items"], began["archive"]) == ("run_began", 2, "/archive")
    assert (good["level"], good["item"], good["path"], good["seconds"]) == ("info", 11, "Zürich/1.tif", 1.25)
    assert (bad["level"], bad["item"], bad["stage"], bad["error_type"]) == ("warning", 12, "read", "truncated")
    assert bad["message"] == "2.tif: the file ends too early: copy it again"
    assert (ended["level"], ended["state"], ended["failed"]) == ("warning", "completed_with_failures", 1)
    assert {(one["run"], one["flow_run"]) for one in (began, good, bad, ended)} == {(7, "3f1c")}


def test_our_own_loggers_are_in_it_with_the_run_also_from_threads(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    log = logging.getLogger("storage.something")
    with run_logs(file):
        run_began(7, None, archive="/a", output="/o", items=0)
        thread = threading.Thread(target=log.warning, args=("the share %s is slow", "/mnt"))
        thread.start()
        thread.join()
        log.debug("not worth a line")
        try:
            raise OSError("gone")
        except OSError:
            log.exception("it broke")
        logging.getLogger("somebody.else").warning("not ours")
    log.warning("after the end")
    _, from_thread, broken = records(file)
    assert (from_thread["message"], from_thread["run"]) == ("the share /mnt is slow", 7)
    assert broken["level"] == "error"
    assert broken["exception"].endswith("OSError: gone")


def test_text_is_one_line_whatever_a_name_contains(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    with run_logs(file, form="text", run=3):
        outcome_logged(3, "two\nlines \x1b[31m.tif", failed(1))
    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert " WARNING two\\nlines \\x1b[31m.tif: the file ends too early" in line
    assert "error_type=truncated" in line


def test_without_a_log_nothing_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with run_logs(None):
        outcome_logged(1, "a.tif", failed(1))
    outcome_logged(1, "a.tif", failed(1))
    assert capfd.readouterr() == ("", "")


def test_a_dash_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with run_logs("-"):
        outcome_logged(1, "a.tif", done(1))
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["path"] == "a.tif"


def test_goes_on_in_a_new_file_after_logrotate(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    with run_logs(file):
        outcome_logged(1, "a.tif", done(1))
        file.rename(tmp_path / "run.log.1")
        outcome_logged(1, "b.tif", done(2))
    assert [one["path"] for one in records(tmp_path / "run.log.1")] == ["a.tif"]
    assert [one["path"] for one in records(file)] == ["b.tif"]


def test_a_log_that_is_lost_later_is_told_of_once_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = folder / "run.log"
    with run_logs(file):
        outcome_logged(1, "a.tif", done(1))
        file.unlink()
        folder.rmdir()
        outcome_logged(1, "b.tif", done(2))
        outcome_logged(1, "c.tif", done(3))
        folder.mkdir()
        outcome_logged(1, "d.tif", done(4))
    assert capsys.readouterr().err.count("cannot be written") == 1
    assert [one["path"] for one in records(file)] == ["d.tif"]


def test_a_file_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="name another file with --log"), run_logs(tmp_path):
        pass


WRITER = """
import sys
from flows.logs import outcome_logged, run_logs
from tests.storage.database.samples import failed
number = int(sys.argv[2])
with run_logs(sys.argv[1], run=1):
    for item in range(300):
        outcome_logged(1, f"{number}-{item}.tif", failed(item, message="x" * (3000 if item % 2 else 30)))
"""


def test_several_processes_write_whole_lines_into_one_file(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(number)], cwd=ROOT) for number in range(3)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    found = records(file)
    assert {one["path"] for one in found} == {f"{number}-{item}.tif" for number in range(3) for item in range(300)}
    assert len(found) == 900
    assert {one["pid"] for one in found} == {writer.pid for writer in writers}


def test_levels_of_the_loggers_are_as_before_afterwards(tmp_path: Path) -> None:
    before = logging.getLogger("flows").level
    with run_logs(tmp_path / "a.log", level=logging.DEBUG):
        assert logging.getLogger("flows").level == logging.DEBUG
    assert logging.getLogger("flows").level == before
    assert not logging.getLogger("flows").handlers
