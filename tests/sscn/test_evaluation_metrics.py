"""Every measure gives the known answer on pictures made by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from sscn.evaluation import metrics, temporal
from sscn.evaluation.blotches import blotches
from sscn.evaluation.metrics import Lab


def lab_field(height: int, width: int, lab: tuple[float, float, float] = (50, 0, 0)) -> Lab:
    return np.tile(np.array(lab, np.float64), (height, width, 1))


def test_psnr_of_a_known_error() -> None:
    truth = np.full((16, 16, 3), 100, np.uint8)
    assert metrics.psnr(truth + 16, truth) == pytest.approx(20 * math.log10(255 / 16))
    assert metrics.psnr(truth, truth) == math.inf


def test_ssim_is_one_for_equal_pictures_only(cat: NDArray[np.uint8]) -> None:
    assert metrics.ssim(cat, cat) == pytest.approx(1)
    assert metrics.ssim(cat, cat[::-1]) < 0.5


def test_ciede2000_of_published_pairs() -> None:
    # Sharma, Wu, Dalal (2005), table 1, pairs 1 and 17
    first = np.array([[[50, 2.6772, -79.7751], [50, 2.5, 0]]])
    second = np.array([[[50, 0, -82.7485], [73, 25, -18]]])
    assert metrics.colour_difference(first, second)[0] == pytest.approx([2.0425, 27.1492], abs=1e-4)


def test_histogram_intersection_is_the_shared_part() -> None:
    two = np.concatenate([lab_field(4, 4, (50, 30, 30)), lab_field(4, 4, (50, -30, 30))])
    assert metrics.histogram_intersection(two, two) == 1
    assert metrics.histogram_intersection(two, lab_field(4, 4, (80, 30, 30))) == 0.5  # whatever the luminance
    assert metrics.histogram_intersection(lab_field(4, 4, (50, 0, 0)), lab_field(4, 4, (50, 4, -4))) == 1  # one bin
    assert metrics.histogram_intersection(lab_field(4, 4, (50, 0, 0)), lab_field(4, 4, (50, 6, 0))) == 0
    assert metrics.chroma_histogram(lab_field(4, 4, (50, 300, -300))).sum() == 1  # beyond the grid: its border


def test_colourfulness_of_red_beside_green() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    assert metrics.colourfulness(picture + 90) == 0
    picture[0, :, 0] = picture[1, :, 1] = 255
    # red minus green is 255 and -255, yellow minus blue 127.5 everywhere
    assert metrics.colourfulness(picture) == pytest.approx(255 + 0.3 * 127.5)


def test_bleed_counts_beside_true_chroma_edges_only() -> None:
    truth = lab_field(40, 40)
    truth[:, 20:, 1] = 40
    beside = metrics.beside_chroma_edges(truth)
    assert beside[:, 17:23].all()
    assert not beside[:, :13].any()
    assert not beside[:, 27:].any()
    difference = np.where(beside, 10.0, 1.0)
    assert metrics.bleed(difference, beside) == 10

    faint = lab_field(40, 40)
    faint[:, 20:, 1] = 8
    faint[:, 20:, 0] = 90  # luminance edges are no chroma edges
    assert not metrics.beside_chroma_edges(faint).any()
    assert metrics.bleed(difference, metrics.beside_chroma_edges(faint)) is None


def test_cdc_of_frames_that_change_completely() -> None:
    one, other = np.full((8, 8, 3), 10, np.uint8), np.full((8, 8, 3), 200, np.uint8)
    assert temporal.cdc([one] * 6) == 0
    # neighbours share nothing (ln 2), frames 2 and 4 apart are equal
    assert temporal.cdc([one, other] * 3) == pytest.approx(math.log(2) / 3)


def test_flicker_counts_where_the_film_holds_still() -> None:
    still = lab_field(8, 8)
    coloured = still.copy()
    coloured[..., 1] += 3
    assert temporal.flicker([still, coloured, still], [still] * 3) == 1.5  # 3 in a*, 0 in b*
    moving = still.copy()
    moving[:4, :, 0] += 10  # the upper half changes in truth
    wrong_above = still.copy()
    wrong_above[:4, :, 1] += 3
    assert temporal.flicker([still, wrong_above], [still, moving]) == 0
    assert temporal.flicker([still, coloured], [still, still + 5]) is None


def test_blotches_are_what_luminance_does_not_account_for() -> None:
    ramp = lab_field(192, 256)
    ramp[..., 0] = np.linspace(20, 90, 256)
    assert blotches(ramp) == 0

    toned = ramp.copy()
    toned[..., 1] = 0.5 * ramp[..., 0] - 25
    toned[..., 2] = 30 * np.sin(ramp[..., 0] / 15)
    assert blotches(toned) < 0.5

    striped = ramp.copy()
    striped[..., 2] = np.where((np.arange(192) // 32) % 2, 20, 0)[:, None]  # 10 either side of their mean
    assert 6 < blotches(striped) <= 10.5
    striped[..., 2] *= 2
    assert 12 < blotches(striped) <= 21

    rough = striped.copy()
    rough[..., 0] = np.where((np.arange(256) // 8) % 2, 90, 10)  # no plain place
    assert blotches(rough) is None
