"""Single frames as a player shows them: right colours whatever the film's matrix and range, square pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.film import UnreadableFilm, read_pictures
from tests.storage.film.clips import ffmpeg, lavfi, make

COLOURS = {"red": (200, 30, 40), "green": (40, 180, 60), "blue": (30, 50, 210), "grey": (128, 128, 128)}


def plain(path: Path, matrix: str, reach: str, pixel_format: str = "yuv444p") -> Path:
    """A film of four frames, each of one colour, tagged with what it is coded in."""
    for number, colour in enumerate(COLOURS.values()):
        Image.new("RGB", (64, 48), colour).save(path.parent / f"{number}.png")
    scale = f"scale=out_color_matrix={matrix}:in_range=full:out_range={reach},format={pixel_format}"
    tags = ("-colorspace", matrix, "-color_range", "pc" if reach == "full" else "tv")
    ffmpeg("-framerate", "25", "-i", str(path.parent / "%d.png"), "-vf", scale, "-c:v", "ffv1", *tags, str(path))
    return path


@pytest.mark.parametrize("reach", ["full", "limited"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt470bg"])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p10le"])
def test_colours(matrix: str, reach: str, pixel_format: str, tmp_path: Path) -> None:
    film = plain(tmp_path / "a.mkv", matrix, reach, pixel_format)
    shown = list(read_pictures(film, range(4), 480))
    assert [number for number, _, _ in shown] == [0, 1, 2, 3]
    for (_, colour, grey), wanted in zip(shown, COLOURS.values(), strict=True):
        assert colour.shape == (48, 64, 3)
        assert grey.shape == (48, 64)
        assert np.abs(colour.astype(int) - wanted).max() <= 3
        assert np.abs(grey - np.dot(wanted, [0.2126, 0.7152, 0.0722])).max() <= 3


def test_a_film_in_rgb_and_one_in_grey(tmp_path: Path) -> None:
    red = tmp_path / "red.mkv"
    ffmpeg(*lavfi("color=0xc81e28:size=64x48:rate=25:duration=0.2,format=gbrp"), "-c:v", "ffv1", str(red))
    ((_, colour, _),) = read_pictures(red, [2], 480)
    assert np.abs(colour.astype(int) - COLOURS["red"]).max() <= 1
    grey = tmp_path / "grey.mkv"
    ffmpeg(*lavfi("color=gray:size=64x48:rate=25:duration=0.2,format=gray16le"), "-c:v", "ffv1", str(grey))
    ((_, colour, luma),) = read_pictures(grey, [4], 480)
    assert np.abs(colour.astype(int) - 128).max() <= 2
    assert np.abs(luma.astype(int) - 128).max() <= 2


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ("128x96", "1", (96, 128)),
        ("128x96", "16/15", (96, 137)),
        ("128x96", "1/2", (96, 64)),
        ("1024x64", "1", (30, 480)),
        ("321x241", "1", (241, 321)),
        ("720x576", "64/45", (270, 480)),
    ],
)
def test_sizes(size: str, aspect: str, shown: tuple[int, int], tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", "-vf", f"setsar={aspect}", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size=size)
    ((_, colour, grey),) = read_pictures(film, [3], 480)
    assert colour.shape[:2] == grey.shape == shown


def test_the_frames_are_those_of_the_numbers(tmp_path: Path) -> None:
    """Each frame is lighter than the one before; key frames and order of coding do not matter."""
    film = tmp_path / "a.mp4"
    ramp = "nullsrc=size=64x48:rate=25:duration=1,format=yuv420p,geq=lum='20+8*N':cb=128:cr=128"
    ffmpeg(*lavfi(ramp), "-c:v", "libx264", "-bf", "3", "-g", "10", "-crf", "5", str(film))
    for numbers in ([0], [24], [3, 4, 11, 20], [9, 10]):
        shown = [(number, float(grey.mean())) for number, _, grey in read_pictures(film, numbers, 480)]
        assert [number for number, _ in shown] == numbers
        for number, mean in shown:
            assert mean == pytest.approx((4 + 8 * number) * 255 / 219, abs=3)


def test_a_number_that_is_not_there(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", "-c:v", "ffv1", seconds=0.4)
    with pytest.raises(UnreadableFilm):
        list(read_pictures(film, [3, 10], 480))


def test_no_numbers_give_no_pictures(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", "-c:v", "ffv1", seconds=0.4)
    assert list(read_pictures(film, [], 480)) == []


def test_what_is_no_film(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_text("Reel 4\n")
    with pytest.raises(UnreadableFilm):
        list(read_pictures(tmp_path / "a.mkv", [0], 480))
