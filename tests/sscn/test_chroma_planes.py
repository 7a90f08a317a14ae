"""Chroma planes of a film: against slow arithmetic in double precision, and against what ffmpeg makes of the planes."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sscn import SscnError, colour
from sscn.chroma_planes import ChromaGrid, ChromaPlanes, cell_luma, colour_differences, inside
from sscn.video import RED_AND_BLUE, SampleCoding
from storage.film.subsampling import subsample

CODINGS = [
    SampleCoding(8, False, "smpte170m"),
    SampleCoding(8, False, "bt709"),
    SampleCoding(8, True, "bt709"),
    SampleCoding(10, False, "bt2020nc"),
    SampleCoding(16, True, "bt470bg"),
]
GRIDS = {
    "444": ChromaGrid(1, 1),
    "422": ChromaGrid(2, 1),
    "420": ChromaGrid(2, 2),
    "420 center": ChromaGrid(2, 2, "center"),
    "420 topleft": ChromaGrid(2, 2, "topleft"),
    "411": ChromaGrid(4, 1),
    "410": ChromaGrid(4, 4),
    "440": ChromaGrid(1, 2),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("size", [(12, 16), (13, 9), (1, 1), (2, 7)])
def test_luma_is_averaged_as_stored_chroma_would_be(name: str, size: tuple[int, int]) -> None:
    """The siting is that of the films as they are written."""
    grid = GRIDS[name]
    luma = np.random.default_rng(3).integers(0, 65536, size).astype(np.uint16)
    cells = cell_luma(torch.from_numpy(luma.astype(np.int32))[None], grid)
    mean = np.floor(cells.total[0].numpy() / cells.weight + 0.5)
    stored = subsample(luma, name.split()[0], grid.siting)
    assert mean.shape == stored.shape == grid.size(*size)
    assert np.abs(mean - stored).max() <= 1  # the other one is in single precision


@pytest.mark.parametrize("name", GRIDS)
def test_cells_know_their_darkest_and_lightest_luma(name: str) -> None:
    grid = GRIDS[name]
    luma = np.random.default_rng(3).integers(0, 256, (11, 15))
    cells = cell_luma(torch.from_numpy(luma.astype(np.int32))[None], grid)
    for row, column in np.ndindex(*grid.size(11, 15)):
        cell = luma[row * grid.down : (row + 1) * grid.down, column * grid.across : (column + 1) * grid.across]
        assert cells.least[0, row, column] == cell.min()
        assert cells.greatest[0, row, column] == cell.max()


@pytest.mark.parametrize("matrix", RED_AND_BLUE)
def test_colour_differences_equal_those_in_double_precision(matrix: str) -> None:
    random = np.random.default_rng(5)
    signal = random.uniform(0, 1, 4000)
    ab = random.normal(0, 30, (2, 4000))
    darkest, lightest = (np.clip(signal + random.uniform(low, high, 4000), 0, 1) for low, high in ((-0.1, 0), (0, 0.1)))
    fy = colour.lab_function(colour.decoded(torch.from_numpy(signal)))
    given = [torch.from_numpy(part).float()[None, :, None] for part in (fy.numpy(), darkest, lightest)]
    whole = colour_differences(given[0], torch.from_numpy(ab).float()[None, :, :, None], matrix)
    found = inside(whole, given[1], given[2], matrix)
    expected = _differences(fy.numpy(), ab, darkest, lightest, matrix)
    assert np.abs(found[0, :, :, 0].numpy() - expected).max() < 2e-5


def _differences(fy: NDArray, ab: NDArray, darkest: NDArray, lightest: NDArray, matrix: str) -> NDArray:
    """By the definitions, one colour after the other."""
    to_rgb = np.linalg.inv(np.array(colour.RGB_TO_XYZ))
    red, blue = RED_AND_BLUE[matrix]
    weights = np.array([red, 1 - red - blue, blue])
    expected = np.empty((2, len(fy)))
    for n in range(len(fy)):
        f = np.array([fy[n] + ab[0, n] / 500, fy[n], fy[n] - ab[1, n] / 200])
        xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * colour.WHITE_D65
        linear = _inside(to_rgb @ xyz - xyz[1], xyz[1], xyz[1]) + xyz[1]
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055)
        added = _inside(encoded - weights @ encoded, darkest[n], lightest[n])
        expected[:, n] = added[2] / (2 * (1 - blue)), added[0] / (2 * (1 - red))
    return expected


def _inside(added: NDArray, least: float, greatest: float) -> NDArray:
    """Scaled down until greys from ``least`` to ``greatest`` with it are in 0..1."""
    shares = [1.0]
    for part in added:
        if part > 0:
            shares.append((1 - greatest) / part)
        if part < 0:
            shares.append(least / -part)
    return added * max(0.0, min(shares))


@pytest.mark.parametrize("name", GRIDS)
def test_colour_lies_where_the_siting_says(name: str) -> None:
    """Chroma that grows from left to right, or from top to bottom, as the film's own planes would."""
    grid, coding = GRIDS[name], SampleCoding(16, True, "bt709")
    height, width = 32, 48
    luma = torch.full((1, height, width), 32768, dtype=torch.int32)
    luminance = torch.full((1, 1, height // 2, width // 2), float(coding.lightness_table()[32768]))
    for axis, length in ((3, width), (2, height)):
        places = (torch.arange(length // 2) * 2 + 0.5) / length
        ramp = torch.zeros(1, 2, height // 2, width // 2)
        ramp += 20 * places.view((1, 1, 1, -1) if axis == 3 else (1, 1, -1, 1))
        found = ChromaPlanes(coding, grid).of(luma, luminance, ramp)[0, 0].numpy()
        full = 20 * (np.arange(length) / length)[(None, slice(None)) if axis == 3 else (slice(None), None)]
        stored = subsample((full * 1000 * np.ones((height, width))).astype(np.uint16), name.split()[0], grid.siting)
        asked = torch.from_numpy(stored.astype(np.float32) / 1000).expand(1, 2, -1, -1)
        signal = coding.signal(torch.tensor(32768)).expand(1, *asked.shape[2:])
        expected = coding.samples(colour_differences(colour.lab_function(colour.decoded(signal)), asked, "bt709"))
        inner = (slice(2, -2), slice(2, -2))
        assert np.abs(found - expected[0, 0].numpy())[inner].max() < 0.02 * np.ptp(expected[0, 0].numpy())


@pytest.mark.parametrize("name", ["444", "420", "411"])
@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_no_chroma_is_the_middle(name: str, coding: SampleCoding) -> None:
    luma = _ramp(coding)[None]
    found = ChromaPlanes(coding, GRIDS[name]).of(luma, torch.full((1, 1, 24, 32), 50.0), torch.zeros(1, 2, 24, 32))
    assert found.shape == (1, 2, *GRIDS[name].size(48, 64))
    assert (found == 2 ** (coding.bit_depth - 1)).all()


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_colours_play_with_the_hue_that_was_asked_for(coding: SampleCoding) -> None:
    luma = _ramp(coding)
    lightness = torch.from_numpy(coding.lightness_table())[luma.long()]
    turn = torch.linspace(0, 2 * torch.pi, 48)[:, None].expand(48, 64)
    asked = 15 * torch.stack([turn.cos(), turn.sin()])
    planes = ChromaPlanes(coding, GRIDS["444"]).of(luma[None], lightness[None, None], asked[None])[0]
    played = _played(luma, planes, coding)
    middle = slice(16, 48)  # there is little room for colour near black and white
    found = colour.linear_to_lab(colour.decoded(torch.from_numpy(played).float().permute(2, 0, 1)))[:, :, middle]
    assert (found[1:] - asked[:, :, middle]).norm(dim=0).max() < 2.5
    # the film keeps its luma; lightness follows that only nearly
    assert (found[0] - lightness[:, middle]).abs().max() < 3.5


@pytest.mark.parametrize("name", ["444", "420"])
@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_no_player_has_to_clip(name: str, coding: SampleCoding) -> None:
    """Chroma far outside of every gamut on luma of every contrast: all luma of a cell has room for it."""
    grid = GRIDS[name]
    low, high = _ends(coding)
    luma = torch.from_numpy(np.random.default_rng(2).integers(low, high + 1, (48, 64)).astype(np.int32))
    luma[:, :32] = _ramp(coding)[:, :32]
    asked = torch.linspace(-300, 300, 48)[:, None].expand(1, 2, 48, 64)
    planes = ChromaPlanes(coding, grid).of(luma[None], torch.full((1, 1, 48, 64), 50.0), asked)[0]
    reach = (high - low) if coding.full_range else 224 << (coding.bit_depth - 8)
    blue, red = ((plane.numpy() - (128 << (coding.bit_depth - 8))) / reach for plane in planes)
    signal = coding.signal(luma).numpy()
    blue, red = (part.repeat(grid.down, 0).repeat(grid.across, 1) for part in (blue, red))
    of_red, of_blue = RED_AND_BLUE[coding.matrix]
    r, b = signal + 2 * (1 - of_red) * red, signal + 2 * (1 - of_blue) * blue
    g = (signal - of_red * r - of_blue * b) / (1 - of_red - of_blue)
    slack = 2 / reach
    assert min(r.min(), g.min(), b.min()) > -slack
    assert max(r.max(), g.max(), b.max()) < 1 + slack
    assert np.ptp(np.stack([r, g, b]), axis=0).max() > 0.3


@pytest.mark.parametrize(
    ("arguments", "word"), [((3, 1), "3 times across"), ((2, 8), "8 times down"), ((2, 2, "bottom"), "bottom")]
)
def test_what_is_not_handled_is_said(arguments: tuple, word: str) -> None:
    with pytest.raises(SscnError, match=word):
        ChromaGrid(*arguments)


def _ends(coding: SampleCoding) -> tuple[int, int]:
    unit = 2 ** (coding.bit_depth - 8)
    return (0, 2**coding.bit_depth - 1) if coding.full_range else (16 * unit, 235 * unit)


def _ramp(coding: SampleCoding) -> torch.Tensor:
    """Luma from black to white, (48, 64)."""
    return torch.from_numpy(np.linspace(*_ends(coding), 64).round().astype(np.int32)).expand(48, 64)


def _played(luma: torch.Tensor, planes: torch.Tensor, coding: SampleCoding) -> NDArray:
    """R'G'B' 0..1 (H, W, 3) as ffmpeg decodes planes of 4:4:4."""
    names = {8: "yuv444p", 10: "yuv444p10le", 16: "yuv444p16le"}
    ranges = "full" if coding.full_range else "limited"
    matrix = {"bt2020nc": "bt2020"}.get(coding.matrix, coding.matrix)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", names[coding.bit_depth]]
    command += ["-s", f"{luma.shape[1]}x{luma.shape[0]}", "-i", "-", "-f", "rawvideo", "-pix_fmt", "rgb48le"]
    command += ["-vf", f"scale=in_color_matrix={matrix}:in_range={ranges}:flags=accurate_rnd+full_chroma_int", "-"]
    kind = np.uint8 if coding.bit_depth == 8 else np.uint16
    data = b"".join(plane.numpy().astype(kind).tobytes() for plane in (luma, *planes))
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    return np.frombuffer(done.stdout, "<u2").reshape(*luma.shape, 3) / 65535
