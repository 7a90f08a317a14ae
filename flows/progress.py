"""How far the run is: a bar in a terminal, a plain line every few seconds elsewhere. All of it on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import TaskID

LINE_SECONDS = 5.0


class Progress(Protocol):
    """What a run tells while it works."""

    def say(self, line: str) -> None:
        """A line of its own: a phase begins."""

    def begin(self, total: int, unit: str) -> None:
        """A countable phase begins."""

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        """So many more are through."""

    def pass_over(self, count: int) -> None:
        """So many more were there already; they do not count for the rate."""


class SilentProgress:
    """Says nothing; for callers that have no terminal, such as a scheduled run."""

    def say(self, line: str) -> None:
        """See `Progress`."""

    def begin(self, total: int, unit: str) -> None:
        """See `Progress`."""

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        """See `Progress`."""

    def pass_over(self, count: int) -> None:
        """See `Progress`."""


class LineProgress:
    """Plain lines for logs and pipes, with counts, rate and the time left."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = self._through = self._passed = self._failed = 0
        self._unit = ""
        self._start = self._last = time.monotonic()

    def say(self, line: str) -> None:
        """See `Progress`."""
        print(line, file=self._stream, flush=True)

    def begin(self, total: int, unit: str) -> None:
        """See `Progress`."""
        self._total, self._through, self._passed, self._failed, self._unit = total, 0, 0, 0, unit
        self._start = self._last = time.monotonic()

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        """See `Progress`."""
        self._through += count
        self._failed += failed
        now = time.monotonic()
        if now - self._last >= LINE_SECONDS or self._through == self._total:
            self._last = now
            rate = (self._through - self._passed) / max(now - self._start, 1e-9)
            left = _clock((self._total - self._through) / rate) if rate else "unknown time"
            bad = f", {self._failed} failed" if self._failed else ""
            self.say(f"{self._through}/{self._total} {self._unit}{bad}, {rate:.2f}/s, {left} left")

    def pass_over(self, count: int) -> None:
        """See `Progress`."""
        self._through += count
        self._passed += count


class BarProgress:
    """A bar with counts, rate and the time left."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[red]{task.fields[bad]}"),
            console=Console(file=stream),
        )
        self._task: TaskID | None = None
        self._worked = self._failed = 0
        self._start = time.monotonic()

    def open(self) -> None:
        """Show the bar."""
        self._bar.start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def say(self, line: str) -> None:
        """See `Progress`."""
        self._bar.console.print(line, markup=False, highlight=False)

    def begin(self, total: int, unit: str) -> None:
        """See `Progress`."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._worked = self._failed = 0
        self._start = time.monotonic()
        self._task = self._bar.add_task(unit, total=total, rate="", bad="")

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        """See `Progress`."""
        if self._task is None:
            return
        self._worked += count
        self._failed += failed
        rate = self._worked / max(time.monotonic() - self._start, 1e-9)
        bad = f"{self._failed} failed" if self._failed else ""
        self._bar.update(self._task, advance=count, rate=f"{rate:.2f}/s", bad=bad)

    def pass_over(self, count: int) -> None:
        """See `Progress`."""
        if self._task is not None:
            self._bar.update(self._task, advance=count)


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Progress]:
    """The progress display that fits the stream: a bar in a terminal, else lines."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield LineProgress(stream)
        return
    bar = BarProgress(stream)
    bar.open()
    try:
        yield bar
    finally:
        bar.close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
