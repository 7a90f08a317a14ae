"""A run as IIIF: what a viewer is given is what is on record and in the files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import iiif_prezi3
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flows.errors import UsageError
from flows.exports.iiif import export_iiif
from flows.exports.iiif_work import LONG_SIDE
from flows.exports.report import ExportReport
from flows.settings import default_database
from storage.database import audit, colorizations, events, open_database, reviews
from storage.fixity import sha256_file
from storage.masters import read_master
from tests.flows.conftest import tree_digests
from tests.flows.documents import leaves, write_pdf
from tests.flows.exports.exported_archive import Colorized, colorize

BASE = "https://example.org/colorized"
CUP = "album & more/Tässchen.jpg"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "iiif"


def export(colorized: Colorized, target: Path, base_url: str = BASE, **changes: Any) -> ExportReport:
    return export_iiif(colorized.database, colorized.output_root, target, base_url, **changes)


def at(target: Path, address: str) -> Path:
    """The file that is served at an address."""
    assert address.startswith(f"{BASE}/")
    return target / address.removeprefix(f"{BASE}/")


def load(file: Path) -> dict[str, Any]:
    """A JSON file, and that the library reads the same."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    model = getattr(iiif_prezi3, content["type"])
    assert json.loads(model.model_validate(content).json(exclude_unset=True)) == content
    return content


def manifests(target: Path, content: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """All that can be reached from the collection."""
    for item in (content or load(target / "collection.json"))["items"]:
        found = load(at(target, item["id"]))
        assert (found["id"], found["label"]) == (item["id"], item["label"])
        if found["type"] == "Collection":
            yield from manifests(target, found)
        else:
            yield found


def of(target: Path, label: str) -> dict[str, Any]:
    return next(one for one in manifests(target) if one["label"] == {"none": [label]})


def bodies(canvas: dict[str, Any]) -> list[dict[str, Any]]:
    body: dict[str, Any] = canvas["items"][0]["items"][0]["body"]
    return [*body["items"]] if body["type"] == "Choice" else [body]


def told(thing: dict[str, Any]) -> dict[str, str]:
    return {one["label"]["en"][0]: one["value"]["none"][0] for one in thing["metadata"]}


def difference(shown: Path, pixels: NDArray[Any]) -> float:
    """The mean difference of levels, 0 to 255."""
    expected = (pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.float64)
    with Image.open(shown) as image:
        found = np.asarray(image, np.float64)
    return float(np.abs(found - expected).mean())


def test_everything_can_be_reached_and_is_there(colorized: Colorized, target: Path) -> None:
    before = tree_digests(colorized.output) | tree_digests(colorized.archive)
    report = export(colorized, target)
    found = list(manifests(target))
    canvases = [canvas for one in found for canvas in one["items"]]
    assert (report.objects, report.failures, report.files) == (len(canvases), (), (target / "collection.json",))
    served = {target / "collection.json"} | {at(target, one["id"]) for one in found}
    served |= {at(target, f"{BASE}/collections/{path.name}") for path in (target / "collections").iterdir()}
    for canvas in canvases:
        for image in (*bodies(canvas), *canvas["thumbnail"]):
            with Image.open(at(target, image["id"])) as opened:
                assert (opened.format, opened.size) == ("JPEG", (image["width"], image["height"]))
            served.add(at(target, image["id"]))
    assert {path for path in target.rglob("*") if path.is_file()} == served
    assert report.written == len(served)
    assert tree_digests(colorized.output) | tree_digests(colorized.archive) == before
    assert [path.name for path in target.parent.iterdir() if path.name.startswith(".")] == []


def test_the_folders_of_the_archive_are_collections(colorized: Colorized, target: Path) -> None:
    export(colorized, target)
    top = load(target / "collection.json")
    assert top["label"] == {"none": ["Glass plates"]}
    labels = [item["label"]["none"][0] for item in top["items"]]
    assert labels == ["Glass plates", "album & more"]
    export(colorized, target.with_name("named"), label="From glass")
    assert load(target.with_name("named") / "collection.json")["label"] == {"none": ["From glass"]}


def test_a_photograph_is_shown_grey_and_in_colour(colorized: Colorized, target: Path) -> None:
    export(colorized, target)
    manifest = of(target, "Tässchen.jpg")
    (canvas,) = manifest["items"]
    row = next(one for one in audit.rows(colorized.database, "audit_item") if one["path"] == CUP)
    master, output = read_master(colorized.archive / CUP), read_master(colorized.output / str(row["output_path"]))
    assert (canvas["width"], canvas["height"]) == (master.facts.width, master.facts.height)
    scan, colour = (at(target, body["id"]) for body in bodies(canvas))
    assert difference(scan, master.pixels) < 3
    assert difference(colour, output.pixels) < 4
    facts = told(canvas)
    assert facts["SHA-256 of the coloured file"] == row["output_sha256"]
    assert facts["SHA-256 of the scan"] == sha256_file(colorized.archive / CUP)
    assert facts["SHA-256 of the reference"] == row["reference_sha256"]
    assert facts["SHA-256 of the network's weights"] == row["weights_sha256"]
    assert facts["Confidence in the colours"] == f"{row['confidence']:.2f}"
    assert facts["Review"] == "nobody has reviewed it"
    statement = canvas["requiredStatement"]["value"]["en"][0]
    for part in ("archive-colorizer 0", row["weights_sha256"], row["reference_path"], row["reference_sha256"]):
        assert str(part) in statement


def test_what_the_scan_says_of_itself_is_shown(colorized: Colorized, target: Path) -> None:
    export(colorized, target)
    manifest = of(target, "Tässchen.jpg")
    assert manifest["summary"] == {"none": ["A cup of coffee"]}
    assert manifest["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert told(manifest)["Creator"] == "A photographer"
    assert told(manifest)["Path in the archive"] == CUP
    assert "rights" not in of(target, "letters.pdf")


def test_a_document_has_a_canvas_for_each_scan_coloured_or_not(colorized: Colorized, target: Path) -> None:
    export(colorized, target)
    canvases = of(target, "letters.pdf")["items"]
    pages = {
        row["page"]: row["state"]
        for row in audit.rows(colorized.database, "audit_item")
        if row["path"] == "letters.pdf"
    }
    assert [canvas["label"]["none"][0] for canvas in canvases] == ["1", "2", "3"]  # the fourth is text alone
    assert [len(bodies(canvas)) == 2 for canvas in canvases] == [pages[page] == "done" for page in (1, 2, 3)]
    for page in (number for number in (1, 2, 3) if pages[number] == "done"):
        output = read_master(colorized.output / "letters.pdf", page=page)
        assert difference(at(target, bodies(canvases[page - 1])[1]["id"]), output.pixels) < 4


def test_a_page_is_found_in_a_copy_that_has_the_coloured_pages_only(references: Path, tmp_path: Path) -> None:
    archive, output = tmp_path / "archive", tmp_path / "output"
    archive.mkdir()
    portrait, cup, text = leaves()
    write_pdf(archive / "letters.pdf", [text, portrait, cup])
    colorize(archive, references, output, "--pdf", "tiff")
    with open_database(default_database(output)) as database:
        pages = {row["page"]: row["state"] for row in audit.rows(database, "audit_item")}
        assert pages == {1: "skipped", 2: "done", 3: "done", 4: "skipped"}
        report = export_iiif(database, str(output), tmp_path / "iiif", BASE)
    assert report.failures == ()
    _, second, third = of(tmp_path / "iiif", "letters.pdf")["items"]
    for number, canvas in enumerate((second, third), start=1):
        made = read_master(output / "letters.pdf.tif", page=number)
        assert difference(at(tmp_path / "iiif", bodies(canvas)[1]["id"]), made.pixels) < 4


def test_what_was_decided_shows_and_not_by_whom(colorized: Colorized, target: Path) -> None:
    (cup,) = colorizations.find(colorized.database, colorized.output_root, CUP)
    (page,) = colorizations.find(colorized.database, colorized.output_root, "letters.pdf", page=1)
    reviews.decide(colorized.database, cup.id, "approved", reviewer="reviewer 1")
    reviews.decide(colorized.database, page.id, "rejected", reviewer="reviewer 1", reason="too blue")
    report = export(colorized, target)
    assert told(of(target, "Tässchen.jpg")["items"][0])["Review"].startswith("approved on ")
    first = of(target, "letters.pdf")["items"][0]
    assert len(bodies(first)) == 1
    assert "requiredStatement" not in first
    assert "1 are shown as scan only, as their results are rejected" in report.notes
    assert not any("reviewer 1" in path.read_text() for path in target.rglob("*.json"))


def test_large_scans_are_made_smaller_and_keep_their_canvas(colorized: Colorized, target: Path) -> None:
    """A scan in place of the one that was colorized is not shown, but the size of pictures is seen on its own."""
    from flows.exports.iiif_work import WorkExporter
    from storage.decoding import Decoder

    pixels = cv2.resize(read_master(colorized.archive / CUP).pixels, (7000, 4667))
    with Decoder() as decoder:
        shown = WorkExporter(colorized.database, decoder, target, BASE).picture(pixels, "large.jpg", LONG_SIDE)
    assert (shown.width, shown.height) == (LONG_SIDE, 2000)
    smaller = cv2.resize(pixels, (LONG_SIDE, 2000), interpolation=cv2.INTER_AREA)
    assert difference(target / "large.jpg", smaller) < 3


def test_files_that_are_not_as_recorded_are_not_shown(colorized: Colorized, target: Path) -> None:
    output, scan = colorized.output / "letters.pdf", colorized.archive / CUP
    contents = {file: file.read_bytes() for file in (output, scan)}
    Image.new("L", (20, 20)).save(scan)
    output.write_bytes(contents[output] + b"\n")
    try:
        report = export(colorized, target)
    finally:
        for file, content in contents.items():
            file.write_bytes(content)
    reasons = {one.file: one.reason for one in report.failures}
    assert "the scan is not the file on record" in reasons[CUP]
    assert "the output is not the file on record" in reasons["letters.pdf"]
    assert report.exit_code == 2
    assert {one["label"]["none"][0] for one in manifests(target)} == {"letters.pdf", "plate.tif"}
    assert all(len(bodies(canvas)) == 1 for canvas in of(target, "letters.pdf")["items"])


def test_it_is_on_record(colorized: Colorized, target: Path) -> None:
    export(colorized, target, run_id=1)
    (row, *_) = audit.rows(colorized.database, "audit_event")
    assert (row["type"], row["run_id"], row["outcome"]) == (events.EXPORTED, 1, "complete")
    assert str(row["message"]).endswith(sha256_file(target / "collection.json"))


@pytest.mark.parametrize("base_url", ["example.org", "ftp://example.org", "https://", "https://e.org/?a=b", ""])
def test_an_address_must_be_one(colorized: Colorized, target: Path, base_url: str) -> None:
    with pytest.raises(UsageError, match="no address to serve pictures at"):
        export(colorized, target, base_url)
    assert not target.exists()


def test_a_slash_at_the_end_of_the_address_is_no_difference(colorized: Colorized, target: Path) -> None:
    export(colorized, target, f"{BASE}/")
    assert load(target / "collection.json")["id"] == f"{BASE}/collection.json"


def test_the_folder_must_be_new_and_lie_apart(colorized: Colorized, target: Path) -> None:
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    before = tree_digests(colorized.output) | tree_digests(colorized.archive)
    for place, message in [
        (target, "is there already"),
        (colorized.archive / "iiif", "archive"),
        (colorized.output / "iiif", "output folder"),
    ]:
        with pytest.raises(UsageError, match=message):
            export(colorized, place)
    with pytest.raises(UsageError, match="by run 7"):
        export(colorized, target.with_name("new"), run_id=7)
    assert tree_digests(target) == {"mine.txt": b"mine"}
    assert tree_digests(colorized.output) | tree_digests(colorized.archive) == before
    assert not target.with_name("new").exists()
