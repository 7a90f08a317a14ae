"""Frames handed from thread to thread: in order, bounded, and no side waits for one that is gone."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from flows.film.frame_queue import FrameQueue, Stopped, ahead

SOON = 5.0


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader")]


def test_everything_comes_once_and_in_order() -> None:
    with ahead(lambda: range(500), 3) as numbers:
        assert list(numbers) == list(range(500))
    assert not readers()


def test_a_source_without_members() -> None:
    with ahead(lambda: (), 3) as nothing:
        assert list(nothing) == []


def test_the_source_is_never_further_ahead_than_it_may_be() -> None:
    made = 0

    def source() -> Iterator[int]:
        nonlocal made
        for number in range(50):
            made += 1
            yield number

    with ahead(source, 4) as numbers:
        assert eventually(lambda: made == 5)  # four wait, the fifth is in hand
        time.sleep(0.3)
        assert made == 5
        for taken, _ in enumerate(numbers, start=1):
            assert made <= taken + 5
    assert made == 50


def test_the_source_runs_beside_its_user() -> None:
    with ahead(lambda: iter([threading.get_ident()]), 2) as names:
        assert list(names) != [threading.get_ident()]


@pytest.mark.parametrize("error", [ValueError("damaged"), KeyboardInterrupt(), MemoryError()])
def test_an_error_of_the_source_comes_out_behind_what_came_before_it(error: BaseException) -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    taken: list[int] = []
    with pytest.raises(type(error)) as raised, ahead(source, 8) as numbers:
        taken.extend(numbers)
    assert taken == [1, 2]
    assert raised.value is error
    assert not readers()


def test_an_error_while_opening_the_source_comes_out() -> None:
    def source() -> Iterator[int]:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), ahead(source, 2) as numbers:
        next(numbers)


def test_a_user_that_stops_early_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    began = time.monotonic()
    with ahead(source, 2) as numbers:
        assert next(numbers) == 0
    assert time.monotonic() - began < SOON
    assert eventually(closed.is_set)
    assert not readers()


def test_an_error_of_the_user_ends_the_thread_too() -> None:
    with pytest.raises(ZeroDivisionError), ahead(lambda: range(1000), 2) as numbers:
        list(map((1).__floordiv__, numbers))
    assert not readers()


def test_a_reader_that_dies_wakes_the_one_that_puts() -> None:
    queue: FrameQueue[int] = FrameQueue(2)

    def write() -> None:
        try:
            queue.get()
            raise OSError("disk full")
        finally:
            queue.stop()

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        with pytest.raises(Stopped):
            list(map(queue.put, range(100)))
        with pytest.raises(OSError, match="disk full"):
            written.result(SOON)


def test_what_was_put_before_the_end_is_still_there() -> None:
    queue: FrameQueue[int] = FrameQueue(3)
    queue.put(1)
    queue.put(2)
    queue.stop()
    assert [queue.get(), queue.get()] == [1, 2]
    with pytest.raises(Stopped):
        queue.get()
    with pytest.raises(Stopped):
        queue.put(3)


def test_one_that_waits_for_a_member_is_woken() -> None:
    queue: FrameQueue[int] = FrameQueue(1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.get)
        time.sleep(0.1)
        queue.stop()
        with pytest.raises(Stopped):
            waiting.result(SOON)
