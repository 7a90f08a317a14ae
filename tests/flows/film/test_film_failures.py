"""Films that cannot be colorized: each is told in one clear line, and the rest of the run is done."""

import os
import random
import re
import sqlite3
from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from flows.summary import RunSummary
from storage.fixity import PARTIAL_SUFFIX
from tests.flows.conftest import picture, tree_digests
from tests.flows.film.films import SEA, check_film_is_kept, pan, write_frames
from tests.storage.film.clips import ffmpeg, lavfi, make

BROKEN = {
    "truncated.mp4": {"truncated", "decoder_error"},
    "half.mkv": {"truncated", "decoder_error"},
    "no frames.mkv": {"empty", "no_video", "not_a_film"},
    "notes.mkv": {"not_a_film"},
    "damaged.mkv": {"decoder_error"},
    "interlaced.mpg": {"interlaced"},
    "reel": {"missing_frames"},
    "sound.mp4": {"no_video"},
}
GOOD = {"good.mkv", "cup.png", "whole reel"}
FFV1 = ("-c:v", "ffv1", "-level", "3", "-slicecrc", "1", "-pix_fmt", "yuv420p")


def make_archive(archive: Path) -> None:
    archive.mkdir()
    make(archive / "good.mkv", *FFV1, size="96x64")
    picture("coffee.png", 120).convert("L").save(archive / "cup.png")
    write_frames(archive / "whole reel", pan(SEA, 13))
    make(archive / "truncated.mp4", "-c:v", "libx264", "-movflags", "+faststart", size="96x64", seconds=1)
    make(archive / "half.mkv", *FFV1, size="96x64")
    for name in ("truncated.mp4", "half.mkv"):
        os.truncate(archive / name, (archive / name).stat().st_size * 2 // 3)
    ffmpeg(*lavfi("testsrc2=size=64x48:duration=1"), "-frames:v", "0", "-c:v", "mpeg4", str(archive / "no frames.mkv"))
    (archive / "notes.mkv").write_text("Reel 4, found in the attic.\n" * 10)
    damaged = make(archive / "damaged.mkv", *FFV1, size="96x64", seconds=1)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = random.Random(5).randbytes(300)
    damaged.write_bytes(data)
    weave = "tinterlace=interleave_top,fieldorder=tff"
    make(archive / "interlaced.mpg", "-vf", weave, "-c:v", "mpeg2video", "-flags", "+ilme+ildct", seconds=1)
    (archive / "reel").mkdir()
    ffmpeg(*lavfi("testsrc2=size=64x48:rate=24:duration=0.5"), str(archive / "reel" / "f_%06d.dpx"))
    (archive / "reel" / "f_000004.dpx").unlink()
    ffmpeg(*lavfi("sine=duration=0.5"), "-c:a", "aac", str(archive / "sound.mp4"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("failures")
    make_archive(folder / "archive")
    return folder


@pytest.fixture(scope="module")
def summary(root: Path, references: Path) -> RunSummary:
    return run(root, references)


def run(root: Path, references: Path, output: str = "output", **changes: object) -> RunSummary:
    given = {"archive": root / "archive", "references": references, "output": root / output, "size": 64}
    return run_archive(run_settings({**given, **changes}), SilentProgress())


def rows(root: Path, query: str, output: str = "output") -> list[tuple[object, ...]]:
    with sqlite3.connect(root / output / "provenance.db") as database:
        return database.execute(query).fetchall()


def test_each_is_told_in_one_clear_line(root: Path, summary: RunSummary) -> None:
    assert summary.exit_code == 2
    failures = rows(root, "SELECT path, error_type, message FROM audit_failure WHERE stage <> 'reference'")
    kinds = {str(path): str(kind) for path, kind, _ in failures}
    assert len(failures) == len(kinds)
    assert set(kinds) == set(BROKEN)
    assert {path: kind for path, kind in kinds.items() if kind not in BROKEN[path]} == {}
    for path, _, message in failures:
        assert str(path) in str(message)
        assert not re.search(r"Error|Exception|Traceback|\n|errno", str(message))
        assert ";" in str(message)  # what is wrong; what to do
    assert {failure.path for failure in summary.failures} == set(BROKEN)
    messages = {str(path): str(message) for path, _, message in failures}
    assert "is not a film: it contains text" in messages["notes.mkv"]
    assert "lacks frame 4 of 1 to 12" in messages["reel"]
    assert "deinterlace a copy" in messages["interlaced.mpg"]


def test_a_broken_reference_is_told_too(root: Path, summary: RunSummary) -> None:
    ((path, message),) = rows(root, "SELECT path, message FROM audit_failure WHERE stage = 'reference'")
    assert "broken.jpg" in str(path)
    assert "broken.jpg is cut off" in str(message)


def test_the_others_are_done(root: Path, summary: RunSummary) -> None:
    done = {str(path) for (path,) in rows(root, "SELECT path FROM audit_item WHERE state = 'done'")}
    assert done == GOOD
    check_film_is_kept(root / "archive" / "good.mkv", root / "output" / "good.mkv")
    check_film_is_kept(root / "archive" / "whole reel", root / "output" / "whole reel.mkv")


def test_nothing_is_left_of_those_that_failed(root: Path, summary: RunSummary) -> None:
    found = {
        path
        for path in tree_digests(root / "output")
        if not path.startswith(("gallery/", "provenance.db", ".archive-colorizer/index/"))
    }
    assert found == {"good.mkv", "cup.png.tif", "whole reel.mkv"}
    assert not list((root / "output").rglob(f"*{PARTIAL_SUFFIX}"))


def test_the_gallery_names_them(root: Path, summary: RunSummary) -> None:
    assert summary.gallery is not None
    page = summary.gallery.read_text()
    assert all(path in page for path in BROKEN)


def test_the_next_run_tells_them_again_and_does_nothing(root: Path, references: Path, summary: RunSummary) -> None:
    again = run(root, references)
    assert again.run_id is None
    assert again.exit_code == 2
    assert {failure.path for failure in again.failures} == set(BROKEN)


def test_a_film_that_is_mended_is_done(root: Path, references: Path, summary: RunSummary) -> None:
    for frame in (root / "archive" / "reel").iterdir():
        frame.unlink()
    ffmpeg(*lavfi("testsrc2=size=64x48:rate=24:duration=0.3"), str(root / "archive" / "reel" / "f_%06d.dpx"))
    again = run(root, references)
    assert again.done == 1
    check_film_is_kept(root / "archive" / "reel", root / "output" / "reel.mkv")


@pytest.mark.parametrize("name", ["broken.png", "grey.png", "text.png"])
def test_a_given_reference_that_cannot_be_used_ends_the_run_at_once(
    name: str, tmp_path: Path, references: Path
) -> None:
    (tmp_path / "archive").mkdir()
    make(tmp_path / "archive" / "good.mkv", *FFV1, size="96x64", seconds=0.2)
    picture("coffee.png", 120).save(tmp_path / "broken.png")
    os.truncate(tmp_path / "broken.png", 3000)
    picture("coffee.png", 120).convert("L").save(tmp_path / "grey.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match=f"the reference given cannot be used: .*{name}") as refused:
        run(tmp_path, references, reference=tmp_path / name)
    assert "\n" not in str(refused.value)
    assert rows(tmp_path, "SELECT state FROM run") == [("failed",)]
    assert not list((tmp_path / "output").rglob("*.mkv"))
    failed = [str(path) for (path,) in rows(tmp_path, "SELECT path FROM audit_failure WHERE stage = 'reference'")]
    assert [name in path for path in failed].count(True) == 1
    assert run(tmp_path, references).done == 1
