"""Frames handed from thread to thread: a bounded queue that lets no side wait for one that is gone."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK_SECONDS = 0.2


class Stopped(Exception):  # noqa: N818 - not an error of this side: the other one has ended
    """The other side takes, or gives, nothing any more."""


class FrameQueue(Generic[T]):
    """First in, first out, of at most `depth` members."""

    def __init__(self, depth: int) -> None:
        self._queue: queue.Queue[T] = queue.Queue(depth)
        self._stopped = threading.Event()

    def put(self, value: T) -> None:
        """Wait for room. Raises `Stopped` once `stop` was called."""
        while not self._stopped.is_set():
            try:
                self._queue.put(value, timeout=_LOOK_SECONDS)
                return
            except queue.Full:
                continue
        raise Stopped

    def get(self) -> T:
        """Wait for a member. Raises `Stopped` once `stop` was called and nothing is left."""
        while True:
            try:
                return self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if self._stopped.is_set():
                    raise Stopped from None

    def stop(self) -> None:
        """Wake up both sides."""
        self._stopped.set()


class _End:
    """The last member."""


@contextmanager
def ahead(source: Callable[[], Iterable[T]], depth: int) -> Iterator[Iterator[T]]:
    """Iterate over `source` in a thread of its own, at most `depth` members ahead. Its errors come out here."""
    waiting: FrameQueue[T | _End | BaseException] = FrameQueue(depth)

    def produce() -> None:
        try:
            for value in source():
                waiting.put(value)
            waiting.put(_End())
        except Stopped:
            return
        except BaseException as error:
            try:
                waiting.put(error)
            except Stopped:
                return

    def consume() -> Iterator[T]:
        while not isinstance(value := waiting.get(), _End):
            if isinstance(value, BaseException):
                raise value
            yield value

    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        reader.submit(produce)
        try:
            yield consume()
        finally:
            waiting.stop()
