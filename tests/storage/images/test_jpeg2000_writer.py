"""JPEG 2000 derivatives: bit for bit the same in every decoder, valid, in bands, the same bytes again."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from storage.images import jpeg2000, jpeg2000_writer
from storage.images.exif import Exif, Field, build_exif
from storage.images.jpeg2000_writer import write_jpeg2000
from storage.images.records import Header, Pixels, Samples
from storage.images.rows import Rows
from storage.images.source import Source
from storage.images.srgb import srgb_profile

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
IPTC = b"\x1c\x02\x05\x00\x03Oak"
EXIF = build_exif(Exif(image={270: Field(2, 7, b"A barn\0")}))


class Watched:
    """Rows that note how many were asked for at once."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels, self.most = pixels, 0
        self.shape, self.dtype = pixels.shape, pixels.dtype

    def __getitem__(self, rows: slice, /) -> Pixels:
        found = self._pixels[rows]
        self.most = max(self.most, found.shape[0])
        return found


def written(path: Path, pixels: Rows, ppi: tuple[float, float] | None = (300, 300)) -> tuple[Header, Samples]:
    write_jpeg2000(path, pixels, icc=srgb_profile(), xmp=XMP, iptc=IPTC, exif_block=EXIF, ppi=ppi)
    content = path.read_bytes()
    return jpeg2000.read_header(Source(content)), jpeg2000.decode(content)


def codestream(path: Path) -> bytes:
    content = path.read_bytes()
    return content[content.index(b"jp2c") + 4 :]


def tile_size(path: Path) -> tuple[int, int]:
    stream = codestream(path)
    return int.from_bytes(stream[24:28], "big"), int.from_bytes(stream[28:32], "big")


def decoded_by_ffmpeg(path: Path, layout: str) -> Pixels:
    """What a decoder that shares no line with ours makes of it."""
    with av.open(str(path), format="j2k_pipe") as container:
        pixels: Pixels = next(container.decode(video=0)).to_ndarray(format=layout)
        return pixels


@pytest.fixture(scope="module")
def large(rgb48: Pixels) -> Pixels:
    """The photograph many times over, none like the other, (1160, 1300, 3) uint16."""
    pixels: Pixels = np.tile(rgb48 & 0xFF00, (5, 5, 1))[:1160, :1300]
    pixels ^= np.random.default_rng(3).integers(0, 4, pixels.shape, np.uint16)
    return pixels


@pytest.fixture
def tiles_from_the_first_pixel_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are cut into tiles as if they were large."""
    monkeypatch.setattr(jpeg2000_writer, "_ONE_TILE_PIXELS", 0)


@pytest.fixture
def large_file(tiles_from_the_first_pixel_on: None, tmp_path: Path, large: Pixels) -> Path:
    path = tmp_path / "large.jp2"
    written(path, large)
    return path


def test_bit_for_bit_in_every_decoder(tmp_path: Path, sepia: Pixels, rgb48: Pixels) -> None:
    for pixels, layout in ((sepia, "rgb24"), (rgb48, "rgb48le")):
        path = tmp_path / f"{layout}.jp2"
        header, samples = written(path, pixels)
        assert (header.bit_depth, samples.colour.dtype) == (8 * pixels.itemsize, pixels.dtype)
        assert np.array_equal(samples.colour, pixels)
        assert np.array_equal(decoded_by_ffmpeg(path, layout), pixels)
        shown = np.asarray(Image.open(path).convert("RGB"))
        assert np.array_equal(shown, pixels if pixels.dtype == np.uint8 else shown)
        assert shown.shape == pixels.shape


def test_tiles(large: Pixels, large_file: Path) -> None:
    assert np.array_equal(jpeg2000.decode(large_file.read_bytes()).colour, large)
    assert tile_size(large_file) == (1024, 1024)
    assert np.array_equal(decoded_by_ffmpeg(large_file, "rgb48le"), large)


def test_a_tile_is_coded_as_if_the_picture_were_coded_whole(large_file: Path, large: Pixels) -> None:
    """OpenJPEG's own tiling of the same picture makes the same coded data, so that tiles fit where they lie."""
    eight = (large >> 8).astype(np.uint8)
    path, other = large_file.with_name("ours.jp2"), large_file.with_name("theirs.j2k")
    watched = Watched(eight)
    written(path, watched)
    assert watched.most == 1024
    Image.fromarray(eight).save(other, "JPEG2000", tile_size=(1024, 1024), num_resolutions=5, mct=1)
    theirs = parts(other.read_bytes())
    assert len(theirs) == 4
    assert parts(codestream(path)) == theirs
    assert np.array_equal(np.asarray(Image.open(path)), eight)


def parts(stream: bytes) -> list[bytes]:
    """Each tile-part from its SOD on."""
    found, position = [], stream.index(b"\xff\x90\0\x0a")
    while stream[position : position + 2] == b"\xff\x90":
        length = int.from_bytes(stream[position + 6 : position + 10], "big")
        found.append(stream[stream.index(b"\xff\x93", position) : position + length])
        position += length
    return found


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 5), (7, 9), (8, 8), (15, 200), (16, 31), (1, 5000)])
def test_small_and_narrow(tmp_path: Path, rgb48: Pixels, shape: tuple[int, int]) -> None:
    pixels = np.resize(rgb48, (*shape, 3))
    for stored in (pixels, (pixels >> 8).astype(np.uint8)):
        path = tmp_path / "small.jp2"
        _, samples = written(path, stored)
        assert np.array_equal(samples.colour, stored)
        assert tile_size(path) == (shape[1], shape[0])
        assert np.array_equal(imagecodecs.jpeg2k_decode(codestream(path)), stored)


@pytest.mark.parametrize("shape", [(2049, 300), (1025, 1300), (3080, 140), (20, 30_000), (6150, 130), (140, 2172)])
def test_no_tile_at_the_edge_is_too_narrow(
    tiles_from_the_first_pixel_on: None, tmp_path: Path, sepia: Pixels, shape: tuple[int, int]
) -> None:
    pixels = np.resize(sepia, (*shape, 3))
    path = tmp_path / "edge.jp2"
    _, samples = written(path, pixels)
    assert np.array_equal(samples.colour, pixels)
    width, height = tile_size(path)
    levels = codestream(path)[codestream(path).index(b"\xff\x52") + 9]
    for side, tile in zip(shape, (height, width), strict=True):
        assert tile == side or tile % 1024 == 0
        assert (side % tile or tile) >= 8 << levels or levels == 0


def test_only_large_pictures_have_tiles(tmp_path: Path) -> None:
    for shape, tile in (((2048, 2048), (2048, 2048)), ((2048, 2304), (1024, 1024))):
        written(tmp_path / "a.jp2", np.zeros((*shape, 3), np.uint8))
        assert tile_size(tmp_path / "a.jp2") == tile


def test_the_same_bytes_again(tmp_path: Path, large: Pixels, large_file: Path) -> None:
    written(tmp_path / "other.jp2", large)
    assert large_file.read_bytes() == (tmp_path / "other.jp2").read_bytes()


def test_metadata_comes_back(tmp_path: Path, sepia: Pixels) -> None:
    for ppi in ((300.0, 300.0), (72.0, 96.0), (299.72, 1200.0), (1.0, 5080.0), (4000.5, 10_000.0), None):
        header, _ = written(tmp_path / "a.jp2", sepia, ppi)
        assert header.metadata.ppi == ppi
        assert (header.metadata.xmp, header.metadata.iptc, header.metadata.exif) == (XMP, IPTC, EXIF)
        assert header.metadata.icc == srgb_profile()
        assert header.metadata.description == "A barn"


def test_nothing_that_is_not_there(tmp_path: Path, sepia: Pixels) -> None:
    path = tmp_path / "bare.jp2"
    write_jpeg2000(path, sepia, icc=srgb_profile(), xmp=XMP, iptc=None, exif_block=None, ppi=None)
    metadata = jpeg2000.read_header(Source(path.read_bytes())).metadata
    assert (metadata.iptc, metadata.exif, metadata.ppi) == (None, None, None)


def test_other_pixels_are_not_taken(tmp_path: Path, sepia: Pixels) -> None:
    for pixels in (sepia[..., 0], sepia.astype(np.float32), sepia[..., :2]):
        with pytest.raises(ValueError, match="not RGB"):
            written(tmp_path / "a.jp2", pixels)


def test_exiftool_reads_it(tmp_path: Path, rgb48: Pixels, exiftool: Callable[..., str]) -> None:
    path = tmp_path / "a.jp2"
    written(path, rgb48)
    found = json.loads(exiftool("-j", "-G1", "-validate", "-warning", "-error", path))[0]
    assert not [name for name in found if name.endswith((":Warning", ":Error"))]
    names = ("ImageSize", "CaptureXResolution", "CaptureXResolutionUnit", "ImageDescription", "ObjectName")
    found = json.loads(exiftool("-j", *(f"-{name}" for name in names), path))[0]
    assert (found["ImageSize"], found["ImageDescription"], found["ObjectName"]) == ("320x246", "A barn", "Oak")
    assert found["CaptureXResolution"] * 2.54 == pytest.approx(300, abs=0.001)
    assert found["CaptureXResolutionUnit"] == "cm"


def test_jpylyzer_finds_it_valid(tmp_path: Path, sepia: Pixels, large_file: Path) -> None:
    program = shutil.which("jpylyzer", path=str(Path(sys.executable).parent)) or shutil.which("jpylyzer")
    if program is None:
        pytest.skip("jpylyzer is not installed")
    written(tmp_path / "a.jp2", sepia)
    written(tmp_path / "b.jp2", sepia[:1, :1])
    for path in (tmp_path / "a.jp2", tmp_path / "b.jp2", large_file):
        report = subprocess.run([program, path], check=True, capture_output=True, text=True).stdout
        assert '<isValid format="jp2">True</isValid>' in report
