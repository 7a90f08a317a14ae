"""A bag holds what counts, as it is on record, and everything that tells where it comes from."""

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bagit
import pytest
from PIL import Image

from flows.errors import ExitCode, UsageError
from flows.exports.bag import export_bag
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from storage.database import audit, colorizations, open_database, reviews, sqlite_url
from storage.fixity import sha256_file
from storage.paths import path_to_text, text_to_path
from tests.flows.conftest import picture
from tests.flows.exports.exported_archive import Colorized
from tests.storage.exports.schemas import NAMES, read_premis, texts

PHOTOGRAPH = "album & more/Tässchen.jpg"


def payload(bag: Path, folder: str) -> set[str]:
    """Files below a folder of the payload, as the bag's manifest has them."""
    names = bagit.Bag(str(bag)).payload_entries()
    return {name.removeprefix(f"data/{folder}/") for name in names if name.startswith(f"data/{folder}/")}


def outputs(colorized: Colorized) -> dict[str, str]:
    """Path and digest of what is on record as made."""
    rows = audit.rows(colorized.database, "audit_output")
    return {str(row["output_path"]): str(row["output_sha256"]) for row in rows}


@contextmanager
def changed(path: Path) -> Iterator[None]:
    """One byte is another one, for a while."""
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        yield
    finally:
        path.write_bytes(before)


def test_copies_references_and_records(colorized: Colorized, tmp_path: Path) -> None:
    target = tmp_path / "bags" / "bag"
    report = export_bag(
        colorized.database, colorized.output_root, target, organization="Archive of glass", identifier="glass-7"
    )
    assert (report.exit_code, report.failures) == (ExitCode.DONE, ())
    bag = bagit.Bag(str(target))
    bag.validate()
    assert report.written == len(bag.payload_entries())
    assert (bag.info["Source-Organization"], bag.info["External-Identifier"]) == ("Archive of glass", "glass-7")
    assert payload(target, "colorized") == set(outputs(colorized))
    for path, sha256 in outputs(colorized).items():
        assert bag.entries[f"data/colorized/{path}"]["sha256"] == sha256
    references = payload(target, "references")
    assert references
    assert references <= {path.name for path in colorized.references.iterdir()}
    assert payload(target, "sources") == set()
    assert payload(target, "provenance") == {
        "premis.xml",
        "audit_item.csv",
        "audit_output.csv",
        "audit_event.csv",
        "audit_review.csv",
    }
    for view in ("audit_item", "audit_output"):
        with (target / "data" / "provenance" / f"{view}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == audit.columns(view)
        assert len(rows) == len(audit.rows(colorized.database, view))


def test_premis_says_where_each_file_is_in_the_bag(colorized: Colorized, tmp_path: Path) -> None:
    target = tmp_path / "bag"
    export_bag(colorized.database, colorized.output_root, target, with_sources=True)
    document = read_premis(target / "data" / "provenance" / "premis.xml")
    files = document.xpath("//p:object[@xsi:type='file']", namespaces=NAMES)
    for file in files:
        (place,), (digest,) = (texts(file, f".//p:{name}") for name in ("contentLocationValue", "messageDigest"))
        assert sha256_file(target / place) == digest
    assert len(files) == sum(len(payload(target, name)) for name in ("colorized", "sources", "references"))


def test_sources_come_if_they_are_asked_for(colorized: Colorized, tmp_path: Path) -> None:
    report = export_bag(colorized.database, colorized.output_root, tmp_path / "bag", with_sources=True)
    assert report.exit_code is ExitCode.DONE
    done = {row["path"] for row in audit.rows(colorized.database, "audit_item") if row["state"] == "done"}
    assert payload(tmp_path / "bag", "sources") == done
    assert {PHOTOGRAPH, "letters.pdf"} <= done
    content = (tmp_path / "bag" / "data" / "sources" / PHOTOGRAPH).read_bytes()
    assert content == (colorized.archive / PHOTOGRAPH).read_bytes()


def test_a_file_that_was_changed_is_left_out_and_listed(colorized: Colorized, tmp_path: Path) -> None:
    copy, source = colorized.output / "letters.pdf", colorized.archive / PHOTOGRAPH
    with changed(copy), changed(source):
        report = export_bag(colorized.database, colorized.output_root, tmp_path / "bag", with_sources=True)
    assert report.exit_code is ExitCode.ITEMS_FAILED
    assert {failure.file for failure in report.failures} == {str(copy), str(source)}
    assert all("not the file on record" in failure.reason for failure in report.failures)
    bagit.Bag(str(tmp_path / "bag")).validate()
    assert payload(tmp_path / "bag", "colorized") == set(outputs(colorized)) - {"letters.pdf"}
    assert PHOTOGRAPH not in payload(tmp_path / "bag", "sources")
    document = read_premis(tmp_path / "bag" / "data" / "provenance" / "premis.xml")
    places = texts(document, "//p:contentLocationValue")
    assert "data/colorized/letters.pdf" not in places
    (event,) = audit.rows(colorized.database, "audit_event", limit=1)
    assert (event["type"], event["outcome"]) == ("exported", "with failures")
    assert str(event["message"]).endswith(sha256_file(tmp_path / "bag" / "manifest-sha256.txt"))


def test_what_was_rejected_is_left_out(colorized: Colorized, tmp_path: Path) -> None:
    database, root = colorized.database, colorized.output_root
    (row,) = [row for row in colorizations.find(database, root, PHOTOGRAPH) if row.state == "done"]
    reviews.decide(database, row.id, "rejected", reviewer="reviewer 1", reason="too red")
    export_bag(database, root, tmp_path / "bag")
    export_bag(database, root, tmp_path / "all", with_rejected=True)
    rejected = {row.output_path, *(copy.output_path for copy in row.copies)}
    assert payload(tmp_path / "bag", "colorized") == set(outputs(colorized)) - rejected
    assert payload(tmp_path / "all", "colorized") == set(outputs(colorized))
    with (tmp_path / "bag" / "data" / "provenance" / "audit_review.csv").open(encoding="utf-8", newline="") as file:
        assert [(one["decision"], one["reason"]) for one in csv.DictReader(file)] == [("rejected", "too red")]


def test_places_where_no_bag_may_be(colorized: Colorized, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    (tmp_path / "link").symlink_to(colorized.archive)
    before = sorted(path for root in (colorized.archive, colorized.output) for path in root.rglob("*"))
    for place, reason in {
        colorized.output / "bag": "one in the other",
        colorized.archive / "new" / "bag": "one in the other",
        colorized.references / "bag": "one in the other",
        tmp_path / "link" / "bag": "one in the other",
        full: "not empty",
        full / "file": "not a folder",
        tmp_path / "link": "not a folder",
    }.items():
        with pytest.raises(UsageError, match=reason):
            export_bag(colorized.database, colorized.output_root, place)
    assert before == sorted(path for root in (colorized.archive, colorized.output) for path in root.rglob("*"))


def test_nothing_to_export(colorized: Colorized, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing that counts"):
        export_bag(colorized.database, colorized.output_root, tmp_path / "bag", 99)
    with pytest.raises(UsageError, match="--output"):
        export_bag(colorized.database, "/elsewhere", tmp_path / "bag")
    assert not (tmp_path / "bag").exists()


def test_hard_names_of_a_real_archive(tmp_path: Path, references: Path) -> None:
    archive, output = tmp_path / "archive", tmp_path / "out"
    names = [b"line\nbreak 100%.jpg", b"a%0Ab/latin \xfc.jpg"]
    for name in names:
        path = archive / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture("astronaut.png", 96).convert("L").save(tmp_path / "plain.jpg")
        shutil.move(tmp_path / "plain.jpg", path)
    given = {"archive": archive, "references": references, "output": output, "size": 64, "device": "cpu"}
    assert run_archive(run_settings({**given, "colorize_all": True}), SilentProgress()).done == 2
    with open_database(sqlite_url(output / "provenance.db")) as database:
        report = export_bag(database, path_to_text(output), tmp_path / "bag", with_sources=True)
    assert not report.failures
    bagit.Bag(str(tmp_path / "bag")).validate()
    assert {os.fsencode(text_to_path(name)) for name in payload(tmp_path / "bag", "sources")} == set(names)
    for name in payload(tmp_path / "bag", "colorized"):
        copy = output / text_to_path(name)
        assert copy.read_bytes() == (tmp_path / "bag" / "data" / "colorized" / name).read_bytes()
        Image.open(copy).verify()
