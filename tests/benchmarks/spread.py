"""How much faster two workers are than one, each with a core of its own.

    python -m tests.benchmarks.spread [--items 120 --side 800 --size 384 --batch-size 4 --repeats 2]

Photographs cut from the bundled ones, no two alike. The run with one worker process is bound to one core, the run with
several may use as many cores as it has workers; every worker computes with one thread. Items a second are counted from
the start of the first item to the end of the last: loading the networks is left out, waiting for the last is not.
The runs take turns. Prints, never asserts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from flows.benchmark.archive import make_photographs
from storage.database import colorizations, open_database, runs, sqlite_url


def rate(archive: Path, references: Path, output: Path, workers: int, options: argparse.Namespace) -> float:
    """Items a second of a run with so many workers, on so many cores."""
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:workers]))
    line = ["taskset", "-c", cores, sys.executable, "-m", "flows.cli", "run", archive, "--references", references]
    line += ["--output", output, "--size", options.size, "--batch-size", options.batch_size, "--workers", workers]
    line += ["--no-prefect", "--colorize-all"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_COLORIZER_")}
    subprocess.run([*map(str, line)], env=environment | {"OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.DEVNULL)
    with open_database(sqlite_url(output / "provenance.db"), create=False) as database:
        run = runs.latest(database)
        done = colorizations.of_run(database, run.id if run is not None else 0)
    began = min(one.started_at for one in done if one.started_at is not None)
    ended = max(one.created_at for one in done if one.created_at is not None)
    return len(done) / (ended - began).total_seconds()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=120)
    parser.add_argument("--side", type=int, default=800)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, as_file(files("flows") / "demo") as demo:
        archive = Path(scratch, "archive")
        archive.mkdir()
        make_photographs(demo / "archive", archive, options.items, options.side)
        for repeat in range(options.repeats):
            rates = {
                workers: rate(archive, demo / "references", Path(scratch, f"{repeat}-{workers}"), workers, options)
                for workers in (1, options.workers)
            }
            one, several = rates.values()
            print(
                f"{options.items} items: one worker {one:.3f}/s, {options.workers} workers {several:.3f}/s, "
                f"{several / one:.2f} times",
                flush=True,
            )


if __name__ == "__main__":
    main()
