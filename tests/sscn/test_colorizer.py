"""The Colorizer as its users call it."""

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from sscn import Colorizer, SscnError, colour


def _grey(picture):
    return np.asarray(Image.fromarray(picture).convert("L"))


def _chroma_error(rgb, truth) -> float:
    return float(np.linalg.norm(rgb2lab(rgb)[..., 1:] - rgb2lab(truth)[..., 1:], axis=-1).mean())


def test_a_grey_copy_gets_its_colours_back(colorizer: Colorizer, coffee):
    result = colorizer.colorize(_grey(coffee), colorizer.encode_reference(coffee))
    grey = np.repeat(_grey(coffee)[..., None], 3, 2)
    assert _chroma_error(result.rgb, coffee) < 0.25 * _chroma_error(grey, coffee)


def test_the_other_half_of_a_scene_helps(colorizer: Colorizer, coffee):
    width = coffee.shape[1] // 2
    target, reference = coffee[:, :width], coffee[:, width:]
    result = colorizer.colorize(_grey(target), colorizer.encode_reference(reference))
    grey = np.repeat(_grey(target)[..., None], 3, 2)
    assert _chroma_error(result.rgb, target) < 0.6 * _chroma_error(grey, target)


def test_confidence_is_higher_where_the_match_is_right(colorizer: Colorizer, cat, coffee):
    own = colorizer.colorize(_grey(coffee), colorizer.encode_reference(coffee))
    other = colorizer.colorize(_grey(coffee), colorizer.encode_reference(cat))
    assert own.mean_confidence > other.mean_confidence + 0.2
    assert own.confidence.shape == coffee.shape[:2]
    assert own.confidence.dtype == np.float32
    assert 0 <= own.confidence.min() <= own.confidence.max() <= 1


@pytest.mark.parametrize("attention", ["sparse", "dense"])
def test_same_pixels_every_time(attention, cat, coffee):
    first, second = (Colorizer.from_pretrained("default", attention=attention, size=160) for _ in range(2))
    one = first.colorize(_grey(cat), first.encode_reference(coffee))
    two = second.colorize(_grey(cat), second.encode_reference(coffee))
    assert np.array_equal(one.rgb, two.rgb)


def test_a_batch_equals_one_by_one(colorizer: Colorizer, cat, coffee):
    reference = colorizer.encode_reference(coffee)
    batch = colorizer.colorize_batch([_grey(cat), _grey(coffee)], reference)
    assert np.array_equal(batch[0].rgb, colorizer.colorize(_grey(cat), reference).rgb)
    assert np.array_equal(batch[1].rgb, colorizer.colorize(_grey(coffee), reference).rgb)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (33, 47), (192, 192), (193, 191), (700, 401)])
@pytest.mark.parametrize(("dtype", "limit"), [(np.uint8, 0.5), (np.uint16, 0.05)])
def test_any_size_and_depth_keeps_size_depth_and_luminance(colorizer: Colorizer, coffee, shape, dtype, limit):
    values = np.random.default_rng(1).random(shape)
    target = np.clip(np.cumsum(values - 0.49, axis=1) / 6 + 0.3, 0, 1)
    target = (target * np.iinfo(dtype).max).round().astype(dtype)
    result = colorizer.colorize(target, colorizer.encode_reference(coffee))
    assert result.rgb.shape == (*shape, 3)
    assert result.rgb.dtype == dtype
    top = np.iinfo(dtype).max
    wanted = rgb2lab(np.repeat(target[..., None], 3, 2).astype(np.float64) / top)[..., 0]
    assert np.abs(rgb2lab(result.rgb.astype(np.float64) / top)[..., 0] - wanted).max() <= limit


def test_sepia_is_luminance_not_colour(colorizer: Colorizer, coffee):
    """A sepia scan and a neutral one of the same luminance get the same colours."""
    reference = colorizer.encode_reference(coffee)
    neutral = np.repeat(_grey(coffee)[..., None].astype(np.uint16) * 257, 3, 2)
    y = colour.picture_y(neutral)
    warm = np.full((2, *neutral.shape[:2]), 0, np.float32)
    warm[0], warm[1] = 6, 16
    import torch

    sepia = colour.encode(colour.colour_with_luminance(y, torch.from_numpy(warm)), np.dtype(np.uint16))
    difference = colorizer.colorize(sepia, reference).rgb.astype(int) - colorizer.colorize(neutral, reference).rgb
    assert np.abs(difference).mean() < 0.01 * 65535


def test_full_size_bands_equal_one_piece(colorizer: Colorizer, coffee, monkeypatch):
    reference = colorizer.encode_reference(coffee)
    target = np.asarray(Image.fromarray(_grey(coffee)).resize((620, 410), Image.Resampling.BICUBIC))
    whole = colorizer.colorize(target, reference).rgb
    monkeypatch.setattr("sscn.finishing._BAND_PIXELS", 620 * 7)
    monkeypatch.setattr("sscn.finishing._PIECE_PIXELS", 620 * 2)
    assert np.array_equal(colorizer.colorize(target, reference).rgb, whole)


def test_pil_pictures_are_welcome(colorizer: Colorizer, cat):
    reference = colorizer.encode_reference(Image.fromarray(cat))
    wide = Image.fromarray(_grey(cat).astype(np.uint16) * 257)
    assert colorizer.colorize(wide, reference).rgb.dtype == np.uint16
    assert colorizer.colorize(Image.fromarray(cat).convert("RGBA"), reference).rgb.dtype == np.uint8


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"name": "huge"}, "huge"),
        ({"attention": "random"}, "random"),
        ({"size": 8}, "too small"),
        ({"device": "tpu"}, "tpu"),
        ({"device": "cuda:99"}, "cuda:99"),
    ],
)
def test_wrong_settings_are_named(arguments, word):
    with pytest.raises(SscnError, match=word):
        Colorizer.from_pretrained(**arguments)


def test_parameters_say_what_changes_pixels(colorizer: Colorizer):
    parameters = dict(colorizer.parameters)
    assert parameters["attention"] == "sparse"
    assert parameters["size"] == 192
    assert len(colorizer.weights_sha256) == 64


@pytest.mark.gpu
def test_cuda_agrees_with_cpu(cat, coffee):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    cpu, cuda = Colorizer.from_pretrained(), Colorizer.from_pretrained(device="cuda")
    one = cpu.colorize(_grey(cat), cpu.encode_reference(coffee)).rgb.astype(int)
    two = cuda.colorize(_grey(cat), cuda.encode_reference(coffee)).rgb.astype(int)
    assert np.abs(one - two).mean() < 1


def test_thirty_two_bit_pil_pictures_are_taken_as_sixteen_or_refused(colorizer: Colorizer, cat):
    reference = colorizer.encode_reference(cat)
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.int32), (64, 1))
    assert colorizer.colorize(Image.fromarray(ramp), reference).rgb.dtype == np.uint16
    for wrong in (Image.fromarray(ramp * 2), Image.fromarray(ramp.astype(np.float32))):
        with pytest.raises(SscnError, match="bit"):
            colorizer.colorize(wrong, reference)


def test_a_huge_picture_gets_the_colours_of_a_small_one(colorizer: Colorizer, coffee):
    """Averaged in blocks first; what the network sees, and so the colour, stays nearly the same."""
    reference = colorizer.encode_reference(coffee)
    huge = np.asarray(Image.fromarray(_grey(coffee)).resize((2400, 1600), Image.Resampling.BICUBIC))
    small = colorizer.colorize(_grey(coffee), reference)
    reduced = np.asarray(Image.fromarray(colorizer.colorize(huge, reference).rgb).resize(coffee.shape[1::-1]))
    assert _chroma_error(reduced, small.rgb) < 4
    enlarged = np.asarray(Image.fromarray(coffee).resize((2400, 1600), Image.Resampling.BICUBIC))
    again = colorizer.colorize(_grey(coffee), colorizer.encode_reference(enlarged))
    assert _chroma_error(again.rgb, small.rgb) < 4


def test_nothing_known_is_left_nearly_grey(colorizer: Colorizer, cat):
    """A flat grey card has no match in a cat; it must not take the cat's colour with conviction."""
    card = np.full((128, 128), 128, np.uint8)
    result = colorizer.colorize(card, colorizer.encode_reference(cat))
    assert result.mean_confidence < 0.5
    assert np.linalg.norm(rgb2lab(result.rgb)[..., 1:], axis=-1).mean() < 12


@pytest.mark.gpu
def test_cuda_repeats(cat, coffee):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    results = []
    for _ in range(3):
        colorizer = Colorizer.from_pretrained(device="cuda")
        results.append(colorizer.colorize(_grey(cat), colorizer.encode_reference(coffee)).rgb)
    assert all(np.array_equal(results[0], other) for other in results[1:])
