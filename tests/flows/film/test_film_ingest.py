"""A film is one item, also where it is a folder of frames; once a film, always a film."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import tifffile

from flows.ingest import Ingest, IngestedItem, ingest_archive
from storage.database import Database, open_database
from storage.decoding import Decoder
from storage.film import film_sha256
from tests.flows.conftest import picture
from tests.flows.film.films import SEA, pan, write_frames
from tests.storage.film.clips import make


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path}/provenance.db") as opened:
        yield opened


@pytest.fixture
def reels(tmp_path: Path) -> Path:
    """A film, a folder of frames, and a photograph beside the frames."""
    archive = tmp_path / "archive"
    frames = write_frames(archive / "scans" / "reel", pan(SEA, 14))
    picture("coffee.png", 100).convert("L").save(frames / "slate.jpg")
    (frames / "notes.txt").write_text("Reel 4\n")
    make(archive / "film.mov", "-c:v", "prores_ks", "-pix_fmt", "yuv422p10le", size="96x64")
    return archive


def items(found: Ingest) -> dict[str, IngestedItem]:
    return {item.path: item for item in found.items}


def test_a_folder_of_frames_is_one_item(reels: Path, database: Database, decoder: Decoder) -> None:
    found = ingest_archive(database, decoder, reels)
    assert set(items(found)) == {"film.mov", "scans/reel", "scans/reel/slate.jpg"}
    reel, film = items(found)["scans/reel"].record, items(found)["film.mov"].record
    assert (reel.kind, reel.format, reel.width, reel.height, reel.bit_depth) == ("film", "sequence/tiff", 96, 64, 8)
    assert (reel.frames, reel.duration_seconds) == (14, pytest.approx(14 / 24))
    assert reel.sha256 == film_sha256(reels / "scans" / "reel")
    assert reel.size_bytes == sum(path.stat().st_size for path in (reels / "scans" / "reel").glob("*.tif"))
    assert (film.kind, film.format, film.bit_depth, film.frames) == ("film", "mov/prores", 10, 14)
    assert items(found)["scans/reel/slate.jpg"].record.kind == "photograph"
    assert all(item.is_colorizable for item in found.items)


def test_a_second_ingest_reads_no_frame(
    reels: Path, database: Database, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingest_archive(database, decoder, reels)
    assert first.hashed == 3

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("flows.ingest.film_sha256", refuse)
    monkeypatch.setattr("storage.film.recognition.read_master", refuse)
    second = ingest_archive(database, decoder, reels)
    assert second.hashed == 0
    assert [(item.path, item.item_id) for item in second.items] == [(item.path, item.item_id) for item in first.items]


def test_a_changed_frame_is_a_changed_film(reels: Path, database: Database, decoder: Decoder) -> None:
    first = items(ingest_archive(database, decoder, reels))["scans/reel"]
    frame = reels / "scans" / "reel" / "scan_00005.tif"
    tifffile.imwrite(frame, 255 - tifffile.imread(frame))
    second = items(ingest_archive(database, decoder, reels))["scans/reel"]
    assert second.item_id == first.item_id
    assert second.record.sha256 == film_sha256(reels / "scans" / "reel") != first.record.sha256


def test_a_known_film_that_lost_frames_is_a_film_with_a_problem(
    reels: Path, database: Database, decoder: Decoder
) -> None:
    ingest_archive(database, decoder, reels)
    for number in (3, 4, 5, 6, 7):
        (reels / "scans" / "reel" / f"scan_{number:05}.tif").unlink()
    found = items(ingest_archive(database, decoder, reels))
    assert set(found) == {"film.mov", "scans/reel", "scans/reel/slate.jpg"}
    error_type, message = found["scans/reel"].problem or ("", "")
    assert error_type == "missing_frames"
    assert "lacks frame 3 of 1 to 14" in message


def test_never_and_always(reels: Path, database: Database, decoder: Decoder) -> None:
    apart = items(ingest_archive(None, decoder, reels, sequences="never"))
    assert sorted(path for path in apart if path.endswith(".tif"))[0] == "scans/reel/scan_00001.tif"
    assert {item.record.kind for path, item in apart.items() if path.endswith(".tif")} == {"photograph"}
    few = write_frames(reels / "few", pan(SEA, 3))
    assert "few" not in items(ingest_archive(None, decoder, reels))
    assert items(ingest_archive(None, decoder, reels, sequences="always"))["few"].record.frames == 3
    assert len(list(few.iterdir())) == 3


def test_what_is_known_for_photographs_stays_photographs(reels: Path, database: Database, decoder: Decoder) -> None:
    ingest_archive(database, decoder, reels, sequences="never")
    again = ingest_archive(database, decoder, reels)
    assert again.hashed == 0
    assert "scans/reel" not in items(again)


def test_the_archive_itself_may_be_a_film(reels: Path, database: Database, decoder: Decoder) -> None:
    folder = reels / "scans" / "reel"
    (folder / "slate.jpg").unlink()
    (item,) = ingest_archive(database, decoder, folder).items
    assert (item.path, item.record.kind, item.record.frames) == (".", "film", 14)


def test_a_folder_of_frames_whose_name_is_not_utf8(reels: Path, database: Database, decoder: Decoder) -> None:
    folder = reels / os.fsdecode(b"M\xfchle")
    (reels / "scans" / "reel").rename(folder)
    found = items(ingest_archive(database, decoder, reels))
    assert found[r"M\xfchle"].record.sha256 == film_sha256(folder)
