"""What a hostile file does to the decoder process ends in one error about that file, and the next call works."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.decoding.codec import pack
from storage.decoding.decoder import Decoder
from storage.errors import UnreadableImage
from tests.storage.decoding.conftest import SCAN, children, is_alive, open_files
from tests.storage.decoding.functions import REGISTRY

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """No process, zombie or open file."""
    before = children(), open_files()
    yield
    assert (children(), open_files()) == before


def refusal(decoder: Decoder, function: str, **arguments: object) -> tuple[str, str]:
    """Message and slug of the error that a call ends with; afterwards another process answers."""
    process = decoder.call("process_id", SCAN)
    with pytest.raises(UnreadableImage) as caught:
        decoder.call(function, SCAN, **arguments)
    assert isinstance(process, int)
    assert decoder.call("process_id", SCAN) != process
    assert not is_alive(process)
    return caught.value.message, caught.value.error_type


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL])
def test_a_crash(number: signal.Signals) -> None:
    with Decoder(registry=REGISTRY) as decoder:
        assert refusal(decoder, "die", number=int(number)) == (
            f"scan 1.tif is damaged: it ended the decoder ({number.name}); copy it again from its source",
            "unreadable",
        )


def test_a_library_that_ends_the_program() -> None:
    with Decoder(registry=REGISTRY) as decoder:
        message, error_type = refusal(decoder, "end", code=3)
    assert "it ended the decoder (exit status 3)" in message
    assert error_type == "unreadable"


@pytest.mark.parametrize("lock_python", [False, True])
def test_a_hang(lock_python: bool) -> None:
    with Decoder(registry=REGISTRY, patience=1) as decoder:
        assert refusal(decoder, "hang", lock_python=lock_python) == (
            "scan 1.tif is damaged: decoding it took longer than 1 seconds; copy it again from its source",
            "unreadable",
        )


def test_announced_work_has_more_time_and_no_more_than_that() -> None:
    with Decoder(registry=REGISTRY, patience=0.5) as decoder:
        assert decoder.call("work", SCAN, seconds=1.5, pixels=20_000_000) == "done"
        assert "longer than 2 seconds" in refusal(decoder, "work", seconds=60, pixels=1_000_000)[0]
        assert "longer than 0 seconds" in refusal(decoder, "work", seconds=60, pixels=-50_000_000)[0]


def test_signs_of_life_without_work_come_to_an_end() -> None:
    with Decoder(registry=REGISTRY, patience=0.1) as decoder:
        decoder.call("chatter", SCAN, seconds=1)
        refusal(decoder, "chatter", seconds=600)


@pytest.mark.parametrize("size", [1 << 29, 1 << 40])
def test_memory_has_a_limit(size: int) -> None:
    with Decoder(registry=REGISTRY, memory_bytes=400 << 20) as decoder:
        process = decoder.call("process_id", SCAN)
        assert decoder.call("eat", SCAN, size=100 << 20) == 100 << 20
        with pytest.raises(UnreadableImage, match="needs more memory than there is") as caught:
            decoder.call("eat", SCAN, size=size)
        assert caught.value.error_type == "too_large"
        assert decoder.call("process_id", SCAN) == process


def test_a_library_that_aborts_for_want_of_memory_or_is_killed_by_the_kernel_for_it() -> None:
    with Decoder(registry=REGISTRY) as decoder:
        expected = ("scan 1.tif needs more memory than there is; run it on a larger machine", "too_large")
        assert refusal(decoder, "abort_for_memory") == expected
        assert refusal(decoder, "die", number=int(signal.SIGKILL)) == expected


def test_printing_without_end_blocks_nothing_and_the_last_lines_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "storage.decoding")
    with Decoder(registry=REGISTRY) as decoder:
        assert decoder.call("flood", SCAN, size=1 << 26) == "done"
        assert decoder.call("echo", SCAN, value=1) == 1
    assert "the last line" in caplog.text
    assert len(caplog.text) < 10_000


def test_a_file_name_that_is_no_text_is_named_on_one_line() -> None:
    with Decoder(registry=REGISTRY) as decoder, pytest.raises(UnreadableImage) as caught:
        decoder.call("fail", Path(os.fsdecode(b"/a/b\n\xe9.tif")), kind="other", text="")
    assert caught.value.message.startswith("b\\x0a\\xe9.tif is damaged")


@pytest.mark.parametrize(
    ("payload", "kind", "serial"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", 4, 2),
        (b"", 4, 2),
        (pack(None, REGISTRY).payload, 5, 2),
        (pack(("storage", ("os:system", "true", ""), None), REGISTRY).payload, 5, 2),
        (pack(("storage", ("storage.errors:StorageError",), None), REGISTRY).payload, 5, 2),
        (pack(("no such", (), None), REGISTRY).payload, 5, 2),
        (pack("much", REGISTRY).payload, 3, 2),
        (pack(1, REGISTRY).payload, 4, 77),
        (pack(1, REGISTRY).payload, 1, 2),
        (pack(1, REGISTRY).payload, 2, 2),
    ],
    ids=["pickle", "nothing", "no failure", "no error", "half an error", "kind", "sign", "serial", "ready", "call"],
)
def test_a_manipulated_answer_is_refused(payload: bytes, kind: int, serial: int) -> None:
    with Decoder(registry=REGISTRY) as decoder:
        message, error_type = refusal(decoder, "say", payload=payload, kind=kind, serial=serial)
    assert "answer nonsense" in message
    assert error_type == "unreadable"


@pytest.mark.parametrize(
    "content",
    [
        b"\x09" + bytes(14),
        b"\x04" + bytes(4) + b"\xff" * 8 + bytes(2),
        b"\x04\x02\0\0\0" + bytes(8) + b"\x05\0" + bytes(20),
    ],
    ids=["kind", "length", "files"],
)
def test_an_answer_that_is_no_message_is_refused(content: bytes) -> None:
    with Decoder(registry=REGISTRY) as decoder:
        assert "answer nonsense" in refusal(decoder, "say_raw", content=content)[0]


def test_half_an_answer_is_waited_for_no_longer_than_patience() -> None:
    with Decoder(registry=REGISTRY, patience=1) as decoder:
        half = b"\x04\x02\0\0\0" + (1000).to_bytes(8, "little") + bytes(2) + b"x" * 500
        assert "longer than 1 seconds" in refusal(decoder, "say_raw", content=half)[0]


def test_a_process_that_ended_between_two_calls_is_replaced() -> None:
    with Decoder(registry=REGISTRY) as decoder:
        process = decoder.call("process_id", SCAN)
        assert isinstance(process, int)
        os.kill(process, signal.SIGKILL)
        while is_alive(process):
            time.sleep(0.01)
        assert decoder.call("process_id", SCAN) != process


def test_a_stopped_process_that_reads_no_call_counts_as_hanging() -> None:
    with Decoder(registry=REGISTRY, patience=1) as decoder:
        process = decoder.call("process_id", SCAN)
        assert isinstance(process, int)
        os.kill(process, signal.SIGSTOP)
        with pytest.raises(UnreadableImage, match="longer than 1 seconds"):
            decoder.call("echo", SCAN, value=b"x" * (1 << 24))
        assert not is_alive(process)


def test_signals_to_all_processes_of_a_run_do_not_end_the_process() -> None:
    with Decoder(registry=REGISTRY) as decoder:
        process = decoder.call("process_id", SCAN)
        assert isinstance(process, int)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(process, number)
        assert decoder.call("process_id", SCAN) == process


@pytest.fixture
def hears_interruptions() -> Iterator[None]:
    """As in a shell's foreground: what it starts in the background is deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_interruptions")
def test_an_interruption_of_a_call_ends_its_process_and_is_passed_on() -> None:
    with Decoder(registry=REGISTRY) as decoder:
        process = decoder.call("process_id", SCAN)
        assert isinstance(process, int)
        timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            decoder.call("hang", SCAN)
        timer.join()
        assert not is_alive(process)
        assert decoder.call("echo", SCAN, value=1) == 1


_WAITING_PARENT = """
from pathlib import Path
from storage.decoding.decoder import Decoder
from tests.storage.decoding.functions import REGISTRY
with Decoder(registry=REGISTRY, patience=1.5) as decoder:
    print(decoder.call("process_id", Path("a")), flush=True)
    print(decoder.call("work", Path("a"), seconds=1, pixels=0), flush=True)
"""


def test_a_run_that_was_stopped_for_a_while_does_not_count_that_as_hanging() -> None:
    command = [sys.executable, "-c", _WAITING_PARENT]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        time.sleep(0.3)
        os.kill(process, signal.SIGSTOP)
        parent.send_signal(signal.SIGSTOP)
        time.sleep(3)
        parent.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        os.kill(process, signal.SIGCONT)
        assert parent.stdout.read() == b"done\n"
    assert parent.returncode == 0


_PARENT = """
import signal, sys, threading
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started deaf to it
from storage.decoding.decoder import Decoder
from tests.storage.decoding.functions import REGISTRY
decoder = Decoder(registry=REGISTRY, patience=600)
print(decoder.call("process_id", Path("a")), flush=True)
if sys.argv[1] == "busy":
    decoder.call("hang", Path("a"), lock_python=True)
elif sys.argv[1] == "forgotten":
    sys.exit()
threading.Event().wait()
"""


@pytest.mark.parametrize("state", ["busy", "idle", "forgotten"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_process_ends_with_its_parent(state: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", _PARENT, state]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.send_signal(number)
        try:
            parent.wait(timeout=60)
        finally:
            parent.kill()
    end = time.monotonic() + 60
    while is_alive(process):
        assert time.monotonic() < end, "the decoder process has outlived its parent"
        time.sleep(0.01)
