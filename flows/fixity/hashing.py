"""Files are hashed by several threads: hashing lets go of the interpreter, and fast storage serves many readers."""

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue

from flows.fixity.ledger import FileToCheck, Looked
from storage.film import UnreadableFilm, film_sha256
from storage.paths import text_to_path

FEWEST_THREADS = 4
_WAITING = 4  # files for each thread that are taken up before the first is done
_TICK_SECONDS = 2.0

_Answer = tuple[FileToCheck, Looked | BaseException]


def threads() -> int:
    """How many files are hashed at once."""
    return max(FEWEST_THREADS, os.cpu_count() or 1)


def look_at(path: str) -> Looked:
    """Hash one file, or a folder of frames; `path` is a text of `storage.paths`."""
    try:
        file = text_to_path(path)
        mode = file.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return Looked(None)  # a pipe or device in its place: reading it might never end
        return Looked(film_sha256(file))
    except UnreadableFilm as error:  # frames were removed or added
        return Looked(None, "unreadable" if error.error_type == "unreadable" else "changed")
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a text that is no path names no file
        return Looked(None, "missing")
    except OSError:
        return Looked(None, "unreadable")


def look_at_all(files: Iterable[FileToCheck]) -> Iterator[tuple[FileToCheck, Looked] | None]:
    """What each file is found to be, as it comes; None now and then while a large one takes its time.

    Whoever stops asking, because of Ctrl-C for example, does not wait for the files in hand.
    """
    count = threads()
    asked: SimpleQueue[FileToCheck | None] = SimpleQueue()
    answers: SimpleQueue[_Answer] = SimpleQueue()
    stopped = threading.Event()
    for _ in range(count):
        # daemons: the process may end while they read a film of hours
        threading.Thread(target=_work, args=(asked, answers, stopped), daemon=True).start()
    open_ = 0
    try:
        for file in files:
            asked.put(file)
            open_ += 1
            while open_ >= count * _WAITING:
                answer = _next(answers)
                open_ -= answer is not None
                yield answer
        while open_:
            answer = _next(answers)
            open_ -= answer is not None
            yield answer
    finally:
        stopped.set()
        for _ in range(count):
            asked.put(None)


def _next(answers: "SimpleQueue[_Answer]") -> tuple[FileToCheck, Looked] | None:
    try:
        file, looked = answers.get(timeout=_TICK_SECONDS)
    except Empty:
        return None
    if isinstance(looked, BaseException):
        raise looked
    return file, looked


def _work(asked: "SimpleQueue[FileToCheck | None]", answers: "SimpleQueue[_Answer]", stopped: threading.Event) -> None:
    while (file := asked.get()) is not None and not stopped.is_set():
        try:
            answers.put((file, look_at(file.path)))
        except BaseException as error:
            answers.put((file, error))
