"""A folder of numbered DPX or TIFF frames is one film."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tifffile

from storage.film import UnreadableFilm, probe, read_luma, survey
from tests.storage.film.clips import ffmpeg, lavfi, round_trip

COUNT = 6


def write_tiffs(folder: Path, frames: np.ndarray, name: str = "reel%04d.tif", first: int = 998) -> None:
    folder.mkdir()
    for number, frame in enumerate(frames, first):
        tifffile.imwrite(folder / (name % number), frame)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 65536, (COUNT, 49, 65), dtype=np.uint16)


def test_grey_tiffs_of_16_bits_are_read_sample_by_sample(noise: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "100% film"
    write_tiffs(folder, noise)
    facts, frames, joined = round_trip(folder, tmp_path, cut=4)

    assert (facts.container, facts.bit_depth, facts.subsampling, facts.full_range) == ("sequence", 16, "gray", True)
    assert (facts.frame_rate, facts.duration, facts.declared_frames) == (24, Fraction(COUNT, 24), COUNT)
    assert np.array_equal(np.stack(list(read_luma(folder, facts))), noise)
    assert np.array_equal(np.stack(list(read_luma(joined.path, probe(joined.path)))), noise)
    assert np.array_equal(np.stack(list(read_luma(folder, facts, 3, 4, frames))), noise[3:5])


def test_the_frame_rate_is_given(noise: np.ndarray, tmp_path: Path) -> None:
    write_tiffs(tmp_path / "film", noise)
    facts = probe(tmp_path / "film", sequence_rate=Fraction(18))
    assert (facts.frame_rate, facts.duration) == (18, Fraction(COUNT, 18))
    assert [float(frame.pts * frames.time_base) for frames in [survey(facts.path, facts).frames] for frame in frames][
        :2
    ] == pytest.approx([0, 1 / 18])


def test_luma_of_a_grey_scan_in_rgb_is_the_sample_itself(noise: np.ndarray, tmp_path: Path) -> None:
    write_tiffs(tmp_path / "film", np.repeat(noise[..., np.newaxis], 3, axis=-1))
    facts = probe(tmp_path / "film")
    assert (facts.subsampling, facts.matrix, facts.full_range) == ("rgb", "bt709", True)
    assert np.array_equal(np.stack(list(read_luma(facts.path, facts))), noise)


def test_luma_of_colours_is_that_of_bt709(tmp_path: Path) -> None:
    colours = np.random.default_rng(4).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    write_tiffs(tmp_path / "film", colours)
    facts, _, joined = round_trip(tmp_path / "film", tmp_path)
    wanted = np.rint(colours @ np.array([0.2126, 0.7152, 0.0722])).astype(np.uint8)
    assert np.array_equal(np.stack(list(read_luma(facts.path, facts))), wanted)
    found = probe(joined.path)
    assert (found.matrix, found.full_range, found.subsampling) == ("bt709", True, "444")
    assert np.array_equal(np.stack(list(read_luma(joined.path, found))), wanted)


@pytest.mark.parametrize(
    ("pixel_format", "depth"), [("gbrp10be", 10), ("gbrp12be", 12), ("rgb48be", 16), ("gray10be", 10)]
)
def test_dpx(pixel_format: str, depth: int, tmp_path: Path) -> None:
    folder = tmp_path / "film"
    folder.mkdir()
    ffmpeg(
        *lavfi("testsrc2=size=64x48:duration=0.2:rate=24"), "-pix_fmt", pixel_format, "-start_number", "86400",
        str(folder / "scan_%07d.dpx"),
    )  # fmt: skip
    facts, frames, joined = round_trip(folder, tmp_path)
    assert facts.bit_depth == depth
    luma = np.stack(list(read_luma(folder, facts)))
    assert luma.dtype == np.uint16
    assert luma.max() >= 0.9 * (1 << depth)
    assert np.array_equal(np.stack(list(read_luma(joined.path, probe(joined.path)))), luma)
    assert len(frames) == 5


def test_a_missing_frame(noise: np.ndarray, tmp_path: Path) -> None:
    write_tiffs(tmp_path / "film", noise)
    (tmp_path / "film" / "reel1000.tif").unlink()
    with pytest.raises(UnreadableFilm, match="lacks frame 1000 of 998 to 1003") as caught:
        probe(tmp_path / "film")
    assert caught.value.error_type == "missing_frames"


def test_a_damaged_frame(noise: np.ndarray, tmp_path: Path) -> None:
    write_tiffs(tmp_path / "film", noise)
    (tmp_path / "film" / "reel1000.tif").write_bytes(b"II*\0 not a picture")
    facts = probe(tmp_path / "film")
    with pytest.raises(UnreadableFilm) as caught:
        survey(facts.path, facts)
    assert caught.value.error_type == "decoder_error"
    assert caught.value.frames_decoded is not None
    assert caught.value.frames_decoded < COUNT


@pytest.mark.parametrize("other", [np.zeros((50, 65), np.uint16), np.zeros((49, 65), np.uint8)])
def test_a_frame_of_another_size_or_depth(other: np.ndarray, noise: np.ndarray, tmp_path: Path) -> None:
    write_tiffs(tmp_path / "film", noise)
    tifffile.imwrite(tmp_path / "film" / "reel1001.tif", other)
    facts = probe(tmp_path / "film")
    with pytest.raises(UnreadableFilm):
        survey(facts.path, facts)
    with pytest.raises(UnreadableFilm):
        list(read_luma(facts.path, facts))


@pytest.mark.parametrize(
    ("names", "error_type"),
    [
        (("readme.txt",), "empty"),
        (("a1.tif", "a2.tif", "b1.tif"), "unsupported"),
        (("a1.tif", "a02.tif"), "unsupported"),
    ],
)
def test_folders_that_are_not_one_film(names: tuple[str, ...], error_type: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UnreadableFilm) as caught:
        probe(tmp_path)
    assert caught.value.error_type == error_type
