"""A run over real photographs: seconds of every stage and item, peak memory, and what orchestration adds."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from flows.errors import EnvironmentProblem
from storage.database import audit, colorizations, open_database, runs

ORCHESTRATION = ("record", "orchestrate")
"""Stages of the run, not of an item: the database's and Prefect's share of the batches."""


@dataclass(frozen=True, slots=True)
class ArchiveFigures:
    """Seconds are wall-clock."""

    items: int
    seconds_per_item: float
    """From the first item's start to the last one's end, start-up left out."""
    overhead_seconds_per_item: float
    """Of those, orchestration and database."""
    start_up_seconds: float
    """From the run's start to the first item's: looking through the archive, networks, references, Prefect."""
    peak_memory_bytes: int
    """Largest resident size of the run's process."""
    stage_medians: Mapping[str, float]


def measure_archive(items: int, side: int, size: int, device: str, attention: str) -> ArchiveFigures:
    """Colorize ``items`` photographs in a process of its own, and read from its database what it took.

    Args:
        items: how many photographs; cut from the bundled ones, no two alike.
        side: their long side in pixels.
        size: long side at which the network works.
        device: auto, cpu or cuda[:N].
        attention: sparse or dense.

    Raises:
        EnvironmentProblem: the run did not end well.
    """
    with TemporaryDirectory(prefix="archive-colorizer-benchmark-") as scratch, as_file(files("flows") / "demo") as demo:
        archive, output = Path(scratch, "archive"), Path(scratch, "output")
        archive.mkdir()
        make_photographs(demo / "archive", archive, items, side)
        command = [sys.executable, "-m", "flows.cli", "run", str(archive), "--references", str(demo / "references")]
        command += ["--output", str(output), "--size", str(size), "--device", device, "--attention", attention]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_COLORIZER_")}
        done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise EnvironmentProblem(f"the run to be measured ended with exit code {done.returncode}: {last}")
        return _read_figures(output)


def make_photographs(source: Path, target: Path, count: int, side: int) -> None:
    """Crops of the bundled photographs, enlarged to a long side of ``side``; every one another crop."""
    originals = sorted(source.rglob("*.jpg"))
    for number in range(count):
        with Image.open(originals[number % len(originals)]) as opened:
            picture = opened.convert("RGB")
        margin = 2 * (number // len(originals))
        picture = picture.crop((margin, margin, picture.width - margin, picture.height - margin))
        scale = side / max(picture.size)
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
        )
        picture.save(target / f"photograph-{number:04}.jpg", quality=92)


def _read_figures(output: Path) -> ArchiveFigures:
    with open_database(f"sqlite:///{output / 'provenance.db'}", create=False) as database:
        run = runs.latest(database)
        if run is None:
            raise EnvironmentProblem("the run to be measured left no record")
        done = colorizations.of_run(database, run.id)
        stages = {str(row["stage"]): row for row in audit.rows(database, "audit_runtime", run.id)}
    began = min(one.started_at for one in done if one.started_at is not None)
    ended = max(one.created_at for one in done if one.created_at is not None)
    overhead = sum(_seconds(stages[name]["seconds_total"]) for name in ORCHESTRATION if name in stages)
    return ArchiveFigures(
        items=len(done),
        seconds_per_item=(ended - began).total_seconds() / len(done),
        overhead_seconds_per_item=overhead / len(done),
        start_up_seconds=(began - run.started_at).total_seconds(),
        peak_memory_bytes=max(one.peak_memory_bytes or 0 for one in done),
        stage_medians={name: _seconds(row["seconds_median"]) for name, row in stages.items()},
    )


def _seconds(value: object) -> float:
    return float(str(value))
