"""What the tests have done in the decoder process: the things that hostile files make a reader do."""

import ctypes
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.decoding.channel import Channel, Kind, Message
from storage.decoding.progress import working
from storage.decoding.registry import Registry
from storage.errors import StorageError, UnreadableImage
from storage.images.records import ImageFacts, Refusal
from storage.images.rows import Spool


@dataclass(frozen=True)
class Box:
    """A record with something of every kind in it."""

    name: str
    content: Any = None


@dataclass(frozen=True)
class Stranger:
    """A record that is not in the registry."""

    name: str = "stranger"


class Unheard(StorageError):  # noqa: N818
    """An error that is in the registry."""


class UnheardToo(Unheard):
    """One that is not, of a base that is."""


def echo(value: object) -> object:
    return value


def process_id() -> int:
    return os.getpid()


def modules() -> list[str]:
    return list(sys.modules)


def picture(height: int, width: int) -> npt.NDArray[np.uint16]:
    return np.arange(height * width * 3, dtype=np.uint16).reshape(height, width, 3)


def spool(height: int, width: int) -> Spool:
    found = Spool((height, width, 3), np.uint16)
    found.put(0, picture(height, width))
    return found


def fill(rows: Spool) -> None:
    """Write into a spool of the caller."""
    rows.put(0, np.full(rows.shape, 7, rows.dtype))


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def end(code: int) -> None:
    sys.stdout.flush()
    os._exit(code)


def abort_for_memory() -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def hang(lock_python: bool = False) -> None:
    """Sleep for an hour, if wished in C and with Python's lock held, as a hanging library does."""
    if lock_python:
        ctypes.PyDLL(None).sleep(3600)
    time.sleep(3600)


def work(seconds: float, pixels: int) -> str:
    working(pixels)
    time.sleep(seconds)
    return "done"


def chatter(seconds: float) -> None:
    """Signs of life without an end."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        working(0)
        time.sleep(0.01)


def eat(size: int) -> int:
    return len(bytearray(size))


def flood(size: int) -> str:
    """Print without an end, as libraries do of damaged files."""
    for _ in range(size >> 16):
        os.write(1, b"o" * (1 << 16))
        os.write(2, b"e" * (1 << 16))
    os.write(2, b"\nthe last line\n")
    return "done"


def fail(kind: str, text: str) -> None:
    """Raise an error of a kind."""
    made: dict[str, Exception] = {
        "refusal": Refusal(text, "truncated"),
        "storage": StorageError(text, "slug"),
        "unheard": Unheard(text, "slug"),
        "unheard too": UnheardToo(text, "slug"),
        "memory": MemoryError(),
        "missing": FileNotFoundError(2, "No such file or directory", text),
        "other": ZeroDivisionError(text),
    }
    raise made[kind]


def fail_over_a_disk(number: int) -> None:
    """As a reader does whose file cannot be read to its end."""
    try:
        raise OSError(number, os.strerror(number))
    except OSError as error:
        try:
            raise Refusal("could not be read to its end", "unreadable") from error
        except Refusal as refusal:
            raise UnreadableImage("scan 1.tif could not be read to its end", "unreadable") from refusal


def stranger() -> Stranger:
    return Stranger()


def relative(path: Path) -> str:
    return path.read_text()


def say(payload: bytes, kind: int = Kind.RESULT, serial: int = 1) -> None:
    """Send something of one's own to the parent, as code that took the process over could."""
    Channel(_line()).send(Message(Kind(kind), serial, payload))
    time.sleep(60)


def say_raw(content: bytes) -> None:
    _line().sendall(content)
    time.sleep(60)


def _line() -> socket.socket:
    """The socket of this process."""
    return socket.socket(fileno=os.dup(int(sys.argv[1])))


def _here(name: str) -> str:
    return f"{__name__}:{name}"


REGISTRY = Registry(
    functions={
        function.__name__: _here(function.__name__)
        for function in (
            *(
                abort_for_memory,
                chatter,
                die,
                eat,
                echo,
                end,
                fail,
                fail_over_a_disk,
                fill,
                flood,
                hang,
                modules,
                picture,
            ),
            *(process_id, relative, say, say_raw, spool, stranger, work),
        )
    }
    | {"missing": _here("nothing_of_this_name")},
    records=frozenset({_here("Box"), f"{ImageFacts.__module__}:ImageFacts"}),
    errors=frozenset({"storage.errors:StorageError", "storage.errors:UnreadableImage", _here("Unheard")}),
    preload=(__name__,),
)
