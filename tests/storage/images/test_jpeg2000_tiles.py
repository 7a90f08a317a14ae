"""JPEG 2000: tiles are decoded one by one, in little memory."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.images import read_master
from storage.images.jpeg2000 import bands
from storage.images.jpeg2000_writer import write_jpeg2000
from storage.images.records import Pixels
from storage.images.source import Source
from storage.images.srgb import srgb_profile


def _by_pillow(samples: Pixels, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(samples.astype(np.uint8)).save(stream, "JPEG2000", no_jp2=True, irreversible=False, **options)
    return stream.getvalue()


@pytest.mark.parametrize("order", ["LRCP", "RPCL"])
def test_tiles_decoded_one_by_one_are_those_of_the_whole(
    tmp_path: Path, rgb48: Pixels, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the picture begins within a tile, and where tiles come in several parts."""
    options = {"tile_size": (96, 64), "tile_offset": (0, 0), "offset": (40, 24), "progression": order}
    (tmp_path / "a.j2k").write_bytes(_by_pillow(rgb48[..., 0] >> 8, **options))
    alone = read_master(tmp_path / "a.j2k").pixels
    assert np.array_equal(alone, rgb48[..., 0] >> 8)
    monkeypatch.setattr("storage.images.jpeg2000.can_be_divided", lambda header: False)
    assert np.array_equal(read_master(tmp_path / "a.j2k").pixels, alone)


def test_a_large_picture_in_tiles_is_decoded_in_little_memory(tmp_path: Path, rgb48: Pixels) -> None:
    large = np.tile(rgb48, (9, 9, 1))
    write_jpeg2000(tmp_path / "a.jp2", large, icc=srgb_profile(), xmp=b"<x/>", iptc=None, exif_block=None, ppi=None)
    heights = [band.colour.shape[0] for band in bands(Source((tmp_path / "a.jp2").read_bytes()))]
    assert len(heights) > 1
    assert sum(heights) == large.shape[0]
    assert np.array_equal(read_master(tmp_path / "a.jp2").pixels, large)
