"""The decoder: reads masters in processes of its own, so that a hostile file ends one of these and not the run."""

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.decoding.channel import Garbled
from storage.decoding.failures import TOO_LITTLE_MEMORY
from storage.decoding.process import DecoderProcess, Died, Hung
from storage.decoding.registry import MASTERS, Registry
from storage.errors import UnreadableImage
from storage.images.records import ImageFacts, Master
from storage.images.rows import Spool
from storage.masters import MAX_PIXELS, DocumentCopy
from storage.paths import path_to_text

_AGAIN = "copy it again from its source"
_LEAST_MEMORY, _MOST_MEMORY = 3 << 29, 6 << 30
"""Bytes; JPEG 2000 in one tile takes 20 a pixel while it is decoded."""


class Decoder:
    """Calls functions of the registry in decoder processes; a context manager, safe to use from several threads.

    A process is started when a call finds none idle, at most ``processes`` of them, and used again until a file ends
    it. ``memory_bytes`` is how much memory each may have for its data, by default a quarter of the machine's but not
    under 1.5 nor over 6 GB; ``patience`` how many seconds one may be without a sign of life, to which a second comes
    for each megapixel that ``progress.working`` announces.
    """

    def __init__(
        self,
        *,
        memory_bytes: int | None = None,
        patience: float = 30.0,
        processes: int = 2,
        registry: Registry = MASTERS,
    ) -> None:
        self._memory_bytes = _usual_memory() if memory_bytes is None else memory_bytes
        self._patience, self._registry = patience, registry
        self._owner = os.getpid()
        self._slots = threading.BoundedSemaphore(processes)
        self._lock = threading.Lock()
        self._running: set[DecoderProcess] = set()
        self._idle: list[DecoderProcess] = []
        self._closed = False
        # A process ends with the thread that started it, so one is kept for that which outlives the callers'.
        self._starter = ThreadPoolExecutor(1, "decoder-starter")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, also those at work: calls in other threads raise ``RuntimeError``."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for process in self._running.difference(idle):
                process.stop()
        for process in idle:
            self._end(process)
        self._starter.shutdown()

    def read(self, path: Path, *, page: int = 1, max_pixels: int = MAX_PIXELS) -> Master:
        """``storage.masters.read_master`` in a decoder process; the samples are not copied on the way.

        Raises:
            UnreadableImage: it cannot be read, also because decoding it crashed, hung or ate the memory.
            CannotDecode: the decoder does not start.
        """
        found = self.call("read_master", path, path=path, page=page, max_pixels=max_pixels)
        if not isinstance(found, Master):
            raise _nonsense(path_to_text(path.name))
        samples = found.samples
        return replace(found, path=path, samples=samples.whole() if isinstance(samples, Spool) else samples)

    def identify(self, path: Path) -> tuple[ImageFacts, ...]:
        """What the header says of each page; raises as ``read`` does."""
        found = self.call("identify_pages", path, path=path)
        if not isinstance(found, tuple) or not all(isinstance(facts, ImageFacts) for facts in found):
            raise _nonsense(path_to_text(path.name))
        return found

    def write_document(self, path: Path, copy: DocumentCopy) -> tuple[str, ...]:
        """``storage.masters.write_document`` in a decoder process; raises as ``read`` does, and ``OSError``."""
        provenance = replace(copy.provenance, parameters=dict(copy.provenance.parameters))
        found = self.call("write_document", copy.source, path=path, copy=replace(copy, provenance=provenance))
        if not isinstance(found, tuple) or not all(isinstance(note, str) for note in found):
            raise _nonsense(path_to_text(copy.source.name))
        return found

    def call(self, function: str, about: Path, /, **arguments: object) -> object:
        """A function of the registry in a decoder process; messages are about the file ``about``.

        Raises:
            UnreadableImage: the function refuses the file, or the file ended the process.
            StorageError, OSError: the function raised it.
            TypeError: arguments or result are of a kind that does not travel, or the arguments are not the function's.
            ValueError: there is no such function.
            CannotDecode: the decoder does not start.
            RuntimeError: the decoder is closed.
        """
        if function not in self._registry.functions:
            raise ValueError(f"the decoder has no function {function!r}")
        if os.getpid() != self._owner:
            raise RuntimeError("a decoder belongs to the process that made it")
        name = path_to_text(about.name)
        with self._slots:
            process = self._take()
            try:
                result = process.call(function, arguments, name)
            except (Died, Hung, Garbled) as error:
                self._forget(process)
                self._raise_if_closed()
                raise _blame(name, error) from error
            except Exception:
                self._give_back(process)
                raise
            except BaseException:
                self._forget(process)
                raise
            self._give_back(process)
            return result

    def _take(self) -> DecoderProcess:
        """An idle process, or a new one."""
        while True:
            self._raise_if_closed()
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return self._started()
            if process.is_idle:
                return process
            self._end(process)

    def _started(self) -> DecoderProcess:
        future = self._starter.submit(self._start)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.add_done_callback(self._keep)
            raise

    def _keep(self, future: "Future[DecoderProcess]") -> None:
        """A process whose caller was interrupted is for the next one."""
        if future.exception() is None:
            self._give_back(future.result())

    def _start(self) -> DecoderProcess:
        process = DecoderProcess(self._registry, self._memory_bytes, self._patience)
        with self._lock:
            closed = self._closed
            if not closed:
                self._running.add(process)
        if closed:
            process.kill()
            self._raise_if_closed()
        return process

    def _give_back(self, process: DecoderProcess) -> None:
        with self._lock:
            closed = self._closed
            if not closed:
                self._idle.append(process)
        if closed:
            self._end(process)

    def _end(self, process: DecoderProcess) -> None:
        self._forget(process)
        process.kill()

    def _forget(self, process: DecoderProcess) -> None:
        with self._lock:
            self._running.discard(process)

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the decoder is closed")


def _usual_memory() -> int:
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return min(max(pages * page_bytes // 4, _LEAST_MEMORY), _MOST_MEMORY)


def _blame(name: str, error: Died | Hung | Garbled) -> UnreadableImage:
    if isinstance(error, Garbled):
        return _nonsense(name)
    if isinstance(error, Hung):
        return UnreadableImage(
            f"{name} is damaged: decoding it took longer than {error.seconds:.0f} seconds; {_AGAIN}", "unreadable"
        )
    if error.out_of_memory:
        return UnreadableImage(f"{name} {TOO_LITTLE_MEMORY}", "too_large")
    return UnreadableImage(f"{name} is damaged: it ended the decoder ({error.ending}); {_AGAIN}", "unreadable")


def _nonsense(name: str) -> UnreadableImage:
    return UnreadableImage(f"{name} is damaged: it made the decoder answer nonsense; {_AGAIN}", "unreadable")
