"""What came of an export: what was written, what people should know, what was left out and why."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from flows.errors import ExitCode
from storage.database import Database, events

COLUMNS = ("file", "reason")


@dataclass(frozen=True, slots=True)
class ExportFailure:
    """A file that is not in the export; `file` is its path as text, `reason` one line for people."""

    file: str
    reason: str

    def as_row(self) -> dict[str, object]:
        """For a listing with `COLUMNS`."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """An export that is done.

    `files` are what to look at first: a bag's folder, a table, a manifest; `written` counts all files that were
    written, `objects` what they are about (rows of a table, objects of a PREMIS document, canvases). `notes` are lines
    for people.
    """

    files: tuple[Path, ...]
    written: int
    objects: int
    notes: tuple[str, ...] = ()
    failures: tuple[ExportFailure, ...] = field(default=())

    @property
    def exit_code(self) -> ExitCode:
        """ITEMS_FAILED if something was left out that should be there."""
        return ExitCode.ITEMS_FAILED if self.failures else ExitCode.DONE


def failures(found: Iterable[tuple[str, str]]) -> tuple[ExportFailure, ...]:
    """Files with reasons as failures, in the order of the files."""
    return tuple(ExportFailure(file, reason) for file, reason in sorted(found))


def record_export(database: Database, message: str, run_id: int | None, report: ExportReport) -> None:
    """Put on record, in the chain of events, that something was handed out; `message` says what, with its digest."""
    outcome = "with failures" if report.failures else "complete"

    def add(session: Session) -> None:
        events.append(session, events.EXPORTED, agent=events.agent(), outcome=outcome, run_id=run_id, message=message)

    database.run_write(add)
