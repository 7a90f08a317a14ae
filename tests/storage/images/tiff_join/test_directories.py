"""What a page carries stays with it: directories below it, Exif, GPS, private tags."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from storage.errors import UnreadableImage
from storage.images import identify_pages, read_master, read_metadata
from storage.images.exif import Exif, read_exif
from storage.images.records import Pixels
from storage.images.source import Source
from storage.images.tiff import read_pages
from storage.images.tiff_join import MasterPage, join_pages
from tests.storage.images.tiff_join.crafted_tiffs import CAMERA, LONG, SHORT, UNDEFINED, Tags, crafted, described
from tests.storage.images.tiff_join.joined_tiffs import blocks, complaints

ExifTool = Callable[..., str]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_pyramids_and_thumbnails_below_a_page_are_kept(tmp_path: Path, rgb48: Pixels, order: str, big: bool) -> None:
    master = tmp_path / "master.tif"
    with tifffile.TiffWriter(master, byteorder=order, bigtiff=not big) as writer:
        for _ in range(2):
            writer.write(rgb48, photometric="rgb", subifds=2, compression="zlib", predictor=True, metadata=None)
            writer.write(rgb48[::2, ::2], photometric="rgb", subfiletype=1, tile=(64, 64), metadata=None)
            writer.write(rgb48[::4, ::4], photometric="rgb", subfiletype=1, compression="lzw", metadata=None)
    join_pages(tmp_path / "joined.tif", [MasterPage(master, 2), MasterPage(master, 1)], big=big)
    assert complaints(tmp_path / "joined.tif") == ""
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        assert len(file.pages) == 2
        for page in file.pages:
            assert np.array_equal(page.asarray(), rgb48)
            assert [below.subfiletype for below in page.pages] == [1, 1]
            assert 297 not in page.pages[0].tags
            for step, below in zip((2, 4), page.pages, strict=True):
                assert np.array_equal(below.asarray(), rgb48[::step, ::step])


def exif_of(path: Path, page: int) -> Exif:
    with path.open("rb") as file:
        source = Source(descriptor=file.fileno())
        layout, pages = read_pages(source)
        return read_exif(source, layout, pages[page - 1].offset)


def test_exif_gps_and_interoperability_directories_are_kept(
    tmp_path: Path, ours: dict[str, Path], exiftool: ExifTool
) -> None:
    join_pages(tmp_path / "joined.tif", list(ours.values()))
    for number, page in enumerate(ours.values(), start=1):
        found, single = exif_of(tmp_path / "joined.tif", number), exif_of(page, 1)
        assert (found.exif, found.gps, found.interop) == (single.exif, single.gps, single.interop)
        assert found.gps
        assert found.interop
        assert found.image[270] == CAMERA.image[270]
    assert exiftool("-s3", "-GPSLatitude#", tmp_path / "joined.tif").strip() == "36.5"


def test_makers_notes_are_left_out_and_big_endian_tags_turned_round(tmp_path: Path, exiftool: ExifTool) -> None:
    strip = bytes(range(100))
    camera: Tags = {
        36864: (UNDEFINED, list(b"0232")),
        37500: (UNDEFINED, list(b"private note")),
        41728: (UNDEFINED, [3]),
    }
    private = {"t65000": (SHORT, [1, 2, 3]), "t65001": (UNDEFINED, list(b"as it is"))}
    caption = list(b"\x1c\x02\x78\0\5house\0\0")
    words = [int.from_bytes(bytes(caption[at : at + 4]), "big") for at in (0, 4, 8)]
    page = described(10, 10, 8, 100, t285=(2, list(b"7 recto\0")), t33723=(LONG, words), **private)
    crafted(tmp_path / "a.tif", ">", [(page, strip)], {34665: camera})
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    found = exif_of(tmp_path / "joined.tif", 1)
    assert set(found.exif) == {36864, 41728}
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        tags = file.pages[0].tags
        assert tags[285].value == "7 recto"
        assert tags[65000].value == (1, 2, 3)
        assert tags[65001].value == b"as it is"
    assert exiftool("-s3", "-IPTC:Caption-Abstract", tmp_path / "joined.tif").strip() == "house"
    assert read_metadata(tmp_path / "joined.tif").iptc == bytes(caption)


def test_directories_below_that_point_up_or_nowhere_are_left_out(tmp_path: Path) -> None:
    strip = bytes(range(100))
    for target in (8, 108, 4_000_000_000):  # the strip, the page itself, beyond the end
        crafted(tmp_path / "a.tif", "<", [(described(10, 10, 8, 100, t330=(LONG, [target])), strip)])
        assert read_pages(Source((tmp_path / "a.tif").read_bytes()))[1][0].offset == 108
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
        assert blocks(tmp_path / "joined.tif", 0) == [strip]
        assert (tmp_path / "joined.tif").stat().st_size < 1000


def test_a_directory_read_back_is_sorted_and_aligned(tmp_path: Path, ours: dict[str, Path]) -> None:
    join_pages(tmp_path / "joined.tif", list(ours.values()))
    source = Source((tmp_path / "joined.tif").read_bytes())
    _, pages = read_pages(source)
    for page in pages:
        assert page.offset % 2 == 0
        assert list(page.entries) == sorted(page.entries)


@pytest.mark.parametrize("order", "<>")
def test_a_directory_without_a_picture_is_no_page(tmp_path: Path, order: str) -> None:
    """As C2PA puts one with its manifest behind the last page."""
    pixels = bytes(range(64))
    page = (described(8, 8, 8, 64), pixels)
    manifest: Tags = {52545: (UNDEFINED, [7] * 40)}
    damaged: Tags = {256: (LONG, [8]), 257: (LONG, [8])}
    crafted(tmp_path / "signed.tif", order, [page, page, (manifest, b"")])
    assert [found.pages for found in identify_pages(tmp_path / "signed.tif")] == [2, 2]
    assert read_master(tmp_path / "signed.tif", page=2).pixels.tobytes() == pixels
    crafted(tmp_path / "lost.tif", order, [page, (damaged, b"")])
    with pytest.raises(UnreadableImage, match="page 2"):
        identify_pages(tmp_path / "lost.tif")
    crafted(tmp_path / "nothing.tif", order, [(manifest, b"")])
    with pytest.raises(UnreadableImage, match="damaged"):
        identify_pages(tmp_path / "nothing.tif")
