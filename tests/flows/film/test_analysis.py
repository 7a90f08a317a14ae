"""The parts of a film: no part crosses a cut, all frames are in one part each, and names sort as the film runs."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from flows.film.analysis import SEGMENT_FRAMES, FilmAnalysis, analyse
from storage.film import FilmFacts, Frames, Shot, UnreadableFilm, probe
from tests.storage.film.clips import CLIPS, ffmpeg, make


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> FilmFacts:
    path = make(tmp_path_factory.mktemp("film") / "a.mkv", "-c:v", "ffv1", seconds=0.2)
    return probe(path)


def analysis(facts: FilmFacts, *lengths: int) -> FilmAnalysis:
    total = sum(lengths)
    frames = Frames(Fraction(1, 25), np.arange(total), np.ones(total, np.int64), np.zeros((total, 16), np.uint8))
    shots, first = [], 0
    for length in lengths:
        shots.append(Shot(first, first + length - 1, 10.0, (first,)))
        first += length
    return FilmAnalysis(facts.path, facts, frames, tuple(shots))


LENGTHS = [
    (1,),
    (SEGMENT_FRAMES,),
    (SEGMENT_FRAMES + 1,),
    (5 * SEGMENT_FRAMES - 1, 1, 2, 3 * SEGMENT_FRAMES),
    tuple(range(1, 250, 7)),
    (101 * SEGMENT_FRAMES,),
]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_parts_hold_every_frame_once_and_cross_no_cut(lengths: tuple[int, ...], facts: FilmFacts) -> None:
    film = analysis(facts, *lengths)
    parts = film.parts()
    assert [frame for part in parts for frame in range(part.first, part.last + 1)] == list(range(sum(lengths)))
    for part in parts:
        shot = film.shots[part.shot - 1]
        assert shot.first <= part.first <= part.last <= shot.last
        assert 1 <= len(part) <= SEGMENT_FRAMES
    assert [part for number in range(1, len(lengths) + 1) for part in film.parts(number)] == parts


@pytest.mark.parametrize("lengths", LENGTHS)
def test_names_sort_as_the_film_runs(lengths: tuple[int, ...], facts: FilmFacts) -> None:
    names = [part.name for part in analysis(facts, *lengths).parts()]
    assert names == sorted(set(names))


def test_a_real_film() -> None:
    film = analyse(CLIPS / "bikes.mp4", sequence_rate=Fraction(24), shot_threshold=8)
    assert len(film.frames) == 250
    assert [shot.first for shot in film.shots] == [0, 30, 76, 137, 187, 242]
    assert (film.coding.bit_depth, film.coding.full_range) == (8, False)
    assert len(film.parts()) == 6
    one = analyse(CLIPS / "bikes.mp4", sequence_rate=Fraction(24), shot_threshold=99)
    assert [len(part) for part in one.parts()] == [96, 96, 58]


def test_an_interlaced_film_is_refused(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mkv",
        "-vf",
        "tinterlace=interleave_top,setfield=prog",
        "-c:v",
        "ffv1",
        size="160x120",
        seconds=1.5,
    )
    with pytest.raises(UnreadableFilm, match="interlaced"):
        analyse(path, sequence_rate=Fraction(24), shot_threshold=8)


def test_a_damaged_film_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", "-c:v", "ffv1", "-level", "3", "-slicecrc", "1", size="160x120", seconds=1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(UnreadableFilm):
        analyse(path, sequence_rate=Fraction(24), shot_threshold=8)


def test_the_rate_of_a_folder_of_frames_is_given(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.4", str(tmp_path / "scan" / "%03d.dpx"))
    film = analyse(tmp_path / "scan", sequence_rate=Fraction(16), shot_threshold=8)
    assert (len(film.frames), film.facts.frame_rate, len(film.shots)) == (10, 16, 1)


def test_a_colour_matrix_that_is_not_handled(facts: FilmFacts) -> None:
    film = analysis(facts, 5)
    with pytest.raises(Exception, match="the colour matrix ycgco is not handled; choose among"):
        replace(film, facts=replace(facts, matrix="ycgco")).coding  # noqa: B018
