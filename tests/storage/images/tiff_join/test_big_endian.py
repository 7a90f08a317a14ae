"""Big-endian pages become little-endian without loss."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.images import read_master
from storage.images.records import Pixels, Refusal
from storage.images.tiff_join import MasterPage, join_pages
from tests.storage.images.tiff_join.crafted_tiffs import LONG, SHORT, crafted, described
from tests.storage.images.tiff_join.joined_tiffs import assert_joined, blocks, complaints


@pytest.mark.parametrize("name", ["lzw16be", "deflate16be", "packbits16be", "planes16be", "raw16be"])
def test_big_endian_samples_become_little_endian_without_loss(
    tmp_path: Path, parts: dict[str, Path], name: str
) -> None:
    join_pages(tmp_path / "joined.tif", [parts[name]])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file, tifffile.TiffFile(parts[name]) as before:
        assert (file.byteorder, before.byteorder) == ("<", ">")
        assert file.pages[0].compression == (1 if name == "raw16be" else 8)
        assert file.pages[0].predictor == before.pages[0].predictor
        assert file.pages[0].dtype == np.uint16
    assert_joined(tmp_path / "joined.tif", [parts[name]])


@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_big_endian_floats_are_turned_round_too(tmp_path: Path, grey16: Pixels, predictor: int) -> None:
    floats = (grey16 / 7).astype(np.float32)
    compression = {"compression": "zlib", "predictor": predictor} if predictor > 1 else {}
    if predictor == 2:
        floats = grey16.astype(np.uint32) * 65_537  # predictor 2 is for whole numbers
    tifffile.imwrite(tmp_path / "a.tif", floats, byteorder=">", photometric="minisblack", metadata=None, **compression)
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    assert np.array_equal(tifffile.imread(tmp_path / "joined.tif"), floats)
    assert complaints(tmp_path / "joined.tif") == ""


def test_strips_filled_up_to_full_height_are_cut_to_their_rows(tmp_path: Path, grey16: Pixels) -> None:
    rows = np.vstack([grey16[:10], grey16[:6]]).astype(">u2")
    strip = zlib.compress(rows.tobytes())
    tags = described(320, 10, 16, len(strip), t259=(SHORT, [8]), t278=(LONG, [16]))
    crafted(tmp_path / "a.tif", ">", [(tags, strip)])
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    assert np.array_equal(read_master(tmp_path / "joined.tif").pixels, grey16[:10])
    assert len(zlib.decompress(blocks(tmp_path / "joined.tif", 0)[0])) == 320 * 2 * 10


def test_old_style_jpeg_is_copied_with_its_stream(tmp_path: Path, sepia: Pixels) -> None:
    file = io.BytesIO()
    Image.fromarray(sepia).convert("L").save(file, "JPEG", quality=90)
    stream = file.getvalue()
    tags = described(320, 246, 8, len(stream), t259=(SHORT, [6]), t512=(SHORT, [1]), t513=(LONG, [-1]),
                     t514=(LONG, [len(stream)]))  # fmt: skip
    crafted(tmp_path / "a.tif", ">", [(tags, stream)] * 2)
    before = complaints(tmp_path / "a.tif")
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 2), MasterPage(tmp_path / "a.tif", 1)])
    with tifffile.TiffFile(tmp_path / "joined.tif") as joined:
        for number, page in enumerate(joined.pages):
            assert page.tags[513].value[0] == page.dataoffsets[0]
            assert blocks(tmp_path / "joined.tif", number) == [stream]
            assert np.array_equal(page.asarray(), np.asarray(Image.open(file)))
    assert complaints(tmp_path / "joined.tif") == before
    del tags[514]
    crafted(tmp_path / "a.tif", ">", [(tags, stream)])
    with pytest.raises(Refusal, match="old-style JPEG") as refused:
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    assert refused.value.error_type == "unsupported"
