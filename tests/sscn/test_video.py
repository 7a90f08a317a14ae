"""What the numbers of a film's planes mean."""

import numpy as np
import pytest
import torch

from sscn import SscnError, colour
from sscn.video import SampleCoding


def test_black_and_white_are_where_the_range_says():
    luma = torch.tensor([0, 16, 235, 255])
    assert SampleCoding(8, False, "bt709").signal(luma).tolist() == [0, 0, 1, 1]
    assert SampleCoding(8, True, "bt709").signal(luma).tolist() == pytest.approx([0, 16 / 255, 235 / 255, 1])
    assert SampleCoding(10, False, "bt709").signal(luma.new_tensor([64, 940])).tolist() == [0, 1]
    assert SampleCoding(16, True, "bt709").signal(luma.new_tensor([0, 65535])).tolist() == [0, 1]


@pytest.mark.parametrize(("bits", "full"), [(8, False), (8, True), (10, False), (12, True), (16, False)])
def test_grey_film_is_as_light_as_a_grey_still(bits, full):
    coding = SampleCoding(bits, full, "bt709")
    low, high = (0, 2**bits - 1) if full else (16 << (bits - 8), 235 << (bits - 8))
    levels = np.arange(256)
    samples = np.round(low + levels / 255 * (high - low)).astype(int)
    still = colour.luminance(levels.astype(np.uint8)[None])[0]
    assert np.abs(coding.lightness_table()[samples] - still).max() < (0.3 if bits == 8 else 0.15)


def test_no_difference_is_the_middle_and_the_ends_are_reached():
    differences = torch.tensor([-0.5, 0.0, 0.5])
    assert SampleCoding(8, False, "bt709").samples(differences).tolist() == [16, 128, 240]
    assert SampleCoding(8, True, "bt709").samples(differences).tolist() == [1, 128, 255]
    assert SampleCoding(10, False, "bt709").samples(differences).tolist() == [64, 512, 960]


@pytest.mark.parametrize(
    ("arguments", "word"), [((8, False, "ycgco"), "ycgco"), ((7, False, "bt709"), "7"), ((32, True, "bt709"), "32")]
)
def test_what_is_not_handled_is_said(arguments, word):
    with pytest.raises(SscnError, match=word):
        SampleCoding(*arguments)
