"""Films that are not whole, or not films: refused with one line that says what is wrong, never taken for whole."""

import os
import random
from itertools import permutations
from pathlib import Path

import pytest

from storage.film import UnreadableFilm, probe, read_luma, survey
from storage.film.damage import decoder_error
from tests.storage.film.clips import ffmpeg, lavfi, make, round_trip

WHOLE = {
    "mkv": ("-c:v", "ffv1", "-level", "3", "-slicecrc", "1", "-pix_fmt", "yuv420p"),
    "mp4": ("-c:v", "libx264", "-g", "10"),
    "mov": ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"),
    "avi": ("-c:v", "mpeg4"),
    "mpg": ("-c:v", "mpeg2video", "-b:v", "2M", "-map", "1", "-c:a", "mp2"),
    "ts": ("-c:v", "mpeg2video", "-b:v", "2M", "-map", "1", "-c:a", "mp2"),
}


def refused(path: Path) -> UnreadableFilm:
    """The error that the film meets on the way that every film goes."""
    with pytest.raises(UnreadableFilm) as caught:
        survey(path, probe(path))
    message = caught.value.message
    assert "\n" not in message
    assert path.name in message
    assert "Error" not in message
    return caught.value


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_film_that_breaks_off(kind: str, share: float, tmp_path: Path) -> None:
    path = make(tmp_path / f"film.{kind}", "-map", "0", *WHOLE[kind], size="160x120", seconds=1)
    os.truncate(path, int(path.stat().st_size * share) | 1)
    assert refused(path).error_type in ("truncated", "decoder_error")


def test_an_mp4_whose_index_is_at_its_front_and_whose_tail_is_missing(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4", *WHOLE["mp4"], "-movflags", "+faststart", seconds=1)
    os.truncate(path, path.stat().st_size * 3 // 4)
    assert refused(path).error_type == "truncated"


@pytest.mark.parametrize("kind", ["mkv", "mov", "ts", "mpg"])
def test_a_film_that_is_damaged_in_the_middle(kind: str, tmp_path: Path) -> None:
    path = make(tmp_path / f"film.{kind}", "-map", "0", *WHOLE[kind], size="160x120", seconds=2)
    frames = len(survey(path, probe(path)).frames)
    data = bytearray(path.read_bytes())
    noise = random.Random(5).randbytes(3000)
    data[len(data) // 2 : len(data) // 2 + len(noise)] = noise
    path.write_bytes(data)

    error = refused(path)
    assert error.error_type == "decoder_error"
    assert error.frames_decoded is not None
    assert 0 < error.frames_decoded <= frames
    with pytest.raises(UnreadableFilm):
        list(read_luma(path, probe(path)))


def test_a_hole_in_matroska_is_noticed(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mkv", "-c:v", "libx264", "-cluster_time_limit", "200", seconds=2)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    path.write_bytes(data)
    assert refused(path).error_type == "decoder_error"


def test_a_film_whose_segment_is_replaced_meanwhile(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mkv", "-c:v", "ffv1", seconds=0.4)
    facts = probe(path)
    frames = survey(path, facts).frames
    make(path, "-vf", "negate", "-c:v", "ffv1", seconds=0.4)
    with pytest.raises(UnreadableFilm) as caught:
        list(read_luma(path, facts, 3, 5, frames))
    assert caught.value.error_type == "changed"


@pytest.mark.parametrize(
    ("name", "content", "error_type"),
    [
        ("notes.mkv", b"Reel 4, found in the attic.\n" * 20, "not_a_film"),
        ("notes.mp4", b"ffconcat version 1.0\nfile /etc/hostname\n", "not_a_film"),
        ("list.mkv", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile.ts\n", "not_a_film"),
        ("empty.mov", b"", "empty"),
        ("zeros.avi", bytes(4096), "not_a_film"),
    ],
)
def test_what_is_not_a_film(name: str, content: bytes, error_type: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refused(path).error_type == error_type


def test_a_film_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone.mkv").error_type == "unreadable"


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi"])
def test_a_film_of_no_frames(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    ffmpeg(*lavfi("testsrc2=size=64x48:duration=1"), "-frames:v", "0", "-c:v", "mpeg4", str(path))
    assert refused(path).error_type in ("empty", "no_video", "not_a_film")


def test_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    ffmpeg(*lavfi("sine=duration=1"), "-c:a", "flac", str(path))
    assert refused(path).error_type == "no_video"


def test_samples_that_cannot_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    ffmpeg(
        *lavfi("testsrc2=size=64x48:duration=0.2"), "-c:v", "ffv1", "-pix_fmt", "grayf32le", "-strict", "-2", str(path)
    )
    assert refused(path).error_type == "unsupported"


def test_a_film_whose_name_is_not_valid_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"M\xfchle")
    folder.mkdir()
    source = make(folder / os.fsdecode(b"M\xfchle.mp4"), "-map", "0", "-map", "1", "-c:v", "libx264", "-c:a", "aac")
    _, frames, joined = round_trip(source, folder, "h264")
    assert len(survey(joined.path, probe(joined.path)).frames) == len(frames)
    source.write_bytes(b"text")
    with pytest.raises(UnreadableFilm, match=r"M\\xfchle.mp4 is not a film"):
        probe(source)


def test_names_that_mean_something_to_ffmpeg(tmp_path: Path) -> None:
    path = make(tmp_path / "-i %d concat:'a|b'.mkv", "-c:v", "ffv1", seconds=0.2)
    assert len(survey(path, probe(path)).frames) == 5


def test_the_codec_is_quoted_whatever_comes_first(tmp_path: Path) -> None:
    """Threads of the decoder write their lines in any order."""
    path = make(tmp_path / "film.mpg", "-map", "0", *WHOLE["mpg"], size="160x120", seconds=1)
    lines = [
        "[vist#0:0/mpeg2video @ 0x1] Error processing packet in decoder: Invalid data found when processing input",
        "[mpeg2video @ 0x2] Warning MVs not available",
        "[mpeg2video @ 0x3] ac-tex damaged at 1 3",
    ]
    facts = probe(path)
    for order in permutations(lines):
        assert "(the decoder says: ac-tex damaged at 1 3)" in decoder_error(path, facts, order, 7).message
