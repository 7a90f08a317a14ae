"""Signed copies of what a run made: signed, on record, and the outputs as they were."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c2pa import Reader

from flows.errors import EnvironmentProblem, UsageError
from flows.exports.c2pa import export_c2pa
from flows.exports.report import ExportReport
from storage.database import audit, colorizations, events, reviews
from storage.exports.c2pa_signing import check_copy
from storage.exports.media_types import media_type_of
from storage.fixity import sha256_file
from storage.masters import read_master
from tests.flows.conftest import tree_digests
from tests.flows.exports.exported_archive import Colorized
from tests.storage.exports.certificates import Signing, make_signing


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return make_signing(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "signed"


def export(colorized: Colorized, signing: Signing, target: Path, **changes: Any) -> ExportReport:
    return export_c2pa(colorized.database, colorized.output_root, target, signing.key, signing.chain, **changes)


def manifest_of(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, Reader(media_type_of(path), file) as reader:
        manifests = json.loads(reader.json())
    found: dict[str, Any] = manifests["manifests"][manifests["active_manifest"]]
    return found


def edited(manifest: dict[str, Any]) -> dict[str, Any]:
    actions: list[dict[str, Any]] = manifest["assertions"][0]["data"]["actions"]
    return next(one for one in actions if one["action"] == "c2pa.edited")


def exported(colorized: Colorized) -> list[dict[str, object]]:
    return [row for row in audit.rows(colorized.database, "audit_event") if row["type"] == events.EXPORTED]


def names(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_can_be_signed_is_signed_and_on_record(colorized: Colorized, signing: Signing, target: Path) -> None:
    before = tree_digests(colorized.output) | tree_digests(colorized.archive)
    report = export(colorized, signing, target)
    made = {str(row["output_path"]): row for row in audit.rows(colorized.database, "audit_output")}
    signed = {name for name in made if not name.endswith(".jp2")}
    assert set(names(target)) == signed
    assert report.written == report.objects == len(signed)
    assert {one.file for one in report.failures} == made.keys() - signed != set()
    assert all("image/jp2" in one.reason for one in report.failures)
    assert report.exit_code == 2
    assert tree_digests(colorized.output) | tree_digests(colorized.archive) == before
    for name in signed:
        assert check_copy(target / name) == []
        for page in (1, 2) if name.endswith(".pdf") else (1,):
            copy, output = read_master(target / name, page=page), read_master(colorized.output / name, page=page)
            assert np.array_equal(copy.pixels, output.pixels)
    told = {str(row["message"]): row for row in exported(colorized)}
    assert len(told) == len(signed)
    for name in signed:
        message = (
            f"C2PA signed copy {name}, SHA-256 {sha256_file(target / name)}, "
            f"certificate SHA-256 {signing.certificate_sha256}"
        )
        assert (told[message]["outcome"], told[message]["path"]) == ("signed", made[name]["path"])
    assert [*events.check(colorized.database)] == []


def test_a_signed_copy_tells_what_the_database_tells(colorized: Colorized, signing: Signing, target: Path) -> None:
    export(colorized, signing, target)
    (row,) = (one for one in audit.rows(colorized.database, "audit_output") if one["output_format"] == "pdf"
              and one["page"] == 1)  # fmt: skip
    manifest = manifest_of(target / str(row["output_path"]))
    ingredients = {(one["relationship"], one["title"], one["instance_id"]) for one in manifest["ingredients"]}
    assert ("parentOf", "letters.pdf", f"sha256:{row['source_sha256']}") in ingredients
    assert ("inputTo", row["reference_path"], f"sha256:{row['reference_sha256']}") in ingredients
    done = edited(manifest)
    assert done["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert done["softwareAgent"] == {"name": "archive-colorizer", "version": row["code_version"]}
    assert done["parameters"]["weights_sha256"] == row["weights_sha256"]
    assert done["parameters"]["network_size"] == 64
    assert done["parameters"]["low_match"] == 0.5
    assert str(colorized.archive.parent) not in json.dumps(manifest)


def test_again_it_goes_on_where_it_was(colorized: Colorized, signing: Signing, target: Path) -> None:
    first = export(colorized, signing, target)
    kept = tree_digests(target)
    missing = next(name for name in names(target) if name.endswith(".pdf"))
    (target / missing).unlink()
    second = export(colorized, signing, target)
    assert (second.written, second.objects) == (1, first.objects)
    again = tree_digests(target)
    assert again.keys() == kept.keys()
    assert all(again[name] == content for name, content in kept.items() if name != missing)
    assert check_copy(target / missing) == []


def test_files_that_are_there_and_are_no_signed_copies_are_left_alone(
    colorized: Colorized, signing: Signing, target: Path
) -> None:
    target.mkdir()
    (target / "letters.pdf").write_bytes(b"something else")
    report = export(colorized, signing, target)
    assert ("letters.pdf", "another file of this name is there already; name an empty folder") in {
        (one.file, one.reason) for one in report.failures
    }
    assert (target / "letters.pdf").read_bytes() == b"something else"


def test_an_output_that_was_changed_is_not_signed(colorized: Colorized, signing: Signing, target: Path) -> None:
    output = colorized.output / "letters.pdf"
    content = output.read_bytes()
    output.write_bytes(content + b"\n")
    try:
        report = export(colorized, signing, target)
        output.unlink()
        gone = export(colorized, signing, target)
    finally:
        output.write_bytes(content)
    reasons = [{one.file: one.reason for one in found.failures}["letters.pdf"] for found in (report, gone)]
    assert "not the file on record" in reasons[0]
    assert reasons[1] == "No such file or directory"
    assert not (target / "letters.pdf").exists()
    assert not any("letters.pdf," in str(row["message"]) for row in exported(colorized))


def test_what_was_rejected_is_left_out(colorized: Colorized, signing: Signing, target: Path) -> None:
    (page, *_) = colorizations.find(colorized.database, colorized.output_root, "letters.pdf", page=1)
    reviews.decide(colorized.database, page.id, "rejected", reviewer="reviewer 1")
    report = export(colorized, signing, target)
    assert "letters.pdf" not in set(names(target))
    assert any(note.endswith("were left out, as their results are rejected") for note in report.notes)
    reviews.decide(colorized.database, page.id, "approved", reviewer="reviewer 2")
    export(colorized, signing, target)
    assert "letters.pdf" in set(names(target))


def test_what_cannot_be_done_is_said_before_anything_is_written(
    colorized: Colorized, signing: Signing, target: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (target, {"algorithm": "ps256"}, "ps256 needs an RSA key"),
        (target, {"run_id": 7}, "by run 7"),
        (target, {"timestamp_url": "ftp://example.org"}, "http:// or https://"),
        (target, {"timestamp_url": "http://127.0.0.1:9/"}, r"127\.0\.0\.1:9"),
        (colorized.archive / "signed", {}, "archive"),
        (colorized.output / "signed", {}, "output folder"),
        (colorized.output, {}, "output folder"),
        (tmp_path / "file", {}, "is no folder"),
    ]
    before = tree_digests(colorized.output) | tree_digests(colorized.archive)
    for place, changes, message in cases:
        with pytest.raises(UsageError, match=message):
            export(colorized, signing, place, **changes)
    assert not target.exists()
    assert tree_digests(colorized.output) | tree_digests(colorized.archive) == before
    assert exported(colorized) == []


def test_without_the_library_the_message_says_how_to_get_it(
    colorized: Colorized, signing: Signing, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(EnvironmentProblem, match=r'pip install "archive-colorizer\[c2pa\]"'):
        export(colorized, signing, target)
