"""Large pages take little memory; what is too large for a classic TIFF becomes a BigTIFF."""

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from storage.images.tiff_join import MasterPage, join_pages
from tests.storage.images.tiff_join.crafted_tiffs import SHORT, UNDEFINED, crafted, described


def test_a_large_page_takes_little_memory(tmp_path: Path) -> None:
    size = 4096 * 4096 * 2
    tags = described(4096, 4096, 16, size, t65000=(UNDEFINED, [0]))
    crafted(tmp_path / "a.tif", ">", [(tags, bytes(range(256)) * (size // 256))])
    zipped = zlib.compress(bytes(range(256)) * (size // 256), 0)
    crafted(tmp_path / "b.tif", ">", [(described(4096, 4096, 16, len(zipped), t259=(SHORT, [8])), zipped)])
    tracemalloc.start()
    try:
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / name, 1) for name in ("a.tif", "b.tif")])
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        found = [page.asarray() for page in file.pages]
    assert np.array_equal(found[0], found[1])
    assert found[0][0, :2].tolist() == [0x0001, 0x0203]


def test_numbers_that_need_a_bigtiff_make_one(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8), bigtiff=True, metadata=None,
                     extratags=[(65000, 16, 2, (1, 1 << 40), True), (65001, 16, 1, 5, True)])  # fmt: skip
    join_pages(tmp_path / "joined.tif", [tmp_path / "a.tif"])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].tags[65000].value == (1, 1 << 40)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8), bigtiff=True, metadata=None,
                     extratags=[(65000, 16, 2, (1, 7), True), (65001, 16, 1, 5, True)])  # fmt: skip
    join_pages(tmp_path / "joined.tif", [tmp_path / "a.tif"])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        assert not file.is_bigtiff
        assert file.pages[0].tags[65000].value == (1, 7)
        assert file.pages[0].tags[65001].value == 5


def test_the_sum_of_the_pages_decides_whether_it_is_a_bigtiff(
    tmp_path: Path, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = parts["raw16be"]
    monkeypatch.setattr("storage.images.tiff_join._BIG_FROM_BYTES", int(page.stat().st_size * 2.5))
    for count in (2, 3):
        join_pages(tmp_path / "joined.tif", [page] * count)
        with tifffile.TiffFile(tmp_path / "joined.tif") as file:
            assert file.is_bigtiff == (count == 3)
