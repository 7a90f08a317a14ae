"""Frames of a shot: how they are cut, kept and restored, and what comes out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data as samples

from sscn import Colorizer, EncodedReference, SscnError, colour
from sscn.film import ColorizedFrame
from sscn.video import SampleCoding
from tests.sscn.conftest import small

Frames = list[NDArray[np.uint8]]
CODING = SampleCoding(8, False, "bt709")


def luma_of(picture: NDArray[np.uint8], coding: SampleCoding = CODING) -> NDArray:
    """Y' of an sRGB picture (H, W, 3) in a film's numbers."""
    grey = picture @ np.array([0.2126, 0.7152, 0.0722]) / 255
    unit = 2 ** (coding.bit_depth - 8)
    low, high = (0, 2**coding.bit_depth - 1) if coding.full_range else (16 * unit, 235 * unit)
    return (low + grey * (high - low) + 0.5).astype(np.uint8 if coding.bit_depth == 8 else np.uint16)


@pytest.fixture(scope="module")
def colours() -> NDArray[np.uint8]:
    return small(samples.coffee(), 150)


@pytest.fixture(scope="module")
def pan(colours: NDArray[np.uint8]) -> Frames:
    """Five frames of a pan across a photograph, 121 x 96 with grain."""
    random = np.random.default_rng(1)
    views = [luma_of(colours[:96, 2 * n : 2 * n + 121]) for n in range(5)]
    return [(view + random.normal(0, 2, view.shape)).clip(16, 235).astype(np.uint8) for view in views]


@pytest.fixture(scope="module")
def reference(colorizer: Colorizer, colours: NDArray[np.uint8]) -> EncodedReference:
    return colorizer.encode_reference(colours)


def same(one: Sequence[ColorizedFrame], other: Sequence[ColorizedFrame]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a.chroma_blue, b.chroma_blue)
        and np.array_equal(a.chroma_red, b.chroma_red)
        and (a.confidence, a.flicker) == (b.confidence, b.flicker)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("steady", [True, False])
def test_how_the_calls_are_cut_changes_nothing(
    colorizer: Colorizer, reference: EncodedReference, pan: Frames, steady: bool, tmp_path: Path
) -> None:
    whole = colorizer.film(reference, CODING, steady=steady).colorize(pan)
    frames = colorizer.film(reference, CODING, steady=steady)
    assert same(frames.colorize(pan[:1]) + frames.colorize([]) + frames.colorize(pan[1:3]), whole[:3])
    np.savez(tmp_path / "state.npz", **frames.state())
    restored = colorizer.film(reference, CODING, steady=steady)
    restored.restore(dict(np.load(tmp_path / "state.npz")))
    assert same(restored.colorize(pan[3:]), whole[3:])
    assert same(frames.colorize(pan[3:]), whole[3:])
    assert whole[0].flicker is None
    assert all(0 < frame.confidence <= 1 for frame in whole)
    assert set(frames.seconds) == {"network", "motion", "chroma"}
    assert all(seconds > 0 for seconds in frames.seconds.values())


def test_a_state_is_small_and_of_the_first_frame_empty(
    colorizer: Colorizer, reference: EncodedReference, pan: Frames
) -> None:
    frames = colorizer.film(reference, CODING)
    assert frames.state() == {}
    begun = frames.colorize(pan[:1])
    assert sum(part.nbytes for part in frames.state().values()) < 4 * pan[0].size + 1000
    frames.restore({})
    assert same(frames.colorize(pan[:1]), begun)


def test_frame_by_frame_nothing_is_carried_over(colorizer: Colorizer, reference: EncodedReference, pan: Frames) -> None:
    forwards = colorizer.film(reference, CODING, steady=False).colorize(pan)
    backwards = colorizer.film(reference, CODING, steady=False).colorize(pan[::-1])[::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert np.array_equal(one.chroma_blue, other.chroma_blue)
        assert np.array_equal(one.chroma_red, other.chroma_red)
    steady = colorizer.film(reference, CODING).colorize(pan)
    assert np.array_equal(steady[0].chroma_blue, forwards[0].chroma_blue)
    assert not np.array_equal(steady[4].chroma_blue, forwards[4].chroma_blue)


@pytest.mark.parametrize("size", [(97, 121), (33, 40), (1, 1), (96, 30), (480, 500)])
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 1)])
def test_planes_of_every_size(
    colorizer: Colorizer, reference: EncodedReference, size: tuple[int, int], across: int, down: int
) -> None:
    luma = np.random.default_rng(0).integers(16, 236, size).astype(np.uint8)
    frames = colorizer.film(reference, CODING, across=across, down=down)
    for frame in frames.colorize([luma, luma]):
        for plane in (frame.chroma_blue, frame.chroma_red):
            assert plane.dtype == np.uint8
            assert plane.shape == (-(-size[0] // down), -(-size[1] // across))


@pytest.mark.parametrize(
    "coding", [SampleCoding(8, True, "bt709"), SampleCoding(10, False, "bt709"), SampleCoding(16, True, "bt709")]
)
def test_coding_changes_the_numbers_not_the_colours(
    colorizer: Colorizer, reference: EncodedReference, colours: NDArray[np.uint8], coding: SampleCoding
) -> None:
    def differences(how: SampleCoding) -> NDArray:
        frame = colorizer.film(reference, how).colorize([luma_of(colours, how)])[0]
        middle, scale = 2 ** (how.bit_depth - 1), 2 ** (how.bit_depth - 8) * (1 if how.full_range else 224 / 255)
        return (np.stack([frame.chroma_blue, frame.chroma_red]).astype(float) - middle) / scale

    assert np.abs(differences(coding) - differences(CODING)).mean() < 0.6


def test_a_film_has_the_colours_of_a_still(
    colorizer: Colorizer, reference: EncodedReference, colours: NDArray[np.uint8]
) -> None:
    """4:4:4 of one frame against ``Colorizer.colorize`` of the same picture."""
    coding = SampleCoding(8, True, "bt709")
    luma = luma_of(colours, coding)
    frame = colorizer.film(reference, coding, across=1, down=1).colorize([luma])[0]
    blue, red = ((plane.astype(float) - 128) / 255 for plane in (frame.chroma_blue, frame.chroma_red))
    grey = luma / 255
    r, b = grey + 2 * (1 - 0.2126) * red, grey + 2 * (1 - 0.0722) * blue
    g = (grey - 0.2126 * r - 0.0722 * b) / 0.7152
    found = colour.linear_to_lab(colour.decoded(torch.from_numpy(np.stack([r, g, b])).float().clamp(0, 1)))
    still = colour.lab(colorizer.colorize(luma, reference).rgb)
    assert (found - still)[1:].abs().mean() < 1.5  # luma is kept here, lightness there
    assert still[1:].abs().mean() > 8


def test_what_is_no_plane_of_the_shot_is_said(colorizer: Colorizer, reference: EncodedReference, pan: Frames) -> None:
    frames = colorizer.film(reference, CODING)
    with pytest.raises(SscnError, match="uint8"):
        frames.colorize([pan[0].astype(np.uint16)])
    with pytest.raises(SscnError, match=r"\(height, width\)"):
        frames.colorize([np.zeros((4, 4, 3), np.uint8)])
    frames.colorize(pan[:1])
    with pytest.raises(SscnError, match="first one"):
        frames.colorize([pan[0][:50]])
    with pytest.raises(SscnError, match="damaged"):
        frames.restore({"chroma": np.zeros((2, 5, 5), np.float32)})
    frames.restore({"chroma": np.zeros((2, 5, 5)), "weight": np.zeros((1, 5, 5)), "luminance": np.zeros((1, 5, 5))})
    with pytest.raises(SscnError, match="another size"):
        frames.colorize(pan[:1])
    with pytest.raises(SscnError, match="siting"):
        colorizer.film(reference, CODING, siting="bottom")
    with pytest.raises(SscnError, match="another preset"):
        colorizer.film(None, CODING)  # type: ignore[arg-type]


def test_a_network_takes_several_frames_at_once(colorizer: Colorizer, reference: EncodedReference, pan: Frames) -> None:
    """As CUDA devices are given them."""
    luminance = torch.from_numpy(CODING.lightness_table()[np.stack(pan)])[:, None]
    with torch.inference_mode():
        together = colorizer._network.at_half_size(luminance, reference)
        one_by_one = [colorizer._network.at_half_size(one, reference) for one in luminance.split(1)]
    assert together.ab.shape == (5, 2, 48, 61)
    assert (together.ab - torch.cat([one.ab for one in one_by_one])).abs().max() < 0.05
    assert (together.confidence - torch.cat([one.confidence for one in one_by_one])).abs().max() < 1e-3


@pytest.mark.gpu
def test_a_gpu_gives_the_same_planes(pan: Frames, colours: NDArray[np.uint8]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    planes = []
    for device in ("cpu", "cuda"):
        colorizer = Colorizer.from_pretrained(size=192, device=device)
        frames = colorizer.film(colorizer.encode_reference(colours), CODING)
        done = frames.colorize(pan[:2]) + frames.colorize(pan[2:])
        planes.append(np.stack([[frame.chroma_blue, frame.chroma_red] for frame in done]).astype(int))
    assert np.abs(planes[0] - planes[1]).mean() < 0.1


def test_pictures_are_read_as_stills_are(colorizer: Colorizer, colours: NDArray[np.uint8]) -> None:
    """A film larger than twice the working size is reduced as a photograph is."""
    large = np.asarray(Image.fromarray(colours).resize((900, 600)))
    coding = SampleCoding(8, True, "bt709")
    luma = luma_of(large, coding)
    frames = colorizer.film(colorizer.encode_reference(colours), coding, across=1, down=1)
    found = frames._luminance(torch.from_numpy(luma.astype(np.int32))[None])
    light = colour.relative_luminance(colorizer._reduced(luma))
    expected = colorizer._at_working_size(colour.lightness(light)[None], luma)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-3
