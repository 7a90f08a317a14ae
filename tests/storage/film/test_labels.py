"""What a film says of itself: tags of its own in Matroska, the comment in MP4 and MOV."""

from collections.abc import Mapping
from pathlib import Path

import av
import pytest

from storage.film import FormatName, choose_format, join, probe, says_of_itself, survey
from tests.storage.film.clips import make, packets, write_segments

LABELS = {"SOFTWARE_AGENT": "archive-colorizer 1.0", "DERIVED_FROM_SHA256": "ab" * 32}


def labelled(folder: Path, source: Path, name: FormatName, labels: Mapping[str, str] = LABELS) -> Path:
    facts = probe(source)
    frames = survey(source, facts).frames
    output = choose_format(name, facts)
    segments = write_segments(folder / f"segments-{name}", facts, frames, output)
    return join(segments, folder / f"joined-{name}{output.suffix}", output, facts, frames, labels).path


def tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


@pytest.fixture(params=["a.mkv", "a.mp4", "a.mov"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    more = ("-map", "0", "-map", "1", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")
    words = ("-metadata", "title=The mill", "-metadata", "comment=Reel 4, found in the attic")
    return make(tmp_path / str(request.param), *more, *words)


def test_matroska_has_tags_of_its_own(source: Path, tmp_path: Path) -> None:
    path = labelled(tmp_path, source, "ffv1")
    found = tags(path)
    assert {name: found[name.lower()] for name in LABELS} == LABELS
    assert (found["title"], found["comment"]) == ("The mill", "Reel 4, found in the attic")
    assert says_of_itself(path, "archive-colorizer ")


@pytest.mark.parametrize("name", ["h264", "prores"])
def test_mp4_and_mov_have_them_in_the_comment_behind_the_source_s(
    name: FormatName, source: Path, tmp_path: Path
) -> None:
    path = labelled(tmp_path, source, name)
    found = tags(path)
    own = f"SOFTWARE_AGENT=archive-colorizer 1.0; DERIVED_FROM_SHA256={'ab' * 32}"
    assert found["comment"] == f"Reel 4, found in the attic\n{own}"
    assert found["title"] == "The mill"
    assert says_of_itself(path, "archive-colorizer ")
    assert says_of_itself(path, "ab" * 32)
    assert packets(path, "audio") == packets(source, "audio")


@pytest.mark.parametrize("name", ["ffv1", "h264", "prores"])
def test_without_a_comment_and_without_labels(name: FormatName, tmp_path: Path) -> None:
    source = make(tmp_path / "a.mkv", "-c:v", "ffv1", seconds=0.2)
    (tmp_path / "plain").mkdir()
    plain = labelled(tmp_path / "plain", source, name, {})
    assert not says_of_itself(plain, "archive-colorizer")
    assert "comment" not in tags(plain)
    path = labelled(tmp_path, source, name)
    assert says_of_itself(path, "archive-colorizer 1.0")
    assert not says_of_itself(path, "archive-colorizer 2")


def test_the_name_of_a_file_says_nothing_of_it(tmp_path: Path) -> None:
    """A film that somebody put there, whatever it is called, is not ours."""
    source = make(tmp_path / "archive-colorizer 1.0.mp4", "-c:v", "libx264", seconds=0.2)
    assert not says_of_itself(source, "archive-colorizer ")


@pytest.mark.parametrize("content", [b"", b"archive-colorizer 1.0", None])
def test_what_is_no_film_says_nothing(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    if content is not None:
        path.write_bytes(content)
    assert not says_of_itself(path, "archive-colorizer ")
    assert not says_of_itself(tmp_path, "archive-colorizer ")
