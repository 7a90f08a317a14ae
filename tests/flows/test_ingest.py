"""Every file becomes one item; only what is new or changed is opened; problems and films are told from photographs."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest

from flows.errors import EnvironmentProblem
from flows.ingest import NO_SCAN, Ingest, ingest_archive
from storage.database import Database, open_database
from storage.decoding import Decoder
from storage.fixity import sha256_file
from tests.flows.awkward import BAD, GOOD, make_awkward_archive
from tests.flows.conftest import PICTURES


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path}/provenance.db") as opened:
        yield opened


def by_path(ingest: Ingest) -> dict[str, tuple[int | None, str | None]]:
    return {item.path: (item.item_id, item.record.sha256) for item in ingest.items}


def test_awkward_archive(tmp_path: Path, database: Database, decoder: Decoder) -> None:
    archive = make_awkward_archive(tmp_path / "archive")
    found = ingest_archive(database, decoder, archive)
    assert {item.path for item in found.items} == {*GOOD, *BAD}
    assert found.ignored == 2
    facts = {item.path: item.record for item in found.items}
    for path, (depth, width, height) in GOOD.items():
        record = facts[path]
        assert (record.bit_depth, record.width, record.height) == (depth, width, height), path
        assert record.sha256 == sha256_file(archive / path)
    problems = {item.path: item.problem for item in found.items if item.problem}
    for path in ("leer.jpg", "liesmich.tif", "1907 Straßenbahn/kreis"):
        error_type, message = problems[path] or ("", "")
        assert error_type == BAD[path]
        assert path in message


def test_second_ingest_opens_nothing_and_keeps_ids(archive: Path, database: Database, decoder: Decoder) -> None:
    first = ingest_archive(database, decoder, archive)
    assert first.hashed == 3
    second = ingest_archive(database, decoder, archive)
    assert second.hashed == 0
    assert by_path(first) == by_path(second)


def test_only_the_changed_file_is_hashed_again(archive: Path, database: Database, decoder: Decoder) -> None:
    first = ingest_archive(database, decoder, archive)
    shutil.copy(archive / "album" / "portrait.jpg", archive / "cup.png")
    second = ingest_archive(database, decoder, archive)
    assert second.hashed == 1
    before, after = by_path(first), by_path(second)
    assert before["cup.png"][0] == after["cup.png"][0]
    assert after["cup.png"][1] == after["album/portrait.jpg"][1] != before["cup.png"][1]


def test_pages_are_items_of_their_own_now_and_later(archive: Path, database: Database, decoder: Decoder) -> None:
    shutil.copy(PICTURES / "multipage.tif", archive / "akte.tif")
    seen = []
    for _ in range(2):
        pages = [item for item in ingest_archive(database, decoder, archive).items if item.path == "akte.tif"]
        assert [(page.record.kind, page.record.page) for page in pages] == [("page", 1), ("page", 2)]
        assert all(page.is_colorizable for page in pages)
        assert {page.record.sha256 for page in pages} == {sha256_file(archive / "akte.tif")}
        seen.append([page.item_id for page in pages])
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 2


def test_pages_that_a_document_has_no_more_are_forgotten(archive: Path, database: Database, decoder: Decoder) -> None:
    shutil.copy(PICTURES / "multipage.tif", archive / "akte.tif")
    ingest_archive(database, decoder, archive)
    shutil.copy(archive / "cat.tif", archive / "akte.tif")
    for _ in range(2):
        found = ingest_archive(database, decoder, archive)
        (akte,) = [item for item in found.items if item.path == "akte.tif"]
        assert (akte.record.kind, akte.record.page) == ("photograph", 1)
        assert found.looked_at == 4


def test_pages_without_a_scan_are_left_out(archive: Path, database: Database, decoder: Decoder) -> None:
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.save(archive / "leer.pdf")
    for _ in range(2):
        (page,) = [item for item in ingest_archive(database, decoder, archive).items if item.path == "leer.pdf"]
        assert (page.record.kind, page.record.width, page.skip) == ("page", 0, NO_SCAN)


def test_names_that_are_not_utf8(archive: Path, database: Database, decoder: Decoder) -> None:
    os.rename(os.fsencode(archive / "cup.png"), os.fsencode(archive) + b"/tasse\xff.png")  # noqa: PTH104
    assert r"tasse\xff.png" in by_path(ingest_archive(database, decoder, archive))


def test_nothing_is_recorded_in_a_dry_run(archive: Path, database: Database, decoder: Decoder) -> None:
    assert [item.item_id for item in ingest_archive(database, decoder, archive, record=False).items] == [None] * 3
    assert [item.item_id for item in ingest_archive(None, decoder, archive).items] == [None] * 3
    assert ingest_archive(database, decoder, archive).hashed == 3


def test_an_archive_that_cannot_be_listed_ends_the_run(tmp_path: Path, database: Database, decoder: Decoder) -> None:
    with pytest.raises(EnvironmentProblem, match="gone"):
        ingest_archive(database, decoder, tmp_path / "gone")


def test_our_own_copies_are_no_masters(archive: Path, database: Database, decoder: Decoder, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    shutil.copy(archive / "cat.tif", output / "cat.tif")
    (archive / "colorized").symlink_to(output)
    (archive / "cat-colour.tif").symlink_to(output / "cat.tif")
    (archive / "again.png").symlink_to(archive / "cup.png")
    found = ingest_archive(database, decoder, archive, output)
    assert {item.path for item in found.items} == {"album/portrait.jpg", "cup.png", "cat.tif", "again.png"}
    assert (found.own, found.looked_at) == (2, 6)


def test_a_share_that_is_gone_ends_the_ingest(
    archive: Path, database: Database, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> str:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("flows.ingest.sha256_file", fail)
    with pytest.raises(EnvironmentProblem, match=r"portrait\.jpg: cannot be read: the network share is gone"):
        ingest_archive(database, decoder, archive)
