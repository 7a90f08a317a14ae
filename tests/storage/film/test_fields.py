"""Interlaced film is found, by its tag or by its pictures, and refused."""

from pathlib import Path

import pytest

from storage.film import UnreadableFilm, detect_fields, probe, refuse_interlaced
from tests.storage.film.clips import make

WEAVE = "tinterlace=interleave_top"


def test_tagged(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mpg", "-vf", f"{WEAVE},fieldorder=tff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", seconds=1
    )
    facts = probe(path)
    assert facts.field_order == "top field first"
    with pytest.raises(UnreadableFilm, match="interlaced") as caught:
        refuse_interlaced(facts)
    assert caught.value.error_type == "interlaced"


def test_not_tagged(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", "-vf", f"{WEAVE},setfield=prog", "-c:v", "ffv1", size="160x120", seconds=1.5)
    facts = probe(path)
    refuse_interlaced(facts)
    assert detect_fields(path, facts).field_order == "top field first"


def test_progressive(tmp_path: Path) -> None:
    path = make(tmp_path / "a.avi", "-c:v", "mpeg4", size="160x120", seconds=1.5)
    facts = probe(path)
    assert facts.field_order == "unknown"
    found = detect_fields(path, facts)
    assert found.field_order == "progressive"
    refuse_interlaced(found)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv422p10le"])
def test_colours_that_move_are_no_fields(pixel_format: str, tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", pixel_format, size="96x64")
    refuse_interlaced(detect_fields(path, probe(path)))
