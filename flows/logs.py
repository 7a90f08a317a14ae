"""Structured logs of a run: a JSON object a line, or plain lines, for journals and collectors of logs.

A record has the time (ISO 8601, UTC, milliseconds), the level, the logger, the message, the process and, as far as they
are known, the run, its flow run and what belongs to an event (`run_began`, `outcome`, `run_ended`). Several processes
may write into one file: each record is one write to its end. logrotate may move the file away at any time.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Literal, TextIO

from flows.errors import EnvironmentProblem
from storage.database.records import ItemOutcome, RunCounts

LogForm = Literal["json", "text"]

STDERR = "-"
PACKAGES = ("flows", "storage", "retrieval", "sscn")
EVENTS = "archive_colorizer"
"""The logger of the events. It is not passed on to others, so without `run_logs` they are not seen at all."""

_LONGEST_TEXT = 4000  # signs of one value; a traceback keeps its end
_FIELDS = "archive_colorizer_fields"

_events = logging.getLogger(EVENTS)
_events.propagate = False
_events.addHandler(logging.NullHandler())


@dataclass(slots=True)
class _Run:
    """Which run the records of a block belong to; its threads share it."""

    run: int | None = None
    flow_run: str | None = None


_current: ContextVar[_Run | None] = ContextVar("archive_colorizer_run", default=None)


@contextmanager
def run_logs(
    destination: str | Path | None, *, form: LogForm = "json", level: int = logging.INFO, run: int | None = None
) -> Iterator[None]:
    """Write what this process logs about its work, as long as the block lasts.

    Args:
        destination: a file, which is added to; "-" is stderr; None: nothing is written.
        level: the lowest that is written.
        run: the run, where it is known already (in a worker, say).

    Raises:
        EnvironmentProblem: the file cannot be written.
    """
    here = _Run(run)
    token = _current.set(here)
    handler = None if destination is None else _handler(destination, form, here)
    names = (EVENTS, *PACKAGES)
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    try:
        if handler is not None:
            for logger, _ in before:
                logger.addHandler(handler)
                logger.setLevel(level)
        yield
    finally:
        if handler is not None:
            for logger, earlier in before:
                logger.removeHandler(handler)
                logger.setLevel(earlier)
            handler.close()
        _current.reset(token)


def run_began(run_id: int, flow_run_id: str | None, *, archive: str, output: str, items: int) -> None:
    """Log that a run has begun; what is logged from now on belongs to it."""
    here = _current.get()
    if here is not None:
        here.run, here.flow_run = run_id, flow_run_id
    fields = {"run": run_id, "flow_run": flow_run_id, "archive": archive, "output": output, "items": items}
    _log(logging.INFO, "run_began", f"run {run_id} began: {items} items", fields)


def outcome_logged(run_id: int, path: str, outcome: ItemOutcome) -> None:
    """Log what became of an item: a failure is a warning.

    Args:
        path: of the item in the archive, with its page if it has one.
    """
    fields = {
        "run": run_id,
        "item": outcome.item_id,
        "path": path,
        "state": outcome.state,
        "seconds": outcome.seconds,
        "confidence": outcome.confidence,
        "low_match": outcome.low_match,
        "output": outcome.output_path,
        "reference": outcome.reference_path,
    }
    if outcome.state == "failed":
        fields |= {"stage": outcome.stage, "error_type": outcome.error_type}
        _log(logging.WARNING, "outcome", f"{path}: {outcome.message}", fields)
    else:
        why = f": {outcome.message}" if outcome.message else ""
        _log(logging.INFO, "outcome", f"{path}: {outcome.state}{why}", fields)


def run_ended(run_id: int, state: str, counts: RunCounts, seconds: float, message: str | None = None) -> None:
    """Log how a run ended: one that did not get to its end is an error."""
    broke_off = state in ("crashed", "failed")
    level = logging.ERROR if broke_off else logging.WARNING if state != "completed" else logging.INFO
    fields = {
        "run": run_id,
        "state": state,
        "items": counts.items,
        "done": counts.done,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "seconds": round(seconds, 3),
    }
    why = f": {message}" if message else ""
    _log(level, "run_ended", f"run {run_id} {state.replace('_', ' ')}{why}", fields)


def _log(level: int, event: str, message: str, fields: Mapping[str, Any]) -> None:
    known = {name: value for name, value in fields.items() if value is not None}
    _events.log(level, "%s", message, extra={_FIELDS: {"event": event} | known})


def _handler(destination: str | Path, form: LogForm, here: _Run) -> logging.Handler:
    handler: logging.Handler
    if str(destination) == STDERR:
        handler = _StreamHandler(sys.stderr)
    else:
        try:
            handler = _FileHandler(destination)
        except OSError as error:
            raise EnvironmentProblem(
                f"the log {destination} cannot be written ({error.strerror}); name another file with --log"
            ) from error
    handler.setFormatter(_Json(here) if form == "json" else _Text(here))
    return handler


class _StreamHandler(logging.StreamHandler[TextIO]):
    """A stream that may be gone, or know only few signs: neither may end a run."""

    def emit(self, record: logging.LogRecord) -> None:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            line = f"{self.format(record)}\n".encode(encoding, "backslashreplace").decode(encoding)
            self.stream.write(line)
            self.stream.flush()
        except (OSError, ValueError):
            pass  # there is nowhere to tell of it


class _FileHandler(WatchedFileHandler):
    """A file that others write too: every record is one write to its end, wherever the file is by then."""

    def __init__(self, file: str | Path) -> None:
        super().__init__(file, encoding="utf-8")
        self._has_complained = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            self.reopenIfNeeded()
            if self.stream is None:  # its folder was missing for a while
                self.stream = self._open()
                self._statstream()
            os.write(self.stream.fileno(), line)
        except (OSError, ValueError) as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Tell it once: a log that cannot be written is no reason to end a run, nor to fill the terminal."""
        if not self._has_complained:
            self._has_complained = True
            print(f"the log {self.baseFilename} cannot be written: {error}", file=sys.stderr)


class _Fields(logging.Formatter):
    def __init__(self, here: _Run) -> None:
        super().__init__()
        self._here = here

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """What is known of a record, in the order in which it is written."""
        here = _current.get() or self._here  # threads begin without the context of those who started them
        moment = datetime.fromtimestamp(record.created, UTC)
        known: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_LONGEST_TEXT],
            "pid": record.process,
            "run": here.run,
            "flow_run": here.flow_run,
        }
        known |= getattr(record, _FIELDS, {})
        if record.exc_info:
            known["exception"] = self.formatException(record.exc_info)[-_LONGEST_TEXT:]
        return {name: value for name, value in known.items() if value is not None}


class _Json(_Fields):
    """A JSON object in a line (https://jsonlines.org)."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), ensure_ascii=False, default=str)


class _Text(_Fields):
    """Time, level, message and the rest as name=value; always one line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        head = f"{fields.pop('time')} {fields.pop('level').upper()} {fields.pop('message')}"
        return _on_one_line(" ".join([head, *(f"{name}={_value(value)}" for name, value in fields.items())]))


def _value(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(sign in text for sign in ' "=\n') else text


def _on_one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)
