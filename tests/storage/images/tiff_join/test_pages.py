"""Several pages become one TIFF: what is compressed stays as it is, each page at its number."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.images import read_master
from storage.images.records import Pixels, Refusal
from storage.images.tiff_join import MasterPage, join_pages
from tests.storage.images.tiff_join.joined_tiffs import assert_joined, blocks, complaints

ExifTool = Callable[..., str]


@pytest.mark.parametrize("big", [False, True])
def test_pages_of_ours_and_of_masters_are_joined(
    tmp_path: Path, ours: dict[str, Path], parts: dict[str, Path], exiftool: ExifTool, big: bool
) -> None:
    pages = [page for pair in zip(list(ours.values()) * 3, parts.values(), strict=False) for page in pair]
    joined = tmp_path / "joined.tif"
    joined.write_bytes(b"what was there before" * 99)
    join_pages(joined, [MasterPage(page, 1) if page in parts.values() else page for page in pages], big=big)
    with tifffile.TiffFile(joined) as file:
        assert file.is_bigtiff == big
    assert_joined(joined, pages)
    assert complaints(joined) == "".join(complaints(page) for page in pages)
    # Each page has metadata of its own; ExifTool expects them at the first only. BigTIFF should end in .btf.
    inherent = ("[minor] Non-standard IPTC", "[minor] Non-standard XMP", "Duplicate XMP", "wrong extension")
    known = {line for page in pages for line in warnings(exiftool, page)}
    found = {line for line in warnings(exiftool, joined) if not any(words in line for words in inherent)}
    assert found <= known


def warnings(exiftool: ExifTool, path: Path) -> list[str]:
    lines = exiftool("-validate", "-warning", "-error", "-a", path).splitlines()
    return [line.split(" (")[0] for line in lines if line.startswith(("Warning", "Error"))]


def test_strips_and_tiles_are_copied_byte_for_byte(
    tmp_path: Path, ours: dict[str, Path], parts: dict[str, Path]
) -> None:
    pages = [*ours.values(), *(path for name, path in parts.items() if not name.endswith("16be"))]
    join_pages(tmp_path / "joined.tif", pages)
    for number, page in enumerate(pages):
        assert blocks(tmp_path / "joined.tif", number) == blocks(page, 0), page.name


@given(order=st.permutations(range(11)), big=st.booleans(), count=st.integers(1, 11))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_pages_and_the_same_bytes_again(
    tmp_path: Path, ours: dict[str, Path], parts: dict[str, Path], order: list[int], big: bool, count: int
) -> None:
    everything = [path for path in [*ours.values(), *parts.values()] if path.stem != "tiles8"]
    pages = [everything[number % len(everything)] for number in order[:count]]
    one, other = tmp_path / "one.tif", tmp_path / "other.tif"
    join_pages(one, pages, big=big)
    join_pages(other, pages, big=big)
    assert one.read_bytes() == other.read_bytes()
    for number, page in enumerate(pages):
        assert np.array_equal(read_master(one, page=number + 1).pixels, read_master(page).pixels)
    # A page taken out of the joined file and joined again is the same page.
    join_pages(other, [MasterPage(one, number + 1) for number in range(count)], big=not big)
    join_pages(one, [MasterPage(other, number + 1) for number in range(count)], big=big)
    first = one.read_bytes()
    join_pages(other, pages, big=big)
    assert first == other.read_bytes()


def test_pages_of_one_master_keep_their_numbers_though_thumbnails_lie_between(tmp_path: Path, sepia: Pixels) -> None:
    master = tmp_path / "master.tif"
    with tifffile.TiffWriter(master) as writer:
        for shift in range(3):
            writer.write(np.roll(sepia, shift, axis=2), photometric="rgb", metadata=None)
            writer.write(sepia[::8, ::8], photometric="rgb", subfiletype=1, metadata=None)
    join_pages(tmp_path / "joined.tif", [MasterPage(master, 3), MasterPage(master, 1), MasterPage(master, 3)])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        found = [page.asarray() for page in file.pages]
    assert [np.array_equal(page, np.roll(sepia, shift, axis=2)) for page, shift in zip(found, (2, 0, 2), strict=True)]
    assert len(found) == 3
    with pytest.raises(Refusal, match="has 3 pages and no page 4"):
        join_pages(tmp_path / "joined.tif", [MasterPage(master, 4)])
