"""A limit of time for what waits longer than we do."""

import signal
from types import FrameType, TracebackType
from typing import Self

AGAIN_SECONDS = 1.0


class OutOfTime(BaseException):
    """The limit is reached. Raised again every second, since Prefect answers it with further tries."""


class TimeLimit:
    """Raises `OutOfTime` in the main thread when a limit that was `set` is reached, as long as the block lasts."""

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._reached)
        return self

    def set(self, seconds: float) -> None:
        """From now on there are so many seconds."""
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)

    def clear(self) -> None:
        """From now on there is no limit."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        signal.signal(signal.SIGALRM, self._before)

    @staticmethod
    def _reached(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime
