"""Messages between the two processes: over a pair of sockets, with the descriptors of open files beside them."""

import enum
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

_HEAD = struct.Struct("<BIQH")
MOST_BYTES = 1 << 28
"""Of a payload: metadata of 64 MB goes in several times; pixels travel as files."""
MOST_FILES = 1000
"""Beside a payload; the usual limit of a process is 1,024."""
_FILES_AT_A_TIME = 200
"""Linux passes on at most 253 (SCM_MAX_FD, unix(7))."""


class Kind(enum.IntEnum):
    """What a message is for."""

    READY = 1
    CALL = 2
    BEAT = 3
    RESULT = 4
    ERROR = 5


@dataclass(frozen=True)
class Message:
    """``serial`` is the number of the call that it belongs to."""

    kind: Kind
    serial: int = 0
    payload: bytes = b""
    descriptors: list[int] = field(default_factory=list)


class Garbled(Exception):  # noqa: N818 - what the other process sent is garbled
    """The other process sent something that is no message."""


class Closed(Exception):  # noqa: N818 - the line is closed
    """The other process has ended or closed its end."""


class Channel:
    """One end of the line. ``wait`` is called before each reading and returns when there is something to read."""

    def __init__(self, line: socket.socket, wait: Callable[[], None] = lambda: None) -> None:
        self.line = line
        self._wait = wait
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message from any thread; its descriptors stay open here.

        Raises:
            Closed: nobody reads it.
            TimeoutError: the line has a time limit, and it is over.
        """
        descriptors = message.descriptors
        head = _HEAD.pack(message.kind, message.serial, len(message.payload), len(descriptors))
        try:
            with self._sending:
                self.line.sendall(head)
                for first in range(0, len(descriptors), _FILES_AT_A_TIME):
                    socket.send_fds(self.line, [b"\0"], descriptors[first : first + _FILES_AT_A_TIME])
                self.line.sendall(message.payload)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self) -> Message:
        """The next message; its descriptors belong to the caller.

        Raises:
            Closed: there comes no further one.
            Garbled: it is none.
            OSError: this process has too many files open to take those of the message.
        """
        kind, serial, size, files = _HEAD.unpack(self._exactly(_HEAD.size))
        if size > MOST_BYTES or files > MOST_FILES or kind not in set(Kind):
            raise Garbled(f"kind {kind}, {size:,} bytes")
        descriptors: list[int] = []
        try:
            while len(descriptors) < files:
                self._files(descriptors, min(_FILES_AT_A_TIME, files - len(descriptors)))
            payload = self._exactly(size)
        except BaseException:
            close_all(descriptors)
            raise
        return Message(Kind(kind), serial, payload, descriptors)

    def _files(self, descriptors: list[int], count: int) -> None:
        self._wait()
        try:
            data, found, flags, _ = socket.recv_fds(self.line, 1, count, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError as error:
            raise Closed from error
        descriptors += found
        if not data:
            raise Closed
        if flags & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if len(found) != count:
            raise Garbled(f"{len(found)} open files instead of {count}")

    def _exactly(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            self._wait()
            try:
                part = self.line.recv(min(size - len(content), 1 << 20))
            except ConnectionResetError as error:
                raise Closed from error
            if not part:
                raise Closed
            content += part
        return bytes(content)


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that nobody takes."""
    for descriptor in descriptors:
        os.close(descriptor)
