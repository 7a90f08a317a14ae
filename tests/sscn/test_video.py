"""Luma as the network sees it, chroma as planes: against what ffmpeg makes of the same planes."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from sscn import SscnError, colour
from sscn.video import SampleCoding, chroma_planes, grey_signal, signal_lightness

HEIGHT, WIDTH = 48, 64
CODINGS = [
    SampleCoding(8, False, "smpte170m"),
    SampleCoding(8, False, "bt709"),
    SampleCoding(8, True, "bt709"),
    SampleCoding(10, False, "bt2020nc"),
    SampleCoding(16, True, "bt470bg"),
]


def _ramp(coding: SampleCoding) -> np.ndarray:
    unit = 2 ** (coding.bit_depth - 8)
    low, high = (0, 2**coding.bit_depth - 1) if coding.full_range else (16 * unit, 235 * unit)
    plane = np.linspace(low, high, WIDTH).round()[None].repeat(HEIGHT, axis=0)
    return plane.astype(np.uint8 if coding.bit_depth == 8 else np.uint16)


def _played(luma: np.ndarray, cb: np.ndarray, cr: np.ndarray, coding: SampleCoding) -> np.ndarray:
    """R'G'B' 0..1 (H, W, 3) as ffmpeg decodes the planes."""
    names = {8: "yuv444p", 10: "yuv444p10le", 16: "yuv444p16le"}
    ranges = "full" if coding.full_range else "limited"
    matrix = {"bt2020nc": "bt2020"}.get(coding.matrix, coding.matrix)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", names[coding.bit_depth]]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-i", "-", "-f", "rawvideo", "-pix_fmt", "rgb48le"]
    command += ["-vf", f"scale=in_color_matrix={matrix}:in_range={ranges}:flags=accurate_rnd+full_chroma_int", "-"]
    planes = b"".join(plane.tobytes() for plane in (luma, cb, cr))
    done = subprocess.run(command, input=planes, capture_output=True, check=True)
    return np.frombuffer(done.stdout, "<u2").reshape(HEIGHT, WIDTH, 3) / 65535


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_no_chroma_is_the_middle_and_plays_grey(coding):
    luma = _ramp(coding)
    signal = grey_signal(luma, coding)
    cb, cr = chroma_planes(signal, torch.zeros(2, HEIGHT, WIDTH), coding)
    assert cb.dtype == luma.dtype
    assert (cb == 2 ** (coding.bit_depth - 1)).all()
    assert (cr == 2 ** (coding.bit_depth - 1)).all()
    played = _played(luma, cb, cr, coding)
    assert np.abs(played - signal.numpy().transpose(1, 2, 0)).max() < 0.01
    assert signal_lightness(signal).min() == 0
    assert signal_lightness(signal).max() == pytest.approx(100, abs=1e-3)


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_colours_play_with_the_hue_that_was_asked_for(coding):
    luma = _ramp(coding)
    signal = grey_signal(luma, coding)
    turn = torch.linspace(0, 2 * torch.pi, HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    asked = 15 * torch.stack([turn.cos(), turn.sin()])
    played = _played(luma, *chroma_planes(signal, asked, coding), coding)
    middle = slice(WIDTH // 4, 3 * WIDTH // 4)  # there is little room for colour near black and white
    linear = colour.decoded(torch.from_numpy(played).float().permute(2, 0, 1))
    found = colour.linear_to_lab(linear)[:, :, middle]
    assert (found[1:] - asked[:, :, middle]).norm(dim=0).max() < 2.5
    # the film keeps its luma; lightness follows that only nearly
    assert (found[0] - signal_lightness(signal)[0, :, middle]).abs().max() < 3.5


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_no_player_has_to_clip(coding):
    """Chroma far outside of every gamut: the luma that is played is still the film's own."""
    luma = _ramp(coding)
    signal = grey_signal(luma, coding)
    asked = torch.stack([torch.linspace(-300, 300, HEIGHT)[:, None].expand(HEIGHT, WIDTH)] * 2)
    played = _played(luma, *chroma_planes(signal, asked, coding), coding)
    red, blue = {"bt709": (0.2126, 0.0722), "bt2020nc": (0.2627, 0.0593)}.get(coding.matrix, (0.299, 0.114))
    seen = played @ np.array([red, 1 - red - blue, blue])
    assert np.abs(seen - signal[0].numpy()).max() < 0.012
    assert np.ptp(played, axis=2).max() > 0.3


def test_beyond_black_and_white_is_cut_off():
    coding = SampleCoding(8, False, "bt709")
    signal = grey_signal(np.array([[0, 16, 235, 255]], np.uint8), coding)
    assert signal.tolist() == [[[0, 0, 1, 1]]]


@pytest.mark.parametrize(
    ("arguments", "word"), [((8, False, "ycgco"), "ycgco"), ((7, False, "bt709"), "7"), ((32, True, "bt709"), "32")]
)
def test_what_is_not_handled_is_said(arguments, word):
    with pytest.raises(SscnError, match=word):
        SampleCoding(*arguments)
