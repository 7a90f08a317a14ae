"""The gallery of a run that has ended."""

from pathlib import Path

from flows.progress import Progress
from flows.report.evidence import read_evidence
from flows.report.gallery import write_gallery
from storage.database import Database, DatabaseError, colorizations, runs
from storage.errors import StorageError


def show_run(database: Database, run_id: int, output: Path, progress: Progress) -> Path | None:
    """Write the gallery of a run that has ended; that it cannot be written is a note, since the copies are there."""
    try:
        run, rows = runs.get(database, run_id), colorizations.of_run(database, run_id)
        return None if run is None else write_gallery(run, rows, output, read_evidence(database, run_id))
    except (OSError, StorageError, DatabaseError) as error:
        progress.say(f"note: the gallery of run {run_id} could not be written ({error}); `report {run_id}` makes it")
        return None
