"""The pictures of the review: made once, of any shape, and no more of them than the cache may hold."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from flows.review.pictures import PictureCache, as_jpeg, confidence_overlay


def test_the_cache_makes_a_picture_once_and_forgets_the_oldest() -> None:
    cache = PictureCache(most_bytes=25)
    made: list[str] = []

    def make(name: str) -> bytes:
        made.append(name)
        return bytes(10)

    for name in "abacb":  # at c there is only room for it and a
        cache.get(name, lambda name=name: make(name))  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]

    begun, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        begun.set()
        assert go_on.wait(60)
        raise ValueError("damaged")

    errors: list[Exception] = []

    def ask() -> None:
        try:
            cache.get("slow", slow)
        except ValueError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(errors) == 4
    assert cache.get("slow", lambda: b"whole") == b"whole"


@pytest.mark.parametrize("shape", [(3000, 7), (7, 3000), (20, 30, 3)])
def test_pictures_of_any_shape(shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 40_000, np.uint16)
    image = Image.open(io.BytesIO(as_jpeg(pixels, 100)))
    assert max(image.size) == min(100, max(shape[:2]))
    assert abs(int(np.asarray(image).mean()) - 156) <= 1
    unsure = confidence_overlay(np.full(shape[:2], np.nan, np.float32), 100)
    assert max(Image.open(io.BytesIO(unsure)).size) == min(100, max(shape[:2]))
