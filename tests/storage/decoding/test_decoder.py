"""Functions run in the decoder process as if they were called here."""

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from storage.decoding.decoder import Decoder
from storage.decoding.failures import DAMAGED, TOO_LITTLE_MEMORY, CannotDecode
from storage.decoding.registry import Registry
from storage.errors import StorageError, UnreadableImage
from storage.images.rows import Spool, whole
from tests.storage.decoding.conftest import SCAN, children, is_alive, open_files
from tests.storage.decoding.functions import REGISTRY, Box, Unheard, picture


def test_arguments_and_results_are_what_they_were(decoder: Decoder) -> None:
    value = Box("a", [1, None, b"x", (2.5, "text"), {"key": Path("b")}])
    assert decoder.call("echo", SCAN, value=value) == value
    assert decoder.call("process_id", SCAN) != os.getpid()


def test_no_process_is_started_before_it_is_needed_and_it_is_used_again() -> None:
    before = children()
    with Decoder(registry=REGISTRY) as decoder:
        assert children() == before
        first = decoder.call("process_id", SCAN)
        assert children() - before == {first}
        assert all(decoder.call("process_id", SCAN) == first for _ in range(200))
    assert children() == before


@pytest.mark.parametrize("function", ["picture", "spool"])
def test_a_large_picture_arrives_and_is_gone_when_nobody_has_it(decoder: Decoder, function: str) -> None:
    expected = picture(1500, 2000)
    decoder.call("echo", SCAN, value=None)
    before = open_files()
    found = decoder.call(function, SCAN, height=1500, width=2000)
    assert isinstance(found, Spool if function == "spool" else np.ndarray)
    assert np.array_equal(whole(found), expected)
    del found
    assert open_files() == before


def test_a_picture_stays_readable_when_its_decoder_is_gone() -> None:
    with Decoder(registry=REGISTRY) as decoder:
        found = decoder.call("picture", SCAN, height=1000, width=800)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, picture(1000, 800))


def test_large_arguments_arrive_and_the_process_may_write_into_a_spool(decoder: Decoder) -> None:
    array = picture(900, 700)
    assert np.array_equal(decoder.call("echo", SCAN, value=array), array)  # type: ignore[arg-type]
    spool = Spool((900, 700), np.uint8)
    decoder.call("fill", SCAN, rows=spool)
    assert (whole(spool) == 7).all()


def test_too_much_for_a_message_is_a_mistake_and_leaves_the_process_alone(decoder: Decoder) -> None:
    process = decoder.call("process_id", SCAN)
    with pytest.raises(TypeError, match="too much"):
        decoder.call("echo", SCAN, value=[b"x" * (1 << 26)] * 5)
    assert decoder.call("process_id", SCAN) == process


def test_several_hundred_files_travel_in_one_message(decoder: Decoder) -> None:
    spools = [Spool((1, 3), np.uint8) for _ in range(450)]
    for number, spool in enumerate(spools):
        spool.put(0, np.full((1, 3), number % 256, np.uint8))
    before = open_files()
    found = decoder.call("echo", SCAN, value=spools)
    assert isinstance(found, list)
    assert [int(whole(spool)[0, 0]) for spool in found] == [number % 256 for number in range(450)]
    del found
    assert open_files() <= before + 2  # the process and its messages


def test_a_relative_path_means_what_it_means_here(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        monkeypatch.chdir(tmp_path / name)
        assert decoder.call("relative", SCAN, path=Path("file")) == name


def test_threads_have_processes_of_their_own_up_to_a_number(decoder: Decoder) -> None:
    barrier = threading.Barrier(2)

    def one(_: int) -> object:
        barrier.wait()
        decoder.call("work", SCAN, seconds=0.2, pixels=0)
        return decoder.call("process_id", SCAN)

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(one, range(2)))) == 2
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda number: (number, decoder.call("echo", SCAN, value=number)), range(200)))
        processes = set(pool.map(lambda _: decoder.call("process_id", SCAN), range(50)))
    assert found == {(number, number) for number in range(200)}
    assert len(processes) <= 2


def test_a_process_outlives_the_thread_that_asked_for_it(decoder: Decoder) -> None:
    with ThreadPoolExecutor(1) as pool:
        process = pool.submit(decoder.call, "process_id", SCAN).result()
    assert isinstance(process, int)
    for _ in range(20):
        assert decoder.call("process_id", SCAN) == process


@pytest.mark.parametrize(
    ("kind", "expected", "message", "error_type"),
    [
        ("refusal", UnreadableImage, "scan 1.tif ends too early", "truncated"),
        ("storage", StorageError, "ends too early", "slug"),
        ("unheard", Unheard, "ends too early", "slug"),
        ("unheard too", Unheard, "ends too early", "slug"),
        ("memory", UnreadableImage, f"scan 1.tif {TOO_LITTLE_MEMORY}", "too_large"),
        ("other", UnreadableImage, f"scan 1.tif {DAMAGED}", "unreadable"),
    ],
)
def test_errors_arrive_with_their_kind_and_words(
    decoder: Decoder, kind: str, expected: type[StorageError], message: str, error_type: str
) -> None:
    process = decoder.call("process_id", SCAN)
    with pytest.raises(StorageError) as caught:
        decoder.call("fail", SCAN, kind=kind, text="ends too early")
    assert type(caught.value) is expected
    assert (caught.value.message, caught.value.error_type) == (message, error_type)
    assert decoder.call("process_id", SCAN) == process


def test_errors_of_the_system_keep_number_and_file(decoder: Decoder) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        decoder.call("fail", SCAN, kind="missing", text="/no/such")
    assert (caught.value.errno, caught.value.filename) == (2, "/no/such")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOSPC, errno.EIO])
def test_what_the_system_said_stays_the_cause_of_an_error(decoder: Decoder, number: int) -> None:
    with pytest.raises(UnreadableImage, match="could not be read to its end") as caught:
        decoder.call("fail_over_a_disk", SCAN, number=number)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == number


@pytest.mark.parametrize(
    ("function", "arguments", "error", "words"),
    [
        ("no such", {}, ValueError, "no function"),
        ("missing", {}, TypeError, "nothing_of_this_name"),
        ("echo", {"wrong": 1}, TypeError, "cannot be called"),
        ("echo", {"value": object()}, TypeError, "travel"),
        ("stranger", {}, TypeError, "Stranger does not travel"),
    ],
)
def test_mistakes_of_the_program_are_not_blamed_on_the_file(
    decoder: Decoder, function: str, arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        decoder.call(function, SCAN, **arguments)
    assert decoder.call("echo", SCAN, value=1) == 1


def test_a_decoder_that_cannot_start_says_why_and_blames_no_file() -> None:
    registry = Registry({"echo": "no.such:module"}, preload=("no.such",))
    before = children(), open_files()
    with (
        Decoder(registry=registry) as decoder,
        pytest.raises(CannotDecode, match=r"exit status 1.*No module named 'no'"),
    ):
        decoder.call("echo", SCAN, value=1)
    assert (children(), open_files()) == before


def test_a_closed_decoder_says_so_and_can_be_closed_again(decoder: Decoder) -> None:
    process = decoder.call("process_id", SCAN)
    decoder.close()
    decoder.close()
    assert isinstance(process, int)
    assert not is_alive(process)
    with pytest.raises(RuntimeError, match="closed"):
        decoder.call("process_id", SCAN)


def test_closing_ends_a_call_in_another_thread() -> None:
    before = children()
    with Decoder(registry=REGISTRY) as decoder, ThreadPoolExecutor(1) as pool:
        decoder.call("echo", SCAN, value=1)
        call = pool.submit(decoder.call, "hang", SCAN)
        while not call.running():
            pass
        decoder.close()
        with pytest.raises(RuntimeError, match="closed"):
            call.result(timeout=30)
    assert children() == before


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1])
def test_closing_while_a_process_starts_leaves_none(seconds: float) -> None:
    before = children()
    with Decoder(registry=REGISTRY) as decoder, ThreadPoolExecutor(1) as pool:
        call = pool.submit(decoder.call, "hang", SCAN)
        time.sleep(seconds)
        decoder.close()
        with pytest.raises(RuntimeError):
            call.result(timeout=60)
    assert children() == before
