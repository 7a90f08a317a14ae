"""One decoder process as its parent sees it: started, asked, watched, ended."""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from storage.decoding.channel import Channel, Closed, Garbled, Kind, Message, close_all
from storage.decoding.codec import BadMessage, Packed, pack, unpack
from storage.decoding.failures import CannotDecode, error_of
from storage.decoding.registry import Registry

_START_SECONDS = 120.0
"""For the imports of a new process, also from a slow disk; no file is to blame for these."""
_MOST_PIXELS = 1 << 30
"""What one announcement is believed."""
_PATIENCES = 20
"""So many times its patience a call may go on by signs that announce no pixels."""
_NAP_SECONDS = 1.0
"""A signal that another thread received is noticed after that."""
_REAP_SECONDS = 5.0
_TAIL_BYTES = 4096
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Each thread of these libraries would count with its whole stack against the limit of memory."""

_log = logging.getLogger(__name__)


class Died(Exception):  # noqa: N818 - the finding
    """The process ended by itself within a call."""

    def __init__(self, ending: str, *, out_of_memory: bool) -> None:
        super().__init__(ending)
        self.ending = ending
        self.out_of_memory = out_of_memory


class Hung(Exception):  # noqa: N818 - the finding
    """The process gave no sign for ``seconds`` and was killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no sign for {seconds:.0f} seconds")
        self.seconds = seconds


class DecoderProcess:
    """A running decoder process; one call at a time.

    It lives no longer than the thread that makes this object (PR_SET_PDEATHSIG goes by threads, prctl(2)).

    Raises:
        CannotDecode: it does not start.
    """

    def __init__(self, registry: Registry, memory_bytes: int, patience: float) -> None:
        self._registry, self._patience = registry, patience
        self._serial = 0
        self._deadline = self._allowed = self._latest = 0.0
        self._tail = b""
        self._ended = False
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs.fileno(), registry, memory_bytes)
            except OSError as error:
                ours.close()
                raise CannotDecode(f"the decoder process cannot be started: {error}") from error
        assert self._process.stderr is not None
        self._errors = self._process.stderr.fileno()
        os.set_blocking(self._errors, False)
        self._channel = Channel(ours, self._wait)
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._poll.register(self._errors, select.POLLIN)
        try:
            self._be_ready()
        except BaseException:
            self.kill()
            raise

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a call: alive, and nothing left over on the line."""
        return (
            not self._ended and self._process.poll() is None and not select.select([self._channel.line], [], [], 0)[0]
        )

    def call(self, function: str, arguments: dict[str, object], name: str) -> object:
        """The function's result, ``name`` being the file's in messages. The process is dead if this raises ``Died``,
        ``Hung`` or ``Garbled``, or anything that is no error of the function.

        Raises:
            Exception: the function's, see ``failures``.
            Unsendable: an argument does not travel.
        """
        packed = pack((function, _folder(), arguments), self._registry)
        self._serial = (self._serial + 1) % (1 << 32)
        self._tail = b""
        try:
            answer = self._exchange(packed)
            value = unpack(answer.payload, answer.descriptors, self._registry)
            error = None if answer.kind is Kind.RESULT else error_of(value, name, self._registry)
        except Closed:
            raise self._died() from None
        except (BadMessage, ValueError, TypeError) as error:
            self.kill()
            raise Garbled(f"{type(error).__name__}: {error}") from None
        except TimeoutError:
            self.kill()
            raise Hung(self._patience) from None
        except BaseException:
            self.kill()
            raise
        finally:
            self._log_tail(name)
        if error is not None:
            raise error
        return value

    def kill(self) -> None:
        """End the process, whatever it does; leaves no zombie. Not while another thread is in ``call``."""
        self._ended = True
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel, over a share that went away
            self._process.wait(_REAP_SECONDS)
        self._channel.line.close()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def stop(self) -> None:
        """End the process from another thread: its call raises ``Died``."""
        self._process.kill()

    def _exchange(self, packed: Packed) -> Message:
        self._latest = time.monotonic() + _PATIENCES * self._patience
        self._sign(0)
        self._channel.line.settimeout(self._patience)
        self._channel.send(Message(Kind.CALL, self._serial, packed.payload, packed.descriptors))
        while True:
            message = self._channel.receive()
            if message.serial == self._serial and message.kind in (Kind.RESULT, Kind.ERROR):
                return message
            close_all(message.descriptors)
            if message.serial != self._serial or message.kind is not Kind.BEAT:
                raise Garbled("an answer to another call")
            pixels = unpack(message.payload, [], self._registry)
            if not isinstance(pixels, int):
                raise Garbled("a sign of life without a number")
            self._sign(max(0, min(pixels, _MOST_PIXELS)))

    def _sign(self, pixels: int) -> None:
        seconds = pixels / 1e6
        self._latest += seconds
        self._allowed = self._patience + seconds
        self._deadline = min(time.monotonic() + self._allowed, self._latest)

    def _be_ready(self) -> None:
        self._deadline = time.monotonic() + _START_SECONDS
        try:
            message = self._channel.receive()
        except Closed:
            ending, words = self._died().ending, self._tail.decode(errors="replace").split("\n")
            said = "; ".join([ending, *(line.strip() for line in words[-2:] if line.strip())])
            raise CannotDecode(f"the decoder process ended while it started ({said})") from None
        except Hung:
            raise CannotDecode(f"the decoder process has not started within {_START_SECONDS:.0f} seconds") from None
        if message.kind is not Kind.READY:
            raise CannotDecode("the decoder process does not answer as it should")

    def _wait(self) -> None:
        """Until there is something to read on the line; what C libraries print is taken away meanwhile."""
        while True:
            asleep = time.monotonic()
            left = max(0.0, self._deadline - asleep)
            nap = min(left, _NAP_SECONDS)
            found = {descriptor for descriptor, _ in self._poll.poll(nap * 1000)}
            if (overslept := time.monotonic() - asleep - nap) > _NAP_SECONDS:
                self._deadline += overslept  # this process was stopped, and the other one perhaps with it
                self._latest += overslept
            if self._errors in found:
                self._read_errors()
            if self._channel.line.fileno() in found:
                return
            if not left:
                raise Hung(self._allowed)

    def _read_errors(self) -> bool:
        """Keep the last of what was printed; False if there is no more for now."""
        try:
            found = os.read(self._errors, 1 << 16)
        except BlockingIOError:
            return False
        if not found:
            self._poll.unregister(self._errors)
            self._errors = -1
        self._tail = (self._tail + found)[-_TAIL_BYTES:]
        return bool(found)

    def _died(self) -> Died:
        """How it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)  # its end of the line closes a moment before it is gone
        for _ in range(_TAIL_BYTES):
            if self._errors < 0 or not self._read_errors():
                break
        code = self._process.poll()
        self.kill()
        words = self._tail.lower()
        out_of_memory = b"bad_alloc" in words or b"out of memory" in words or code == -signal.SIGKILL
        return Died(_ending(code), out_of_memory=out_of_memory)

    def _log_tail(self, name: str) -> None:
        if self._tail:
            _log.debug("decoding %s printed: %s", name, self._tail.decode(errors="replace").strip())


def _start(line: int, registry: Registry, memory_bytes: int) -> subprocess.Popen[bytes]:
    arguments = [str(line), str(os.getpid()), str(memory_bytes), registry.to_json()]
    paths = os.pathsep.join(
        path or str(Path.cwd()) for path in sys.path
    )  # modules are found where this process finds them
    return subprocess.Popen(
        [sys.executable, "-P", "-X", "faulthandler", "-m", "storage.decoding.child", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[line],
        env=os.environ | _ONE_THREAD | {"PYTHONPATH": paths},
        process_group=0,  # the terminal's Ctrl-C and Ctrl-Z are for the parent
    )


def _folder() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:
        return None


def _ending(code: int | None) -> str:
    if code is None:
        return "it closed the line"
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit status {code}"
