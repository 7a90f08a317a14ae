"""Work of the review that takes its time: one piece at a time, in a thread of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock, Thread
from typing import Literal

from flows.errors import FlowError
from flows.failures import ItemFailure
from flows.progress import Progress
from storage.database import DatabaseError
from storage.errors import StorageError


class Busy(Exception):  # noqa: N818 - a finding, not an error
    """Something is being worked on already; the argument is one line for people."""


@dataclass(frozen=True, slots=True)
class JobState:
    """How far a piece of work is; `result` is what it gave, `error` one line for people."""

    number: int
    about: str
    colorization_id: int
    state: Literal["running", "done", "failed"] = "running"
    says: str = ""
    through: int = 0
    total: int = 0
    unit: str = ""
    result: int | None = None
    error: str | None = None


class Jobs:
    """Does one piece of work at a time; the state of the latest is there for all threads to see."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._state: JobState | None = None
        self._about: str | None = None

    @property
    def state(self) -> JobState | None:
        """Of the work in hand, or of the last one; None: there was none yet."""
        return self._state

    @property
    def is_busy(self) -> bool:
        """Whether something is being worked on."""
        return self._about is not None

    def start(self, about: str, colorization_id: int, work: Callable[[Progress], int]) -> JobState:
        """Do `work` in a thread; it gives the id of the colorization that it made.

        Raises:
            Busy: something else is not done yet.
        """
        self._take(about)
        number = 1 if self._state is None else self._state.number + 1
        self._state = started = JobState(number, about, colorization_id)
        # A daemon, so that the program can end: what is half done is done again by the next run.
        Thread(target=self._do, args=[work], name="review-job", daemon=True).start()
        return started

    @contextmanager
    def alone(self, about: str) -> Iterator[None]:
        """Keep other work out while something short is done in the caller's thread.

        Raises:
            Busy: something else is not done yet.
        """
        self._take(about)
        try:
            yield
        finally:
            self._about = None

    def _take(self, about: str) -> None:
        with self._lock:
            if self._about is not None:
                raise Busy(f"{self._about} is being worked on; try again when that is done")
            self._about = about

    def _do(self, work: Callable[[Progress], int]) -> None:
        try:
            self._tell(state="done", result=work(_JobProgress(self._tell)))
        except Exception as error:
            self._tell(state="failed", error=for_people(error))
        finally:
            self._about = None

    def _tell(self, **changes: object) -> None:
        if self._state is not None:
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]


class _JobProgress:
    """See `flows.progress.Progress`."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._through = 0

    def say(self, line: str) -> None:
        self._tell(says=line)

    def begin(self, total: int, unit: str) -> None:
        self._through = 0
        self._tell(total=total, unit=unit, through=0)

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        self._through += count
        self._tell(through=self._through)

    def pass_over(self, count: int) -> None:
        self.advance(count)


def for_people(error: Exception) -> str:
    """One line that says what went wrong."""
    if isinstance(error, ItemFailure):
        return error.message
    if isinstance(error, FlowError | StorageError | DatabaseError):
        return str(error.args[0])
    lines = str(error).splitlines()
    return f"unexpected error: {lines[0] if lines else type(error).__name__}"
