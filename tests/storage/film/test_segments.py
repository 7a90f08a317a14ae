"""Segments are there whole or not at all, and are what was put in."""

from pathlib import Path

import numpy as np
import pytest

from storage.film import (
    FilmNotWritten,
    SegmentWriter,
    check_segment,
    choose_format,
    join,
    probe,
    read_luma,
    survey,
)
from storage.film.program import ffmpeg_program
from tests.storage.film.clips import make, write_segments


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", seconds=0.4)


def test_a_segment_has_its_digests(source: Path, tmp_path: Path) -> None:
    facts = probe(source)
    path = tmp_path / "out" / "segment.mkv"
    with SegmentWriter(path, choose_format("ffv1", facts), facts) as writer:
        assert not path.exists()
        for luma in read_luma(source, facts):
            writer.write(luma, luma, luma)
    segment = writer.segment
    check_segment(path, 10, segment.luma_sha256)
    with pytest.raises(FilmNotWritten) as wrong:
        check_segment(path, 10, "0" * 64)
    assert wrong.value.error_type == "wrong_luma"
    with pytest.raises(FilmNotWritten) as wrong:
        check_segment(path, 9, segment.luma_sha256)
    assert wrong.value.error_type == "wrong_frames"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(FilmNotWritten):
        check_segment(path, 10, segment.luma_sha256)
    assert [entry.name for entry in path.parent.iterdir()] == ["segment.mkv"]


def test_an_error_in_the_block_leaves_nothing(source: Path, tmp_path: Path) -> None:
    facts = probe(source)
    folder = tmp_path / "out"

    def stop_in_the_middle() -> None:
        with SegmentWriter(folder / "a.mkv", choose_format("ffv1", facts), facts) as writer:
            writer.write(*(np.zeros((48, 64), np.uint8),) * 3)
            raise KeyError

    with pytest.raises(KeyError):
        stop_in_the_middle()
    assert list(folder.iterdir()) == []


def test_planes_of_another_size_or_type(source: Path, tmp_path: Path) -> None:
    facts = probe(source)
    right = np.zeros((48, 64), np.uint8)
    for wrong in (np.zeros((47, 64), np.uint8), np.zeros((48, 64), np.uint16)):
        with (
            pytest.raises(ValueError, match="planes"),
            SegmentWriter(tmp_path / "b.mkv", choose_format("ffv1", facts), facts) as writer,
        ):
            writer.write(right, wrong, right)


def test_chroma_may_be_given_in_its_own_size(source: Path, tmp_path: Path) -> None:
    facts = probe(source)
    with SegmentWriter(tmp_path / "b.mkv", choose_format("ffv1", facts), facts) as writer:
        writer.write(np.zeros((48, 64), np.uint8), *(np.full((24, 32), 99, np.uint8),) * 2)
    assert writer.segment.frames == 1


def test_an_encoder_that_dies(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = probe(source)
    false = tmp_path / "ffmpeg"
    false.write_text(f'#!/bin/sh\nexec {ffmpeg_program()} "$@" -fs 1 -no-such-option\n')
    false.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(false))
    black = np.zeros((48, 64), np.uint8)

    def write_much() -> None:
        with SegmentWriter(tmp_path / "out" / "a.mkv", choose_format("ffv1", facts), facts) as writer:
            for _ in range(1000):
                writer.write(black, black, black)

    with pytest.raises(FilmNotWritten) as caught:
        write_much()
    assert caught.value.error_type == "encoder"
    assert "a.mkv could not be written" in caught.value.message
    assert list((tmp_path / "out").iterdir()) == []


def test_segments_that_do_not_make_up_the_film(source: Path, tmp_path: Path) -> None:
    facts = probe(source)
    frames = survey(source, facts).frames
    output = choose_format("ffv1", facts)
    segments = write_segments(tmp_path / "segments", facts, frames, output, 4)
    with pytest.raises(FilmNotWritten) as caught:
        join(segments[:-1], tmp_path / "joined.mkv", output, facts, frames)
    assert caught.value.error_type == "wrong_frames"
    assert not (tmp_path / "joined.mkv").exists()
