"""What cannot be read is refused in plain words, fast, and without taking memory."""

import os
import random
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile
from PIL import Image

from storage.errors import UnreadableImage
from storage.images import identify, read_master
from storage.images.png import SIGNATURE, chunk
from storage.images.records import Pixels

OUTCOMES = {"read", "empty", "truncated", "not_an_image", "too_large", "unsupported", "unreadable"}


def refusal(path: Path, **limits: int) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as caught:
        read_master(path, **limits)
    assert "\n" not in caught.value.message
    assert path.name in caught.value.message
    return caught.value


def outcome(reader: Callable[[Path], object], path: Path) -> str:
    """How reading went: "read" or the refusal's slug; anything else that is raised fails the test."""
    try:
        reader(path)
    except UnreadableImage as refused:
        return refused.error_type
    return "read"


def png_claiming(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(50 * (1 + 20 * 3))))
    return SIGNATURE + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def test_an_empty_file_text_and_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"")
    assert refusal(tmp_path / "a.tif").error_type == "empty"
    (tmp_path / "b.tif").write_text("Box 12: glass negatives\n")
    assert refusal(tmp_path / "b.tif").error_type == "not_an_image"
    assert "it contains text" in refusal(tmp_path / "b.tif").message
    (tmp_path / "c.dpx").write_bytes(b"SDPX" + bytes(500))
    assert refusal(tmp_path / "c.dpx").error_type == "unsupported"
    assert refusal(tmp_path / "missing.tif").error_type == "unreadable"
    assert refusal(tmp_path).error_type == "not_an_image"


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    assert refusal(tmp_path / "a.tif").error_type == "not_an_image"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("name", ["sepia.jpg", "grey.jpg", "progressive.jpg", "rgb.png", "grey16.png", "rgb48.tif"])
def test_cut_off_files_are_refused(masters: Path, tmp_path: Path, name: str, share: float) -> None:
    content = (masters / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    assert refusal(path).error_type == "truncated"


@pytest.mark.parametrize("ending", [b"\xff\xd9", bytes(20_000)], ids=["closed", "zero-filled"])
def test_a_jpeg_that_only_looks_complete(masters: Path, tmp_path: Path, ending: bytes) -> None:
    content = (masters / "sepia.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2] + ending)
    assert refusal(tmp_path / "a.jpg").error_type == "truncated"


def test_bombs_are_refused_without_memory(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    (tmp_path / "huge.png").write_bytes(png_claiming(50_000, 50_000))
    (tmp_path / "thin.png").write_bytes(png_claiming(10_000, 10_000))
    (tmp_path / "profile.png").write_bytes(png_claiming(20, 50, chunk(b"iCCP", b"x\0\0" + bomb)))
    (tmp_path / "text.png").write_bytes(png_claiming(20, 50, chunk(b"zTXt", b"x\0\0" + bomb)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(tmp_path / "huge.png").error_type == "too_large"
    assert "50,000 x 50,000" in refusal(tmp_path / "huge.png").message
    assert refusal(tmp_path / "thin.png").error_type == "truncated"
    assert any("profile" in note for note in read_master(tmp_path / "profile.png").metadata.notes)
    assert read_master(tmp_path / "text.png").pixels.shape == (50, 20, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_the_limit_of_pixels_can_be_set(masters: Path) -> None:
    assert refusal(masters / "sepia.jpg", max_pixels=10_000).error_type == "too_large"


def test_tiff_lies_about_tiles_and_circles(tmp_path: Path, sepia: Pixels) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, sepia, photometric="rgb", tile=(64, 64), metadata=None)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        width_at, next_at = page.tags["TileWidth"].valueoffset, page.offset + 2 + 12 * len(page.tags)
    absurd = content.copy()
    struct.pack_into("<I", absurd, width_at, 1 << 24)
    path.write_bytes(absurd)
    assert refusal(path).error_type == "unreadable"
    struct.pack_into("<I", content, next_at, page.offset)  # the next page is this one
    path.write_bytes(content)
    assert read_master(path).facts.pages == 1


@pytest.mark.parametrize("round", range(4))
def test_damaged_files_never_raise_anything_else(
    masters: Path, tmp_path: Path, round: int, capfd: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(round)
    for path in sorted(masters.iterdir()):
        content = path.read_bytes()
        for trial in range(12):
            damaged = bytearray(content)
            # Headers are short and decide most: aim half of the blows at them.
            reach = len(damaged) if trial % 2 else min(len(damaged), 400)
            for _ in range(chance.choice([1, 3, 10])):
                damaged[chance.randrange(reach)] = chance.randrange(256)
            if trial % 4 == 3:
                del damaged[chance.randrange(len(damaged)) :]
            victim = tmp_path / path.name
            victim.write_bytes(damaged)
            started = time.monotonic()
            assert outcome(identify, victim) in OUTCOMES
            assert outcome(read_master, victim) in OUTCOMES
            assert time.monotonic() - started < 60  # a hang, on the slowest day
    assert capfd.readouterr() == ("", "")  # the libraries' own remarks are for nobody


def test_damaged_exif_is_noted(tmp_path: Path, sepia: Pixels) -> None:
    for block in (
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(40),
    ):
        Image.fromarray(sepia).save(tmp_path / "a.jpg", exif=block)
        assert any("Exif" in note for note in read_master(tmp_path / "a.jpg").metadata.notes)
