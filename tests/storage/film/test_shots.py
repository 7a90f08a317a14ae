"""Shots: hard cuts split a film, fades and flashes do not."""

from itertools import pairwise
from pathlib import Path

import pytest

from storage.film import probe, survey
from tests.storage.film.clips import CLIPS, ffmpeg


def film(folder: Path, filters: str, *, both: bool = False) -> Path:
    """Grey frames of one film, or of two after each other, after ``filters``."""
    path = folder / "film.mkv"
    grey = "scale=160:90,setsar=1,fps=25,format=gray"
    first = ("-t", "1.12", "-i", str(CLIPS / "bikes.mp4"))
    second = ("-t", "1", "-i", str(CLIPS / "bigbuckbunny.mp4"))
    if both:
        graph = f"[0:v]{grey}[a];[1:v]{grey}[b];[a][b]{filters}"
        ffmpeg(*first, *second, "-filter_complex", graph, "-c:v", "ffv1", str(path))
    else:
        ffmpeg(*first, "-vf", f"{grey},{filters}", "-c:v", "ffv1", str(path))
    return path


def bounds(path: Path) -> list[tuple[int, int]]:
    return [(shot.first, shot.last) for shot in survey(path, probe(path)).shots]


def test_a_hard_cut(tmp_path: Path) -> None:
    path = film(tmp_path, "concat=n=2:v=1", both=True)
    shots = survey(path, probe(path)).shots
    assert [(shot.first, shot.last) for shot in shots] == [(0, 27), (28, 52)]
    assert shots[0].score == 0
    assert shots[1].score > 15


def test_the_threshold_is_an_option(tmp_path: Path) -> None:
    path = film(tmp_path, "concat=n=2:v=1", both=True)
    assert len(survey(path, probe(path), threshold=90).shots) == 1


@pytest.mark.parametrize(
    "filters",
    [
        "fade=in:0:8,fade=out:18:10",
        "fade=in:0:4",
        "fade=out:14:10:color=white",
        "lutyuv=y=235:enable='eq(n,12)'",
        "lutyuv=y='min(val*3,255)':enable='between(n,12,13)'",
        "lutyuv=y=250:enable='between(n,12,14)'",
        "lutyuv=y=0:enable='between(n,12,14)'",
        "null",
    ],
)
def test_fades_and_flashes_do_not_split(filters: str, tmp_path: Path) -> None:
    assert bounds(film(tmp_path, filters)) == [(0, 27)]


def test_a_dissolve_does_not_split(tmp_path: Path) -> None:
    path = film(tmp_path, "xfade=transition=fade:duration=0.5:offset=0.4", both=True)
    assert len(bounds(path)) == 1


def test_a_flash_at_a_cut_gives_one_cut(tmp_path: Path) -> None:
    path = film(tmp_path, "concat=n=2:v=1,lutyuv=y=250:enable='between(n,28,29)'", both=True)
    assert bounds(path) == [(0, 27), (28, 52)]


def test_shots_hold_every_frame_once() -> None:
    path = CLIPS / "bikes.mp4"
    shots = bounds(path)
    assert shots == [(0, 29), (30, 75), (76, 136), (137, 186), (187, 241), (242, 249)]


def test_typical_frames_are_of_their_shot_and_like_its_others(tmp_path: Path) -> None:
    """A short shot has one, a long one three, of its thirds; none is a frame of the flash or of the fade."""
    path = film(tmp_path, "fade=in:0:6,lutyuv=y=250:enable='between(n,12,13)',tpad=stop=40:stop_mode=clone")
    (shot,) = survey(path, probe(path)).shots
    assert len(shot) == 68
    assert len(shot.typical) == 3
    assert all(
        start <= frame < end for frame, (start, end) in zip(shot.typical, pairwise([0, 22, 45, 68]), strict=True)
    )
    assert not {*range(5), 12, 13} & {*shot.typical}


def test_short_shots_have_one_typical_frame_each(tmp_path: Path) -> None:
    path = film(tmp_path, "concat=n=2:v=1", both=True)
    shots = survey(path, probe(path)).shots
    assert [len(one.typical) for one in shots] == [1, 1]
    assert all(one.first <= one.typical[0] <= one.last for one in shots)


def test_a_film_of_one_frame_is_one_shot(tmp_path: Path) -> None:
    path = film(tmp_path, "trim=end_frame=1")
    (shot,) = survey(path, probe(path)).shots
    assert (shot.first, shot.last, shot.typical) == (0, 0, (0,))
