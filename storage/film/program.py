"""The ffmpeg program: where it is, and how its processes are started, watched and ended.

Every process has its own standard streams (nothing of ours is inherited), a limit of time, and dies with the
process that started it. Films are named by absolute ``file:`` addresses and only known film formats are opened,
so that neither a name nor a play list inside a file can make ffmpeg open anything else.
"""

import ctypes
import fcntl
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import imageio_ffmpeg

# Seconds that an ffmpeg process may be silent before it is taken for hung; generous, for slow network shares.
STALL_SECONDS = 180.0
FORMATS = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegts,mpegvideo,mxf,mxf_opatom,dv,h264,hevc,m4v,yuv4mpegpipe,"
    "ogg,flv,asf,nut,rm"
)
_QUIET = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "error")
_PR_SET_PDEATHSIG = 1
_REPORT_BYTES = 1 << 16


@dataclass(frozen=True)
class Finished:
    """What a process left: its exit status, standard output, and the lines it wrote as errors."""

    status: int
    output: bytes
    errors: tuple[str, ...]


class Process:
    """A running ffmpeg. Its standard error goes to an unnamed temporary file, so that it can never block."""

    def __init__(self, popen: "subprocess.Popen[bytes]", report: IO[bytes]) -> None:
        self._popen = popen
        self._report = report

    @property
    def input(self) -> IO[bytes]:
        """The pipe to the process's standard input, unbuffered."""
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def output(self) -> IO[bytes]:
        """The pipe from the process's standard output, unbuffered."""
        assert self._popen.stdout is not None
        return self._popen.stdout

    def wait(self, seconds: float = STALL_SECONDS) -> int:
        """The exit status; raises ``TimeoutError`` if the process does not end within ``seconds``."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def has_spoken(self) -> bool:
        """Whether anything has been written to standard error."""
        return os.fstat(self._report.fileno()).st_size > 0

    def errors(self) -> tuple[str, ...]:
        """The lines written to standard error, of its last 64 kB."""
        size = self._report.seek(0, os.SEEK_END)
        self._report.seek(max(0, size - _REPORT_BYTES))
        text = self._report.read().decode("utf-8", "replace")
        return tuple(line.strip() for line in text.splitlines() if line.strip())


def ffmpeg_program() -> str:
    """The path of the ffmpeg that the package imageio-ffmpeg carries."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def address(path: Path) -> str:
    """The name under which ffmpeg opens a file, whatever characters the file's own name has."""
    return f"file:{path.absolute()}"


@contextmanager
def ffmpeg(arguments: Sequence[str], *, feed: bool = False) -> Iterator[Process]:
    """Run ffmpeg for as long as the block lasts; with ``feed`` its standard input is a pipe, otherwise empty.

    Whatever happens in the block, the process is gone when it ends. It also ends with the thread that started it.
    """
    with tempfile.TemporaryFile() as report:
        popen = subprocess.Popen(
            [ffmpeg_program(), *_QUIET, *arguments],
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=report,
            bufsize=0,
            preexec_fn=_die_with_parent(),
        )
        try:
            for pipe in (popen.stdin, popen.stdout):
                _widen(pipe)
            yield Process(popen, report)
        finally:
            popen.kill()
            for pipe in (popen.stdin, popen.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
            popen.wait()


def run_ffmpeg(arguments: Sequence[str], *, seconds: float = STALL_SECONDS) -> Finished:
    """Run ffmpeg to its end; raises ``TimeoutError`` (the process is gone then) if that takes over ``seconds``."""
    deadline = time.monotonic() + seconds
    with ffmpeg(arguments) as process:
        pieces = []
        while piece := read_piece(process.output, deadline - time.monotonic()):
            pieces.append(piece)
        status = process.wait(max(1.0, deadline - time.monotonic()))
        return Finished(status, b"".join(pieces), process.errors())


def read_piece(pipe: IO[bytes], seconds: float = STALL_SECONDS) -> bytes:
    """What lies ready in a pipe, up to 64 kB; empty at its end. ``TimeoutError`` if nothing comes in ``seconds``."""
    _wait(pipe, select.POLLIN, seconds)
    return os.read(pipe.fileno(), 1 << 16)


def read_lines(pipe: IO[bytes], seconds: float = STALL_SECONDS) -> Iterator[str]:
    """The lines of a pipe as they come; ``TimeoutError`` if none comes for ``seconds``."""
    rest = b""
    while piece := read_piece(pipe, seconds):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def read_into(pipe: IO[bytes], buffer: memoryview, seconds: float = STALL_SECONDS) -> int:
    """Fill ``buffer`` from a pipe; returns how many bytes came before its end."""
    filled = 0
    while filled < len(buffer):
        _wait(pipe, select.POLLIN, seconds)
        count = os.readv(pipe.fileno(), [buffer[filled:]])
        if not count:
            break
        filled += count
    return filled


def write_all(pipe: IO[bytes], data: memoryview, seconds: float = STALL_SECONDS) -> None:
    """Write all of ``data``; ``BrokenPipeError`` if the reader is gone, ``TimeoutError`` if it takes nothing."""
    os.set_blocking(pipe.fileno(), False)
    while data:
        _wait(pipe, select.POLLOUT, seconds)
        with suppress(BlockingIOError):
            data = data[os.write(pipe.fileno(), data) :]


def _widen(pipe: IO[bytes] | None) -> None:
    """Give a pipe room for a megabyte, if the system allows it: fewer changes between the two processes."""
    if pipe is not None:
        with suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)


def _wait(pipe: IO[bytes], event: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(0.0, seconds) * 1000):
        raise TimeoutError


def _die_with_parent() -> Callable[[], None]:
    """What the child does before it becomes ffmpeg: ask Linux to kill it when its parent ends."""
    libc = ctypes.CDLL(None)
    prctl = libc.prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the request was made
            os._exit(1)

    return ask
