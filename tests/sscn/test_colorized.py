"""Rows of a copy, made when they are asked for: from any target, however it lies, whatever is asked for."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sscn import Colorizer, SscnError, colour
from sscn.colorized import shown_size, stored, upright
from sscn.rgb_space import SRGB, RgbSpace
from tests.sscn.test_rgb_space import ADOBE, SIGNALS

ADOBE_RGB = RgbSpace(np.array(ADOBE), (SIGNALS ** (563 / 256),))
TURNS = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}
"""From stored rows to the picture as it is looked at."""


class Recorded:
    """Rows that note what is read of them."""

    def __init__(self, pixels: NDArray[Any]) -> None:
        self.shape, self.dtype = pixels.shape, pixels.dtype
        self.read: list[tuple[int, int]] = []
        self._pixels = pixels

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        self.read.append((rows.start, rows.stop))
        return self._pixels[rows]


def grey(picture: NDArray[np.uint8], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    image = Image.fromarray(picture).convert("L")
    return np.asarray(image if size is None else image.resize(size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_pillows(orientation: int, cat) -> None:
    """Exif's orientation as Pillow applies it."""
    image = Image.fromarray(cat)
    image.getexif()[0x0112] = orientation
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(image))
    found = upright(torch.from_numpy(cat.copy()).permute(2, 0, 1), orientation)
    assert np.array_equal(found.permute(1, 2, 0).numpy(), expected)
    assert tuple(found.shape[1:]) == shown_size(cat.shape, orientation)
    assert np.array_equal(stored(found, orientation).permute(1, 2, 0).numpy(), cat)
    assert np.array_equal(TURNS[orientation](cat), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(139, 97), (333, 251)])
def test_a_turned_scan_gets_the_colours_of_an_upright_one(colorizer: Colorizer, coffee, orientation: int, size) -> None:
    reference = colorizer.encode_reference(coffee)
    picture = grey(coffee, size)
    as_stored = next(TURNS[back](picture) for back in (orientation, {6: 8, 8: 6}.get(orientation, orientation))[1:])
    assert np.array_equal(TURNS[orientation](as_stored), picture)
    lying = colorizer.predict(np.ascontiguousarray(as_stored), reference, orientation=orientation)
    standing = colorizer.predict(picture, reference)
    difference = TURNS[orientation](lying.rows[:]).astype(int) - standing.rows[:]
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.001
    assert np.array_equal(lying.confidence, standing.confidence)
    assert lying.mean_confidence == standing.mean_confidence
    assert np.array_equal(lying.preview(100), standing.preview(100))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("shape", "orientation"), [((307, 211), 1), ((211, 307), 6), ((64, 5), 3), ((701, 403), 7)])
def test_any_rows_are_those_of_the_whole(colorizer: Colorizer, coffee, dtype, shape, orientation) -> None:
    target = grey(coffee, shape[::-1]).astype(dtype) * (257 if dtype == np.uint16 else 1)
    target = np.stack([target, target // 2, target // 3], 2) if orientation == 7 else target
    reference = colorizer.encode_reference(coffee)
    rows = colorizer.predict(target, reference, orientation=orientation, space=ADOBE_RGB).rows
    whole = rows[:]
    assert whole.shape == rows.shape == (*shape, 3)
    assert whole.dtype == rows.dtype == dtype
    random = np.random.default_rng(5)
    for top, bottom in np.sort(random.integers(0, shape[0] + 1, (25, 2)), axis=1):
        assert np.array_equal(rows[top:bottom], whole[top:bottom])
    assert np.array_equal(rows[-3:], whole[-3:])
    assert np.array_equal(np.concatenate([rows[top : top + 1] for top in range(shape[0])]), whole)


def test_colorize_is_predict_and_all_rows(colorizer: Colorizer, coffee, cat) -> None:
    reference = colorizer.encode_reference(coffee)
    for target in (
        cat,
        grey(cat),
        grey(cat)[:3],
        grey(cat)[:1, :1],
        grey(cat, (900, 31)),
        grey(cat, (640, 480)),
        grey(cat, (230, 209)),
    ):
        result, picture = colorizer.colorize(target, reference), colorizer.predict(target, reference)
        assert np.array_equal(result.rgb, picture.rows[:])
        assert picture.confidence.dtype == np.float32
        assert picture.mean_confidence == pytest.approx(result.mean_confidence, abs=1e-6)


def test_a_picture_of_the_networks_size_keeps_the_networks_chroma(colorizer: Colorizer, coffee) -> None:
    """The network has followed its edges already."""
    reference, target = colorizer.encode_reference(coffee), grey(coffee, (180, 120))
    y = colour.picture_y(target)
    with torch.inference_mode():
        answer = colorizer._network(colour.lightness(y)[None], reference)
    plain = colour.encode(colour.colour_with_luminance(y, answer.ab[0]), np.dtype(np.uint8)).astype(int)
    assert np.abs(colorizer.predict(target, reference).rows[:] - plain).max() <= 1


def test_rows_of_a_target_are_read_once_each_time(colorizer: Colorizer, coffee) -> None:
    """For the network and for the copy; in bands, no more than is needed for the rows asked for."""
    target = Recorded(grey(coffee, (1000, 700)))
    rows = colorizer.predict(target, colorizer.encode_reference(coffee)).rows
    assert [row for top, bottom in target.read for row in range(top, bottom)] == list(range(700))
    target.read.clear()
    for top in range(0, 700, 96):
        rows[top : top + 96]
    assert [row for top, bottom in target.read for row in range(top, bottom)] == list(range(700))


@pytest.mark.parametrize("is_grey", [True, False])
def test_the_number_of_threads_does_not_decide_about_bits(colorizer: Colorizer, coffee, monkeypatch, is_grey) -> None:
    target = np.asarray(Image.fromarray(coffee).resize((1000, 700)))
    target = grey(target) if is_grey else target
    reference = colorizer.encode_reference(coffee)
    alone = colorizer.predict(target, reference).rows[:]
    monkeypatch.setattr("sscn.finishing._BAND_PIXELS", 100_000)
    monkeypatch.setattr("sscn.finishing._SHARED_PIECE_PIXELS", 3000)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert np.array_equal(colorizer.predict(target, reference).rows[:], alone)


def test_a_target_that_cannot_be_read_further_says_so(colorizer: Colorizer, coffee, monkeypatch) -> None:
    """An error of the target's rows reaches who asks for the copy's."""
    target = Recorded(grey(coffee, (640, 480)))
    rows = colorizer.predict(target, colorizer.encode_reference(coffee)).rows

    def broken(self: Recorded, rows: slice, /) -> NDArray[Any]:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Recorded, "__getitem__", broken)
    with pytest.raises(OSError, match="disk"):
        rows[:]


def test_several_threads_may_ask(colorizer: Colorizer, coffee) -> None:
    picture = colorizer.predict(grey(coffee, (400, 600)), colorizer.encode_reference(coffee))
    made: dict[int, NDArray[Any]] = {}

    def make(top: int) -> None:
        made[top] = picture.rows[top : top + 100]

    threads = [threading.Thread(target=make, args=(top,)) for top in range(0, 600, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(np.concatenate([made[top] for top in sorted(made)]), picture.rows[:])


def test_seconds_grow_as_rows_are_made(colorizer: Colorizer, coffee) -> None:
    picture = colorizer.predict(grey(coffee), colorizer.encode_reference(coffee))
    before = dict(picture.seconds)
    assert set(before) == {"network", "chroma"}
    picture.rows[:50]
    after = dict(picture.seconds)
    assert after["chroma"] > before["chroma"]
    assert after["network"] == before["network"] > 0


@pytest.mark.parametrize(("depth", "limit"), [(np.uint8, 0.5), (np.uint16, 0.05)])
@pytest.mark.parametrize("copy_space", [SRGB, ADOBE_RGB])
def test_a_copy_of_another_depth_and_space_keeps_luminance(colorizer: Colorizer, coffee, copy_space, depth, limit):
    """An Adobe RGB master of 16 bits."""
    master = grey(coffee, (300, 200)).astype(np.uint16) * 257
    picture = colorizer.predict(
        master, colorizer.encode_reference(coffee), space=ADOBE_RGB, copy_space=copy_space, dtype=depth
    )
    made = picture.rows[:]
    assert made.dtype == picture.dtype == depth
    tables = copy_space.light(made.dtype)
    y = sum(tables[channel][made[..., channel]] * copy_space.luminance_weights[channel] for channel in range(3))
    wanted = colour.lightness(torch.from_numpy((master / 65535) ** (563 / 256)))
    assert (colour.lightness(torch.from_numpy(y)) - wanted).abs().max() <= limit
    assert np.ptp(made.astype(int), axis=2).mean() > 0.02 * np.iinfo(depth).max


def test_the_masters_space_decides_about_its_light(colorizer: Colorizer, coffee) -> None:
    """The same light in another space gets the same copy."""
    light = SRGB.light(np.dtype(np.uint8))[0][np.stack([grey(coffee)] * 3, 2)]
    reference = colorizer.encode_reference(coffee)
    one = colorizer.predict(SRGB.encode(light, np.dtype(np.uint16)), reference).rows[:].astype(int)
    two = colorizer.predict(ADOBE_RGB.encode(light, np.dtype(np.uint16)), reference, space=ADOBE_RGB).rows[:]
    assert np.abs(one - two).mean() < 10


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_preview_shows_the_copy_upright(colorizer: Colorizer, coffee, orientation: int) -> None:
    """Near the copy made smaller, though its rows are not made."""
    target = Recorded(grey(coffee, (1300, 900)))
    picture = colorizer.predict(target, colorizer.encode_reference(coffee), orientation=orientation)
    target.read.clear()
    preview = picture.preview(160)
    assert not target.read
    whole = TURNS[orientation](picture.rows[:])
    small = np.asarray(
        Image.fromarray(np.ascontiguousarray(whole)).resize(preview.shape[1::-1], Image.Resampling.BILINEAR)
    )
    assert max(preview.shape) == 160
    assert preview.shape[:2] == ((111, 160) if orientation == 1 else (160, 111))
    assert preview.dtype == np.uint8
    assert np.abs(preview.astype(int) - small).mean() < 2.5
    assert max(picture.preview(1000).shape) == 1000
    assert picture.preview(5000).shape[:2] == whole.shape[:2]


def test_previews_of_small_pictures_are_the_copy_itself(colorizer: Colorizer, coffee) -> None:
    picture = colorizer.predict(grey(coffee)[:, :120], colorizer.encode_reference(coffee))
    assert np.array_equal(picture.preview(1000), picture.rows[:])
    assert colorizer.predict(grey(coffee)[:1, :1], colorizer.encode_reference(coffee)).preview(64).shape == (1, 1, 3)


def test_what_cannot_be_predicted_is_refused(colorizer: Colorizer, coffee) -> None:
    reference = colorizer.encode_reference(coffee)
    for shape in ((5, 5, 4), (0, 5), (5,), (5, 5, 3, 1)):
        with pytest.raises(SscnError, match="shape"):
            colorizer.predict(Recorded(np.zeros(shape, np.uint8)), reference)
    with pytest.raises(SscnError, match="type"):
        colorizer.predict(Recorded(np.zeros((5, 5), np.float32)), reference)
    with pytest.raises(SscnError, match="orientation"):
        colorizer.predict(grey(coffee), reference, orientation=9)
    with pytest.raises(SscnError, match="8 or 16 bit"):
        colorizer.predict(grey(coffee), reference, dtype=np.float32)
    picture = colorizer.predict(grey(coffee), reference)
    with pytest.raises(SscnError, match="step"):
        picture.rows[::2]
    with pytest.raises(SscnError, match="long side"):
        picture.preview(0)
