"""Reading from the middle of a film, children that never stay behind, and memory that does not grow."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from storage.film import FilmFacts, Frames, probe, read_luma, survey
from storage.film.pixels import pixel_format
from storage.film.program import run_ffmpeg
from tests.storage.film.clips import make

LONG = {
    "h264 with open groups": ("a.mkv", "-c:v", "libx264", "-bf", "3", "-g", "40", "-x264-params", "open-gop=1"),
    "h264 transport stream": ("a.ts", "-c:v", "libx264", "-bf", "3", "-g", "40", "-x264-params", "open-gop=1"),
    "hevc": ("a.mp4", "-c:v", "libx265", "-x265-params", "log-level=error:open-gop=1:keyint=40"),
    "mpeg-2 program stream": ("a.mpg", "-c:v", "mpeg2video", "-bf", "2", "-g", "15"),
    "mpeg-4 in avi": ("a.avi", "-c:v", "mpeg4", "-bf", "2", "-g", "60"),
}


@pytest.mark.parametrize("kind", LONG)
def test_frames_from_the_middle_are_those_of_the_whole(kind: str, tmp_path: Path) -> None:
    name, *arguments = LONG[kind]
    path = make(tmp_path / name, *arguments, "-pix_fmt", "yuv420p", seconds=5)
    facts = probe(path)
    frames = survey(path, facts).frames
    whole = [hashlib.md5(luma.tobytes()).hexdigest() for luma in read_luma(path, facts)]
    assert whole == [frame.luma_md5 for frame in frames]
    for first, last in ((0, 0), (1, 3), (61, 64), (len(frames) - 2, len(frames) - 1)):
        for known in (frames, None):
            part = [hashlib.md5(luma.tobytes()).hexdigest() for luma in read_luma(path, facts, first, last, known)]
            assert part == whole[first : last + 1]


def test_frames_outside_the_film(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", "-c:v", "ffv1", seconds=0.2)
    facts = probe(path)
    frames = survey(path, facts).frames
    for first, last in ((-1, 2), (3, 2), (0, 5)):
        with pytest.raises(ValueError, match="frames"):
            list(read_luma(path, facts, first, last, frames))


def test_frames_are_a_sequence(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", "-c:v", "libx264", seconds=0.4)
    frames = survey(path, probe(path)).frames
    assert isinstance(frames, Frames)
    assert len(frames) == 10
    assert frames[-1].number == 9
    assert [frame.number for frame in frames[2:4]] == [2, 3]
    assert frames[3].pts * frames.time_base == Fraction(3, 25)
    with pytest.raises(IndexError):
        frames[10]


@pytest.mark.parametrize(
    ("name", "depth", "big_endian", "interleaved"),
    [
        ("yuyv422", 8, False, 2), ("uyvy422", 8, False, -2), ("nv12", 8, False, 1), ("p010le", 10, False, 64),
        ("gray16be", 16, True, 1), ("yuv422p10be", 10, True, 1), ("gray12be", 12, True, 1), ("ya8", 8, False, 2),
    ],
)  # fmt: skip
def test_luma_is_taken_out_sample_by_sample(
    name: str, depth: int, big_endian: bool, interleaved: int, tmp_path: Path
) -> None:
    """Random samples, put together here as the format has them, come out of its filter unchanged."""
    width, height = 34, 18
    luma = np.random.default_rng(2).integers(0, 1 << depth, (height, width)).astype(np.uint16)
    samples = luma * 64 if interleaved == 64 else luma
    kind = np.dtype(np.uint8) if depth == 8 else np.dtype(">u2" if big_endian else "<u2")
    if abs(interleaved) == 2:
        pair = (samples, np.full_like(samples, 90))
        samples = np.stack(pair if interleaved > 0 else pair[::-1], axis=-1)
    data = samples.astype(kind).tobytes()
    data += bytes(width * height * kind.itemsize * 2)  # more than any chroma that follows
    raw = tmp_path / "raw"
    raw.write_bytes(data)
    found = pixel_format(name)
    assert found is not None
    assert found.bit_depth == depth
    finished = run_ffmpeg(
        ["-f", "rawvideo", "-pixel_format", name, "-video_size", f"{width}x{height}", "-i", str(raw), "-frames:v", "1",
         "-noauto_conversion_filters", "-vf", f"format={name},{found.luma_filter}", "-f", "rawvideo", "-"]
    )  # fmt: skip
    got = np.frombuffer(finished.output, np.uint8 if depth == 8 else "<u2")
    assert np.array_equal(got.reshape(height, width), luma)


@pytest.mark.parametrize("name", ["grayf32le", "xyz12le", "bayer_rggb8", "gbrpf32le", "rgb565le", "no such format"])
def test_formats_that_cannot_be_kept_exactly(name: str) -> None:
    assert pixel_format(name) is None


def test_untagged_film_is_taken_for_what_players_take_it(tmp_path: Path) -> None:
    def facts(size: str) -> FilmFacts:
        return probe(make(tmp_path / f"{size}.mp4", "-c:v", "mpeg4", size=size, seconds=0.1))

    small, large = facts("720x576"), facts("1280x720")
    assert (small.matrix, small.matrix_tagged, small.full_range, small.range_tagged) == (
        "smpte170m", False, False, False,
    )  # fmt: skip
    assert large.matrix == "bt709"
    grey = probe(make(tmp_path / "grey.mkv", "-c:v", "ffv1", "-pix_fmt", "gray", seconds=0.1))
    assert grey.full_range


_READER = """
import sys, time
from pathlib import Path
from storage.film import probe, read_luma
path = Path(sys.argv[1])
frames = read_luma(path, probe(path))
next(frames)
print("reading", flush=True)
time.sleep(60)
"""


def test_no_ffmpeg_outlives_a_killed_reader(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", "-c:v", "ffv1", size="320x240", seconds=2)
    with subprocess.Popen([sys.executable, "-c", _READER, str(path)], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        children = Path(f"/proc/{reader.pid}/task/{reader.pid}/children").read_text().split()
        assert children
        reader.send_signal(signal.SIGKILL)
        reader.wait()
    deadline = time.monotonic() + 20
    while any(_runs(int(child)) for child in children):
        assert time.monotonic() < deadline, "ffmpeg is still there"
        time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_an_unfinished_reader_leaves_no_process_and_no_open_file(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", "-c:v", "ffv1", size="320x240", seconds=1)
    facts = probe(path)
    before, others = len(list(Path("/proc/self/fd").iterdir())), _children()
    reader = read_luma(path, facts)
    next(reader)
    assert _children() > others
    reader.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert _children() == others


def _children() -> set[str]:
    """Processes that this one has started, those of other tests included (a database server, for instance)."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


_MEASURE = """
import resource, sys
from pathlib import Path
from storage.film import *
path, folder = Path(sys.argv[1]), Path(sys.argv[2])
facts = probe(path); frames = survey(path, facts).frames; output = choose_format("ffv1", facts); segments = []
for first in range(0, len(frames), 100):
    last = min(first + 100, len(frames)) - 1
    segments.append(folder / f"{first:06d}.mkv")
    with SegmentWriter(segments[-1], output, facts) as writer:
        for luma in read_luma(path, facts, first, last, frames):
            writer.write(luma, luma, luma)
join(segments, folder / "joined.mkv", output, facts, frames)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    peaks = []
    for seconds in (2, 12):
        path = make(tmp_path / f"{seconds}.mkv", "-c:v", "ffv1", "-g", "1", size="160x120", seconds=seconds)
        folder = tmp_path / f"segments{seconds}"
        folder.mkdir()
        measured = subprocess.run([sys.executable, "-c", _MEASURE, str(path), str(folder)], capture_output=True)
        assert measured.returncode == 0, measured.stderr.decode()
        peaks.append(int(measured.stdout))
    assert peaks[1] < 1.05 * peaks[0]
