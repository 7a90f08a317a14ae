"""DNG: found below its preview, cropped as it says, developed the same way every time."""

import json
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from storage.images import dng
from storage.images.ifd import read_directory, read_layout
from storage.images.records import Pixels, Refusal
from storage.images.source import Source

BLACK, WHITE = 100, 4095
NEUTRAL = (0.5, 1.0, 0.6)
"""What the camera sees of something white."""
XYZ_TO_SRGB = (3.2404542, -1.5371385, -0.4985314, -0.969266, 1.8760108, 0.041556, 0.0556434, -0.2040259, 1.0572252)
"""A camera whose colours are sRGB's own."""

Tags = list[tuple[int, Any, int, Any, bool]]


def fractions(values: tuple[float, ...]) -> list[int]:
    return [part for value in values for part in (round(value * 1_000_000), 1_000_000)]


def camera_tags(orientation: int = 1) -> Tags:
    return [
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Camera", True),
        (274, "H", 1, orientation, True),
        (50706, "B", 4, bytes((1, 4, 0, 0)), True),
        (50707, "B", 4, bytes((1, 1, 0, 0)), True),
        (50708, "s", 0, "Maker Camera", True),
        (50721, "2i", 9, fractions(XYZ_TO_SRGB), True),
        (50728, "2I", 3, fractions(NEUTRAL), True),
        (50778, "H", 1, 21, True),
    ]


def sensor_tags(channels: int = 1) -> Tags:
    filters: Tags = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes((0, 1, 1, 2)), True)]
    return [
        *(filters if channels == 1 else []),
        (50714, "H", channels, (BLACK,) * channels if channels > 1 else BLACK, True),
        (50717, "H", channels, (WHITE,) * channels if channels > 1 else WHITE, True),
    ]


def seen(scene: Pixels) -> Pixels:
    """Linear light (H, W, 3) in 0..1 as the camera counts it, (H, W, 3) uint16."""
    counts: Pixels = np.rint(BLACK + scene * np.asarray(NEUTRAL) * (WHITE - BLACK)).astype(np.uint16)
    return counts


def mosaic(scene: Pixels) -> Pixels:
    """What is left of it behind red, green, green and blue filters."""
    counts = seen(scene)
    raw = counts[..., 1].copy()
    raw[0::2, 0::2], raw[1::2, 1::2] = counts[0::2, 0::2, 0], counts[1::2, 1::2, 2]
    return raw


def encoded(linear: Pixels) -> Pixels:
    values: Pixels = 65535 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return values


@pytest.fixture(scope="module")
def scene() -> Pixels:
    """Three fields of colour over one of greys, (120, 160, 3), linear light."""
    picture = np.empty((120, 160, 3))
    picture[:60, :54], picture[:60, 54:108], picture[:60, 108:] = (0.8, 0.2, 0.1), (0.05, 0.5, 0.3), (0.01, 0.1, 0.9)
    picture[60:] = np.linspace(0.02, 0.9, 160)[:, np.newaxis]
    return picture


@pytest.fixture
def plain(tmp_path: Path, scene: Pixels) -> bytes:
    """A DNG whose first directory is the raw picture."""
    path = tmp_path / "plain.dng"
    tags = [*camera_tags(), *sensor_tags()]
    tifffile.imwrite(path, mosaic(scene), photometric=32803, extratags=tags, metadata=None, software=False)
    return path.read_bytes()


def with_preview(path: Path, raw: Pixels | Iterator[bytes], area: Tags, orientation: int = 1, **options: Any) -> bytes:
    """A DNG as cameras write them: a small preview, and the raw picture in a directory below it."""
    with tifffile.TiffWriter(path) as writer:
        preview = np.full((30, 40, 3), 200, np.uint8)
        shared: dict[str, Any] = {"metadata": None, "software": False}
        writer.write(preview, photometric="rgb", subfiletype=1, subifds=1, extratags=camera_tags(orientation), **shared)
        tags = [*sensor_tags(), *area]
        writer.write(raw, photometric=32803, subfiletype=0, extratags=tags, **shared, **options)
    return path.read_bytes()


def fields(colour: Pixels) -> list[Pixels]:
    """The three fields' middles."""
    return [colour[30, column] for column in (27, 81, 134)]


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except Refusal as refusal:
        return refusal.error_type
    return "read"


def test_colours_come_out_as_they_were(plain: bytes, scene: Pixels) -> None:
    header, samples = dng.read_header(Source(plain)), dng.decode(plain)
    assert (header.format, header.width, header.height, header.channels) == ("dng", 160, 120, 3)
    assert (header.bit_depth, header.metadata.icc, header.metadata.orientation) == (16, None, 1)
    assert (samples.space, samples.colour.shape) == ("rgb", (120, 160, 3))
    assert samples.colour.dtype == np.uint16
    for found, wanted in zip(fields(samples.colour), fields(encoded(scene)), strict=True):
        assert np.abs(found - wanted).max() < 300
    greys = samples.colour[90, 8:-8].astype(int)
    assert np.abs(greys - encoded(scene)[90, 8:-8]).max() < 400


def test_brightness_is_not_made_to_fit_the_picture(plain: bytes, tmp_path: Path, scene: Pixels) -> None:
    path = tmp_path / "dark.dng"
    tags = [*camera_tags(), *sensor_tags()]
    tifffile.imwrite(path, mosaic(scene / 8), photometric=32803, extratags=tags, metadata=None, software=False)
    for found, wanted in zip(fields(dng.decode(path.read_bytes()).colour), fields(encoded(scene / 8)), strict=True):
        assert np.abs(found - wanted).max() < 500


def test_the_same_every_time(plain: bytes) -> None:
    assert np.array_equal(dng.decode(plain).colour, dng.decode(plain).colour)


def test_rows_stay_as_stored_and_the_crop_is_made(tmp_path: Path, scene: Pixels) -> None:
    raw = np.pad(mosaic(scene), ((4, 0), (6, 0)), constant_values=BLACK)  # masked edges of the sensor
    active: Tags = [(50829, "I", 4, (4, 6, 124, 166), True)]
    content = with_preview(tmp_path / "a.dng", raw, active, orientation=6)
    header, whole = dng.read_header(Source(content)), dng.decode(content).colour
    assert (header.width, header.height, header.metadata.orientation) == (160, 120, 6)
    assert (header.facts.width, header.facts.height) == (120, 160)
    assert whole.shape == (120, 160, 3)
    for found, wanted in zip(fields(whole), fields(encoded(scene)), strict=True):
        assert np.abs(found - wanted).max() < 300
    crop: Tags = [(50719, "2I", 2, [8, 1, 2, 1], True), (50720, "H", 2, (140, 112), True), *active]
    content = with_preview(tmp_path / "b.dng", raw, crop)
    header, cropped = dng.read_header(Source(content)), dng.decode(content).colour
    assert (header.width, header.height) == (140, 112)
    assert np.array_equal(cropped, whole[2:114, 8:148])


@pytest.mark.parametrize("options", [{"tile": (64, 64)}, {"rowsperstrip": 16}])
def test_other_ways_to_store_it(tmp_path: Path, scene: Pixels, options: dict[str, Any], plain: bytes) -> None:
    content = with_preview(tmp_path / "a.dng", mosaic(scene), [], **options)
    assert np.array_equal(dng.decode(content).colour, dng.decode(plain).colour)


def test_lossless_jpeg_as_cameras_use_it(tmp_path: Path, scene: Pixels, plain: bytes) -> None:
    raw = mosaic(scene)
    tile = bytes(imagecodecs.ljpeg_encode(raw, bitspersample=16))
    stored: dict[str, Any] = {"shape": raw.shape, "dtype": raw.dtype, "compression": 7, "rowsperstrip": raw.shape[0]}
    content = with_preview(tmp_path / "a.dng", iter([tile]), [], **stored)
    assert np.array_equal(dng.decode(content).colour, dng.decode(plain).colour)
    assert outcome(partial(dng.decode, content[:-20])) == "truncated"


def test_linear_raw(tmp_path: Path, scene: Pixels) -> None:
    path = tmp_path / "linear.dng"
    tags = [*camera_tags(), *sensor_tags(3)]
    tifffile.imwrite(path, seen(scene), photometric=34892, extratags=tags, metadata=None, software=False)
    content = path.read_bytes()
    assert dng.read_header(Source(content)).channels == 3
    samples = dng.decode(content)
    assert np.abs(samples.colour[::7, ::7] - encoded(scene)[::7, ::7]).max() < 300


def test_a_sensor_without_colour(tmp_path: Path, scene: Pixels) -> None:
    path = tmp_path / "grey.dng"
    tags = [tag for tag in (*camera_tags(), *sensor_tags()) if tag[0] not in (33421, 33422, 50721, 50728, 50778)]
    light = scene[..., 1]
    counts = np.rint(BLACK + light * (WHITE - BLACK)).astype(np.uint16)
    tifffile.imwrite(path, counts, photometric=32803, extratags=tags, metadata=None, software=False)
    content = changed(path.read_bytes(), 262, "<H", 34892)
    header, samples = dng.read_header(Source(content)), dng.decode(content)
    assert (header.channels, samples.space, samples.colour.shape) == (1, "grey", (120, 160))
    assert np.abs(samples.colour - encoded(light)).max() < 300


def test_metadata(plain: bytes) -> None:
    metadata = dng.read_header(Source(plain)).metadata
    assert metadata.exif is not None
    assert b"Camera" in metadata.exif
    assert (metadata.xmp, metadata.iptc, metadata.notes) == (None, None, ())


def test_cuts(tmp_path: Path, plain: bytes, scene: Pixels) -> None:
    below = with_preview(tmp_path / "a.dng", mosaic(scene), [])
    for content in (plain, below):
        for length in range(8, len(content), len(content) // 60):
            cut = content[:length]
            assert outcome(partial(dng.decode, cut)) in ("truncated", "unsupported"), length
        assert outcome(partial(dng.decode, content[:-1])) == "truncated"


def changed(content: bytes, tag: int, layout: str, *values: float) -> bytes:
    """The file with other numbers in a tag."""
    source = Source(content)
    order, first = read_layout(source)
    directory = read_directory(source, order, first)
    result = bytearray(content)
    struct.pack_into(layout, result, directory.entries[tag].offset, *values)
    return bytes(result)


def test_absurd_tags(tmp_path: Path, plain: bytes, scene: Pixels) -> None:
    for tag, layout, value, wanted in (
        (262, "<H", 2, "unsupported"),  # not raw
        (254, "<I", 1, "unsupported"),  # a preview without its picture
        (256, "<I", 0, "unreadable"),
        (256, "<I", 1 << 31, "truncated"),
        (257, "<I", 1 << 31, "truncated"),
        (257, "<I", 121, "truncated"),
        (273, "<I", 1 << 31, "truncated"),
    ):
        directory = read_directory(Source(plain), *read_layout(Source(plain)))
        if tag in directory.entries:
            assert outcome(partial(dng.decode, changed(plain, tag, layout, value))) == wanted, tag
    areas: list[Tags] = [
        [(50829, "I", 4, (0, 0, 500, 160), True)],
        [(50829, "I", 4, (50, 0, 50, 160), True)],
        [(50829, "I", 2, (50, 160), True)],
        [(50720, "H", 2, (161, 120), True)],
        [(50719, "H", 2, (30, 0), True), (50720, "H", 2, (150, 120), True)],
    ]
    for number, area in enumerate(areas):
        content = with_preview(tmp_path / f"{number}.dng", mosaic(scene), area)
        assert outcome(partial(dng.read_header, Source(content))) == "unreadable"
    squeezed = with_preview(tmp_path / "s.dng", mosaic(scene), [(50718, "2I", 2, [1, 1, 2, 1], True)])
    assert outcome(partial(dng.read_header, Source(squeezed))) == "unsupported"


def test_what_is_no_dng(tmp_path: Path, plain: bytes) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8))
    assert dng.is_dng(Source(plain))
    assert not dng.is_dng(Source(path.read_bytes()))
    assert outcome(partial(dng.read_header, Source(path.read_bytes()))) == "unsupported"


@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_is_refused_or_read(plain: bytes, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(25):
        content = bytearray(plain)
        for place in rng.integers(4, 700, 4):
            content[place] = rng.integers(0, 256)
        found = outcome(partial(careful, bytes(content)))
        assert found in ("read", "truncated", "unreadable", "unsupported")


def careful(content: bytes) -> None:
    header = dng.read_header(Source(content))
    if header.width * header.height < 1 << 22:
        dng.decode(content)


def test_exiftool_takes_the_files_for_dng(tmp_path: Path, scene: Pixels, exiftool: Callable[..., str]) -> None:
    """So that what is tested here are files of the kind."""
    path = tmp_path / "a.dng"
    with_preview(path, mosaic(scene), [])
    found = json.loads(exiftool("-j", "-DNGVersion", "-AsShotNeutral", "-FileType", "-Warning", path))[0]
    assert (found["FileType"], found["DNGVersion"], found["AsShotNeutral"]) == ("DNG", "1.4.0.0", "0.5 1 0.6")
    assert "Warning" not in found
