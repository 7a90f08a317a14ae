"""Steady colour: calm where the film holds still or moves as a whole, free where it shows something else."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data as samples
from torch import Tensor

from sscn import Colorizer
from sscn.evaluation import film, metrics, temporal
from sscn.evaluation.errors import MissingExtra
from sscn.evaluation.steadiness import steadiness
from sscn.motion import motion
from sscn.network import PredictedChroma
from sscn.steadying import Held, begun, carried, exposed_like, same_things, steadied
from tests.sscn.conftest import small

SIZE = (96, 128)


@pytest.fixture(scope="module")
def ground() -> NDArray[np.float32]:
    """L* of a textured ground, larger than a frame."""
    noise = np.random.default_rng(4).normal(0, 1, (200, 240))
    smooth = sum(ndimage.gaussian_filter(noise, sigma) * sigma for sigma in (1.5, 4, 10))
    return (50 + 12 * smooth / smooth.std()).clip(5, 95).astype(np.float32)


def frame(luminance: NDArray, ab: NDArray | tuple[float, float]) -> tuple[PredictedChroma, Tensor]:
    """A sure network's answer to a frame, (h, w) and (2, h, w) or one colour."""
    chroma = np.broadcast_to(np.reshape(ab, (2, 1, 1)) if np.ndim(ab) == 1 else ab, (2, *luminance.shape))
    light = torch.from_numpy(np.ascontiguousarray(luminance, np.float32))[None, None]
    return PredictedChroma(torch.from_numpy(chroma.astype(np.float32))[None], torch.ones_like(light)), light


def filtered(frames: list[tuple[PredictedChroma, Tensor]]) -> list[Held]:
    held = [begun(*frames[0])]
    for now, light in frames[1:]:
        found = motion(light[0, 0].numpy(), held[-1].luminance[0, 0].numpy())
        held.append(steadied(now, light, held[-1], torch.from_numpy(found)[None]))
    return held


def test_motion_points_to_where_things_were(ground: NDArray[np.float32]) -> None:
    before, now = ground[20:116, 20:148], ground[22:118, 17:145]  # what is seen moves 3 to the right and 2 up
    found = motion(now, before)
    assert found.shape == (2, *SIZE)
    inner = found[:, 10:-10, 10:-10]
    assert np.median(inner[0]) == pytest.approx(-3, abs=0.1)
    assert np.median(inner[1]) == pytest.approx(2, abs=0.1)
    back = carried(torch.from_numpy(before.copy())[None, None], torch.from_numpy(found)[None])[0, 0].numpy()
    assert np.abs(back - now)[10:-10, 10:-10].mean() < 0.5
    assert not motion(ground[:8, :8], ground[:8, :8]).any()  # too small to see any


def test_motion_is_the_same_with_every_number_of_threads(ground: NDArray[np.float32]) -> None:
    big = ndimage.zoom(ground, 2, order=1)
    threads = cv2.getNumThreads()
    try:
        found = []
        for count in (1, 2, 7):
            cv2.setNumThreads(count)
            found += [motion(big[5:-5, 5:-5], big[3:-7, 8:-2]) for _ in range(3)]
    finally:
        cv2.setNumThreads(threads)
    assert all(np.array_equal(one, found[0]) for one in found)


def test_a_jittering_network_is_calmed(ground: NDArray[np.float32]) -> None:
    """On still ground with grain, on ground that pans, and under flickering light alike."""
    random = np.random.default_rng(0)
    still = [ground[:96, :128] + random.normal(0, 1.5, SIZE) for _ in range(16)]
    pan = [ground[n : n + 96, 2 * n : 2 * n + 128] for n in range(16)]
    light = [ground[:96, :128] * random.uniform(0.95, 1.05) for _ in range(16)]
    for views in (still, pan, light):
        jitter = [ndimage.gaussian_filter(random.normal(0, 60, (2, *SIZE)), (0, 6, 6)) for _ in views]
        frames = [
            frame(view, np.reshape((20, -10), (2, 1, 1)) + noise) for view, noise in zip(views, jitter, strict=True)
        ]
        held = filtered(frames)
        inner = (..., slice(8, -8), slice(36, -36))  # what comes in at the border has no past
        own = torch.stack([b[0].ab - a[0].ab for a, b in pairwise(frames[8:])])[inner].abs().mean()
        calm = torch.stack([b.ab - a.ab for a, b in pairwise(held[8:])])[inner].abs().mean()
        assert calm < 0.25 * own
        error = (held[-1].ab - torch.tensor([20.0, -10.0]).view(1, 2, 1, 1))[inner].abs().mean()
        assert error < 0.5 * (frames[-1][0].ab - torch.tensor([20.0, -10.0]).view(1, 2, 1, 1))[inner].abs().mean()


def test_a_moving_patch_leaves_no_trail(ground: NDArray[np.float32]) -> None:
    """Red on green, of the same mean luminance; another texture moves over the ground."""
    texture = ground[150:182, 150:182]
    frames, masks = [], []
    for n in range(16):
        view, colour = ground[:96, :128].copy(), np.zeros((2, *SIZE))
        colour[0] = -30
        mask = np.zeros(SIZE, bool)
        mask[30:62, 8 + 4 * n : 40 + 4 * n] = True
        view[mask], colour[0][mask] = texture.ravel(), 40
        frames.append(frame(view, colour))
        masks.append(mask)
    held = filtered(frames)
    last, own = held[-1].ab[0, 0].numpy(), frames[-1][0].ab[0, 0].numpy()
    inside = ndimage.binary_erosion(masks[-1], iterations=3)
    behind = masks[-4] & ~ndimage.binary_dilation(masks[-1], iterations=3)
    assert np.abs(last - own)[inside].mean() < 2
    assert behind.sum() > 100
    assert np.abs(last - own)[behind].mean() < 3
    elsewhere = ~ndimage.binary_dilation(np.any(masks, axis=0), iterations=4)
    assert np.abs(last - own)[elsewhere].max() < 0.5  # nothing has crept into the ground


def test_still_colours_do_not_creep(ground: NDArray[np.float32]) -> None:
    """A hundred frames with grain: an edge of colour is as sharp as it was."""
    random = np.random.default_rng(0)
    colour = np.zeros((2, *SIZE))
    colour[1, :, 64:] = 50
    held = filtered([frame(ground[:96, :128] + random.normal(0, 1, SIZE), colour) for _ in range(100)])
    assert np.abs(held[-1].ab[0].numpy() - colour).mean() < 0.5


def test_nothing_is_carried_over_a_cut(ground: NDArray[np.float32]) -> None:
    other = 100 - ground[100:196, 100:228]
    frames = [frame(ground[:96, :128], (30, 0)) for _ in range(6)] + [frame(other, (-5, 20))]
    held = filtered(frames)
    assert (held[-1].ab - frames[-1][0].ab).abs().max() < 1
    assert held[-1].weight.max() < 1.1


def test_light_that_changes_is_no_change_of_things(ground: NDArray[np.float32]) -> None:
    view = torch.from_numpy(ground[:96, :128].copy())[None, None]
    assert (exposed_like(view * 1.1 + 4, view) - view * 1.1 - 4).abs().max() < 1
    flash = exposed_like(view * 1.1 + 4, view)
    assert same_things(view * 1.1 + 4, flash).mean() > 0.9
    other = torch.from_numpy(ground[100:196, 100:228].copy())[None, None]
    assert same_things(other, exposed_like(other, view)).mean() < 0.3


def test_a_clip_is_steadier_than_frame_by_frame() -> None:
    """A real one, if it is installed; else a photograph that shakes."""
    colorizer = Colorizer.from_pretrained(size=192)
    try:
        frames = list(film.read_frames("bikes", range(140, 152)).values())
        frames = [np.ascontiguousarray(one[::2, ::2]) for one in frames]
    except MissingExtra:
        big = small(samples.coffee(), 240)
        frames = [big[n % 3 : n % 3 + 140, 3 * n % 5 : 3 * n % 5 + 200] for n in range(12)]
    found = steadiness(colorizer, frames)
    assert found.steady.flicker < 0.9 * found.frame_by_frame.flicker
    assert found.steady.cdc < 1.02 * found.frame_by_frame.cdc
    assert found.steady.psnr > found.frame_by_frame.psnr - 0.02
    assert found.steady.ciede2000 < found.frame_by_frame.ciede2000 + 0.02
    labs = [metrics.to_lab(one) for one in frames]
    assert found.truth.flicker == pytest.approx(temporal.flicker(labs, labs))
    assert found.truth.psnr is None
