"""What went wrong with one item, in words for the audit; and what must end the run instead."""

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.errors import EnvironmentProblem, FlowError
from storage.database import DatabaseError
from storage.errors import StorageError

# no item's fault: going on would only turn every further item into a failure
_SURROUNDINGS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space or ask for a larger quota",
    errno.EROFS: "the disk is read-only; mount it writable",
    errno.EIO: "the disk does not answer; check it",
    errno.ENXIO: "the disk is gone; connect it again",
    errno.ENODEV: "the disk is gone; connect it again",
    **dict.fromkeys(
        (errno.ESTALE, errno.ENOTCONN, errno.EREMOTEIO, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),
        "the network share is gone; mount it again",
    ),
}

_NOTHING_LEFT_BYTES = 16 << 20


class ItemFailure(Exception):  # noqa: N818 - a finding about one item, not about the program
    """One item failed in a known way; `args` are its error type (a slug) and one line for people."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(error_type, message)
        self.error_type = error_type
        self.message = message


class LowMatch(Exception):  # noqa: N818 - a finding about one item, not about the program
    """An item is left out because no reference fits it; `confidence` (0..1) is that of the best one."""

    def __init__(self, path: str, confidence: float, threshold: float) -> None:
        super().__init__(path, confidence, threshold)
        self.message = (
            f"{path}: no reference fits (match confidence {confidence:.2f}, below {threshold:.2f}); "
            "add colour photographs of the like, or run with --keep-low-match"
        )
        self.confidence = confidence


class LeftOut(Exception):  # noqa: N818 - a finding about one item, not about the program
    """An item is left out for what it shows; `args` are the kind of content (a slug) and one line for people."""

    def __init__(self, content: str, message: str) -> None:
        super().__init__(content, message)
        self.content = content
        self.message = message


@dataclass(frozen=True, slots=True)
class Failure:
    """What is recorded of an item that failed, or was left out for its content or its doubtful reference."""

    stage: str
    error_type: str
    message: str
    state: Literal["failed", "skipped"] = "failed"
    match_confidence: float | None = None
    low_match: bool | None = None


def describe_failure(error: Exception, stage: str, path: str) -> Failure:
    """The record of an item's failure. Raises instead what is no fault of the item.

    Raises:
        FlowError, DatabaseError: as they came.
        EnvironmentProblem: a disk or share is full, read-only or gone.
    """
    if isinstance(error, FlowError | DatabaseError):
        raise error
    if isinstance(error, ItemFailure):
        return Failure(stage, error.error_type, error.message)
    if isinstance(error, LeftOut):
        return Failure(stage, error.content, error.message, "skipped")
    if isinstance(error, LowMatch):
        return Failure(stage, "low_match", error.message, "skipped", error.confidence, True)
    end_if_surroundings(error, path, writing=stage == "write")
    cause = _operating_system_cause(error)
    if isinstance(error, StorageError):
        return Failure(stage, error.error_type, error.message)
    if cause is not None:
        what = "the copy cannot be written" if stage == "write" else "cannot be read"
        return Failure(stage, "unwritable" if stage == "write" else "unreadable", f"{path}: {what} ({cause.strerror})")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Failure(stage, "unexpected", f"{path} could not be colorized: {reason}")


def end_if_surroundings(error: Exception, path: str, *, writing: bool = False) -> None:
    """Raise `EnvironmentProblem` if the error says that a disk or share is full or gone; `path` is for its message."""
    cause = _operating_system_cause(error)
    if cause is not None and cause.errno == errno.EIO and not writing:
        return  # one bad sector under one master: the others may be whole, and this one is tried again next time
    if cause is not None and cause.errno in _SURROUNDINGS:
        what = "the copy cannot be written" if writing else "cannot be read"
        raise EnvironmentProblem(f"{path}: {what}: {_SURROUNDINGS[cause.errno]} and run again") from error


def end_if_disk_is_full(folder: Path, path: str) -> None:
    """Raise `EnvironmentProblem` if hardly anything can be written to the folder any more.

    For what a program that we started could not write: it does not say why in a way to rely on.
    """
    if shutil.disk_usage(folder).free < _NOTHING_LEFT_BYTES:
        raise EnvironmentProblem(f"{path}: the copy cannot be written: {_SURROUNDINGS[errno.ENOSPC]} and run again")


def _operating_system_cause(error: BaseException) -> OSError | None:
    """The OSError behind an error, if there is one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen
        seen = seen.__cause__
    return None
