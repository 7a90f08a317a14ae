"""Metrics as Prometheus reads them: from a file that is always whole, or from a port."""

import stat
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.errors import EnvironmentProblem, UsageError
from flows.metrics import RunMetrics, written_to
from storage.database.records import ItemOutcome, StageTiming
from tests.storage.database.samples import NOON, at, done, failed

Samples = dict[tuple[str, str], float]


def read(text: str) -> Samples:
    """Value by name and (only) label value, without the prefix."""
    return {
        (sample.name.removeprefix("archive_colorizer_"), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def filled() -> RunMetrics:
    metrics = RunMetrics()
    metrics.run_began(5)
    timings = (StageTiming(stage="network", seconds=0.5), StageTiming(stage="write", seconds=0.25))
    for number in range(2):
        metrics.outcome(done(number, seconds=0.2 + 3 * number, timings=timings))
    metrics.outcome(failed(3))
    metrics.outcome(ItemOutcome(item_id=4, state="skipped"))
    metrics.stages([StageTiming(stage="index", seconds=7.0)])
    return metrics


def test_a_run_is_counted(tmp_path: Path) -> None:
    found = read(filled().text().decode())
    assert [found["items_total", state] for state in ("done", "failed", "skipped")] == [2, 1, 1]
    assert [found["seconds_total", stage] for stage in ("network", "write", "index")] == [1.0, 0.5, 7.0]
    assert found["item_seconds_count", ""] == 2
    assert found["item_seconds_sum", ""] == pytest.approx(3.4)
    assert [found["item_seconds_bucket", bound] for bound in ("0.1", "0.25", "5.0")] == [0, 1, 2]
    assert (found["run_items_planned", ""], found["run_running", ""]) == (5, 1)
    assert found["last_run_end_timestamp_seconds", ""] == 0


def test_the_end_of_a_run_takes_the_place_of_that_of_the_run_before() -> None:
    metrics = RunMetrics()
    metrics.last_run("crashed", NOON)
    metrics.run_began(1)
    under_way = read(metrics.text().decode())
    metrics.run_ended("completed", at(60))
    over = read(metrics.text().decode())
    assert (under_way["last_run_state", "crashed"], over["last_run_state", "crashed"]) == (1, 0)
    assert (over["last_run_state", "completed"], over["run_running", ""]) == (1, 0)
    assert over["last_run_end_timestamp_seconds", ""] == under_way["last_run_end_timestamp_seconds", ""] + 60


def test_two_runs_in_one_process_share_nothing() -> None:
    filled()
    assert read(RunMetrics().text().decode())["items_total", "done"] == 0


def test_the_file_follows_the_run_and_others_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "collector" / "archive.prom"
    metrics = RunMetrics()
    with written_to(file, metrics, every=0.02):
        assert read(file.read_text())["run_running", ""] == 0
        metrics.run_began(9)
        deadline = time.monotonic() + 60
        while read(file.read_text())["run_items_planned", ""] != 9:  # each read meets a whole file
            assert time.monotonic() < deadline
        metrics.run_ended("completed", NOON)
    assert read(file.read_text())["last_run_state", "completed"] == 1
    assert file.stat().st_mode & stat.S_IRGRP
    assert [path.name for path in file.parent.iterdir()] == ["archive.prom"]


def test_the_end_is_written_when_the_run_raises(tmp_path: Path) -> None:
    file = tmp_path / "archive.prom"
    metrics = RunMetrics()

    def run() -> None:
        with written_to(file, metrics):
            metrics.run_ended("failed", NOON)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert read(file.read_text())["last_run_state", "failed"] == 1


def test_names_and_folders_that_do_not_serve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end in \.prom"), written_to(tmp_path / "metrics.txt", RunMetrics()):
        pass
    (tmp_path / "file").touch()
    wrong = tmp_path / "file" / "archive.prom"
    with pytest.raises(EnvironmentProblem, match="--metrics"), written_to(wrong, RunMetrics()):
        pass
