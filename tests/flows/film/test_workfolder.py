"""Segments are kept only while record, bytes, key and state fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flows.film.analysis import Part
from flows.film.workfolder import WORK_FOLDER, PartRecord, WorkFolder, sweep
from flows.unfinished import identity
from storage.film import OutputFormat
from storage.fixity import sha256_file

PART = Part(1, 2, 96, 191)
REFERENCE = "ab" * 32
FFV1 = OutputFormat("ffv1", "matroska", ".mkv", 8, "420", "yuv420p", False, True, False)
H264 = OutputFormat("h264", "mp4", ".mp4", 8, "420", "yuv420p", False, False, True)
STATE = {"chroma": np.ones((2, 3, 4), np.float32), "weight": np.zeros((1, 3, 4), np.float32)}


def work_folder(output: Path, film: str = "reel.mkv", request: str = "request") -> WorkFolder:
    return WorkFolder(output, film, request, (FFV1, H264))


def finish(folder: WorkFolder, part: Part = PART) -> PartRecord:
    """What is left of a segment that was made."""
    folder.file(part, FFV1).write_bytes(b"frames in ffv1")
    folder.file(part, H264).write_bytes(b"frames in h264")
    record = PartRecord(
        key=folder.key(part, REFERENCE),
        frames=len(part),
        files={one.name: sha256_file(folder.file(part, one)) for one in (FFV1, H264)},
        state_sha256=folder.write_state(part, STATE),
        confidence=0.5,
        flicker=None,
        flicker_frames=0,
        seconds={"network": 1.5},
        wall_seconds=2.0,
    )
    folder.write_record(part, record)
    return record


@pytest.fixture
def folder(tmp_path: Path) -> WorkFolder:
    opened = work_folder(tmp_path)
    opened.open()
    return opened


def files(output: Path) -> set[str]:
    """All but the one that names the film."""
    return {path.name for path in (output / WORK_FOLDER).rglob("*.*") if path.is_file()}


def record_file(folder: WorkFolder) -> Path:
    return folder.file(PART, FFV1).with_suffix(".json")


def test_a_whole_segment_is_kept(folder: WorkFolder, tmp_path: Path) -> None:
    assert folder.kept(PART, REFERENCE) is None
    record = finish(folder)
    assert folder.kept(PART, REFERENCE) == record
    assert work_folder(tmp_path).kept(PART, REFERENCE) == record
    state = folder.state_after(PART)
    assert state is not None
    assert all(np.array_equal(state[name], value) for name, value in STATE.items())
    assert files(tmp_path) == {f"shot-00001-00002{end}" for end in (".mkv", ".mp4", ".json", ".state")}


@pytest.mark.parametrize(
    ("part", "reference"),
    [
        (PART, "cd" * 32),
        (Part(1, 2, 96, 190), REFERENCE),
        (Part(1, 2, 95, 190), REFERENCE),
    ],
)
def test_a_segment_of_another_reference_or_stretch_is_not(part: Part, reference: str, folder: WorkFolder) -> None:
    finish(folder)
    assert folder.kept(part, reference) is None


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def scribble(path: Path) -> None:
    path.write_bytes(b"\xff\xfe not what it was")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".state", ".json"])
@pytest.mark.parametrize("harm", [flip, cut, scribble, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_segment_that_is_not_whole_is_not(suffix: str, harm: Callable[[Path], object], folder: WorkFolder) -> None:
    record = finish(folder)
    path = record_file(folder).with_suffix(suffix)
    harm(path)
    if suffix != ".json" or harm is not flip:  # one letter of the record may be one that says nothing of the bytes
        assert folder.kept(PART, REFERENCE) is None
    assert finish(folder) == record
    assert folder.kept(PART, REFERENCE) == record


def test_a_record_of_another_program_is_not(folder: WorkFolder) -> None:
    finish(folder)
    for text in ("{}", "[]", "null", '{"key": 3}'):
        record_file(folder).write_text(text)
        assert folder.kept(PART, REFERENCE) is None


def test_a_state_that_cannot_be_read(folder: WorkFolder) -> None:
    assert folder.state_after(PART) is None
    finish(folder)
    state = record_file(folder).with_suffix(".state")
    for harm in (cut, scribble):
        finish(folder)
        harm(state)
        assert folder.state_after(PART) is None


def test_the_state_of_a_film_that_is_coloured_frame_by_frame_is_empty(folder: WorkFolder) -> None:
    folder.write_state(PART, {})
    assert folder.state_after(PART) == {}


def test_opening_removes_what_was_made_for_another_request(tmp_path: Path) -> None:
    old, other = work_folder(tmp_path, request="old"), work_folder(tmp_path, film="other.mkv")
    for one in (old, other):
        one.open()
        finish(one)
    new = work_folder(tmp_path, request="new")
    new.open()
    assert old.kept(PART, REFERENCE) is None
    assert not old.file(PART, FFV1).exists()
    assert other.kept(PART, REFERENCE) is not None
    finish(new)
    new.open()
    assert new.kept(PART, REFERENCE) is not None


def test_removing_takes_the_film_s_own_folder_alone(tmp_path: Path) -> None:
    one, other = work_folder(tmp_path), work_folder(tmp_path, film="other.mkv")
    for folder in (one, other):
        folder.open()
        finish(folder)
    one.remove()
    one.remove()
    assert one.kept(PART, REFERENCE) is None
    assert other.kept(PART, REFERENCE) is not None
    other.remove()
    assert files(tmp_path) == set()


def test_segments_of_films_that_are_done_or_gone_are_swept(tmp_path: Path) -> None:
    for archive, film in (("/a", "done.mkv"), ("/a", "cut off.mkv"), ("/b", "done.mkv")):
        opened = work_folder(tmp_path, identity(archive, film))
        opened.open()
        finish(opened)
    sweep(tmp_path, "/a", ["cut off.mkv"])
    left = {path.read_text() for path in (tmp_path / WORK_FOLDER).glob("*/film")}
    assert left == {identity("/a", "cut off.mkv"), identity("/b", "done.mkv")}
    assert work_folder(tmp_path, identity("/a", "cut off.mkv")).kept(PART, REFERENCE) is not None
    assert work_folder(tmp_path, identity("/a", "done.mkv")).kept(PART, REFERENCE) is None
