"""What reading takes in memory, next to the pixels themselves."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from storage.errors import UnreadableImage
from storage.images import ImageFacts, identify, read_master
from storage.images.colour import without_alpha
from storage.images.records import Pixels, Samples


def peak_bytes(work: Callable[[], object]) -> int:
    """Bytes that ``work`` takes at its peak, its result included."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("premultiplied", [False, True])
def test_transparent_parts_are_laid_on_white_block_by_block(sepia: Pixels, premultiplied: bool) -> None:
    colour = np.tile(sepia, (14, 14, 1))
    alpha = np.tile(np.arange(colour.shape[1], dtype=np.uint8), (colour.shape[0], 1))
    samples = Samples(colour, "rgb", alpha, premultiplied)
    assert peak_bytes(lambda: without_alpha(samples)) < 14 * alpha.size
    weight = alpha[..., np.newaxis] / 255
    exact = colour * (1 if premultiplied else weight) + 255 * (1 - weight)
    found, _ = without_alpha(samples)
    assert np.abs(found - np.minimum(exact, 255)).max() <= 0.51


def sparse_tiff(path: Path, tag: int, count: int, height: int = 100, rows: int = 100) -> None:
    """A TIFF with ``count`` items in one of its tags, most of them in a hole of the file."""
    entries = {256: (3, 1, 100), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    entries |= {273: (4, 1, 500), 277: (3, 1, 1), 278: (4, 1, rows), 279: (4, 1, 10_000)}
    entries[tag] = (4, count, 20_000)
    directory = b"".join(struct.pack("<HHII", key, *entries[key]) for key in sorted(entries))
    start = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + bytes(4)
    first = struct.pack("<II", {258: 8, 273: 500, 279: 10_000, 339: 1}.get(tag, 1), 0)
    path.write_bytes(start.ljust(20_000, b"\x80") + first)
    with path.open("r+b") as file:
        file.truncate(20_000 + 4 * count)


@pytest.mark.parametrize("tag", [258, 259, 273, 279, 320, 338, 339])
def test_no_list_in_a_tiff_is_read_beyond_what_the_picture_can_need(tmp_path: Path, tag: int) -> None:
    sparse_tiff(tmp_path / "a.tif", tag, 1_000_000)

    def look() -> ImageFacts | None:
        try:
            return identify(tmp_path / "a.tif")
        except UnreadableImage:
            return None

    assert peak_bytes(look) < 2_000_000


def test_a_tiff_in_absurdly_many_parts_is_refused(tmp_path: Path) -> None:
    sparse_tiff(tmp_path / "a.tif", 273, 25_000_000, height=25_000_000, rows=1)
    with pytest.raises(UnreadableImage) as refused:
        identify(tmp_path / "a.tif")
    assert refused.value.error_type == "too_large"


def test_a_tiff_that_lists_more_strips_than_it_has_is_read(tmp_path: Path) -> None:
    sparse_tiff(tmp_path / "a.tif", 273, 3)
    assert (read_master(tmp_path / "a.tif").pixels == 0x80).all()


def test_a_tiff_of_many_strips_is_read(tmp_path: Path, sepia: Pixels) -> None:
    tifffile.imwrite(tmp_path / "a.tif", sepia, photometric="rgb", planarconfig="contig", rowsperstrip=1)
    assert np.array_equal(read_master(tmp_path / "a.tif").pixels, sepia)
    planes = np.ascontiguousarray(np.moveaxis(sepia, 2, 0))
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate", rowsperstrip=1)
    assert np.array_equal(read_master(tmp_path / "b.tif").pixels, sepia)
