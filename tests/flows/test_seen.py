"""What others see of a run: its log, its metrics, its status."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.flows.conftest import CommandLine


@pytest.mark.parametrize("workers", [1, 2])
def test_log_and_metrics_of_a_run(
    workers: int, archive: Path, references: Path, tmp_path: Path, command: CommandLine
) -> None:
    whole = (archive / "album" / "portrait.jpg").read_bytes()
    (archive / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    output, log, metrics = tmp_path / "out", tmp_path / "log.jsonl", tmp_path / "run.prom"
    line = ["run", archive, "--references", references, "--output", output, "--size", 64, "--no-prefect"]
    answer = command(*line, "--workers", workers, "--log", log, "--metrics", metrics)
    assert answer.returncode == 2, answer.stderr
    records = [json.loads(text) for text in log.read_text().splitlines()]
    with sqlite3.connect(output / "provenance.db") as database:
        ids = {(item, path) for item, path in database.execute("SELECT id, path FROM item")}
    outcomes = [record for record in records if "item" in record]
    assert {(record["item"], record["path"]) for record in outcomes} == ids
    assert len(outcomes) == 4  # each once, whoever did it
    assert {record["run"] for record in outcomes} == {1}
    assert [record["level"] for record in outcomes].count("warning") == 1
    told = metrics.read_text()
    assert 'archive_colorizer_items_total{state="done"} 3.0' in told
    assert 'archive_colorizer_items_total{state="failed"} 1.0' in told
    answer = command("status", "--output", output)
    assert answer.returncode == 0, answer.stderr
    assert "cut.jpg" in answer.stdout


def test_what_cannot_be_written_is_told_before_the_run(
    archive: Path, references: Path, tmp_path: Path, command: CommandLine
) -> None:
    line = ["run", archive, "--references", references, "--output", tmp_path / "out", "--no-prefect"]
    answer = command(*line, "--log", tmp_path / "no" / "folder" / "log")
    assert (answer.returncode, "Traceback" in answer.stderr) == (3, False)
    answer = command(*line, "--metrics", tmp_path / "run.txt")
    assert answer.returncode == 1
    assert ".prom" in answer.stderr
