"""Documents: a page is an item, the copy a document; what was cut off goes on, and one bad page costs the copy only."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import tifffile
from PIL import Image

from flows.documents.workfolder import WORK_FOLDER
from flows.errors import Interrupted
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from flows.summary import RunSummary
from sscn import Colorizer
from sscn.colour import luminance
from storage.fixity import sha256_file
from storage.images import read_master
from storage.masters import read_master as read_page
from tests.flows.conftest import CommandLine, tree_digests
from tests.flows.documents import leaves, write_pdf, write_tiff

Run = Callable[..., RunSummary]
Rows = list[dict[str, object]]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(documents: Path, references: Path, output: Path) -> Run:
    def once(**more: object) -> RunSummary:
        given = {"archive": documents, "references": references, "output": output, "size": 64, "device": "cpu"}
        return run_archive(run_settings({**given, "colorize_all": True, **more}), SilentProgress())

    return once


def items(output: Path) -> Rows:
    """What counts of every page, in their order."""
    query = """SELECT i.path, i.kind, i.page, c.state, c.error_type, c.message, c.output_path, c.output_sha256,
        c.output_format, c.bit_depth, c.source_sha256, c.id FROM colorization c JOIN item i ON i.id = c.item_id
        WHERE c.superseded_at IS NULL ORDER BY i.path, i.page"""
    with sqlite3.connect(output / "provenance.db") as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


@pytest.fixture
def colorized(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what the network was given."""
    shapes: list[tuple[int, ...]] = []
    real = Colorizer.predict

    def predict(self: Colorizer, target, reference, **encoding):  # type: ignore[no-untyped-def]
        shapes.append(target.shape)
        return real(self, target, reference, **encoding)

    monkeypatch.setattr(Colorizer, "predict", predict)
    return shapes


def test_a_tiff_of_several_pages_becomes_one(documents: Path, output: Path, run: Run) -> None:
    pages = leaves()
    write_tiff(documents / "akte.tif", pages)
    before = tree_digests(documents)
    summary = run()
    assert (summary.items, summary.done, summary.failures) == (3, 3, ())
    assert tree_digests(documents) == before
    copy = output / "akte.tif"
    rows = items(output)
    assert [(row["kind"], row["page"], row["state"], row["bit_depth"]) for row in rows] == [
        ("page", 1, "done", 8),
        ("page", 2, "done", 16),
        ("page", 3, "done", 8),
    ]
    assert {(row["output_path"], row["output_sha256"], row["output_format"]) for row in rows} == {
        ("akte.tif", sha256_file(copy), "tiff")
    }
    for number, page in enumerate(pages, start=1):
        found = read_master(copy, page=number)
        assert found.facts.pages == 3
        assert found.pixels.dtype == page.dtype
        assert np.abs(luminance(found.pixels) - luminance(page)).max() <= (0.05 if page.dtype == np.uint16 else 0.5)
        assert (found.metadata.description, found.metadata.ppi) == (f"leaf {number}", (200.0, 200.0))
        assert b"compositeWithTrainedAlgorithmicMedia" in (found.metadata.xmp or b"")
    assert not list((output / WORK_FOLDER).glob("*"))
    again = run()
    assert (again.finished_before, again.pending, again.run_id) == (3, 0, None)


def test_a_pdf_keeps_its_text_and_its_pages(documents: Path, output: Path, run: Run) -> None:
    write_pdf(documents / "akte.pdf", leaves())
    summary = run()
    assert (summary.items, summary.done, summary.left_out, summary.failures) == (4, 3, 1, ())
    rows = items(output)
    assert [(row["state"], row["error_type"]) for row in rows] == [("done", None)] * 3 + [("skipped", "no_scan")]
    master, copy = (pypdfium2.PdfDocument(folder / "akte.pdf") for folder in (documents, output))
    assert len(copy) == len(master) == 4
    for number in range(4):
        one, other = master[number], copy[number]
        assert one.get_size() == other.get_size()
        assert one.get_textpage().get_text_bounded() == other.get_textpage().get_text_bounded()
        if number < 3:
            shown = np.asarray(other.render(scale=1).to_pil().convert("RGB"), int)
            assert np.ptp(shown, axis=2).mean() > 2, "the page has no colour"
            before, after = (read_page(folder / "akte.pdf", page=number + 1) for folder in (documents, output))
            assert before.samples.shape[:2] == after.samples.shape[:2]
            assert np.abs(luminance(before.pixels) - luminance(after.pixels)).mean() < 1.5
    assert run().run_id is None


def test_a_pdf_may_become_a_tiff_of_its_pages(documents: Path, output: Path, run: Run) -> None:
    pages = leaves()
    write_pdf(documents / "akte.pdf", pages)
    assert run(pdf="tiff").done == 3
    assert not (output / "akte.pdf").exists()
    with tifffile.TiffFile(output / "akte.pdf.tif") as copy:
        assert [page.shape for page in copy.pages] == [(*page.shape, 3) for page in pages]
    assert "1 of the document's pages are not in the copy" in str(items(output)[0]["message"])


def test_a_page_that_cannot_be_read_costs_the_copy(documents: Path, output: Path, run: Run) -> None:
    write_tiff(documents / "akte.tif", leaves())
    with tifffile.TiffFile(documents / "akte.tif") as file:
        offset, count = file.pages[1].dataoffsets[2], file.pages[1].databytecounts[2]
    content = bytearray((documents / "akte.tif").read_bytes())
    content[offset : offset + count] = bytes(count)
    (documents / "akte.tif").write_bytes(content)
    summary = run(access="jpeg:100")
    assert (summary.done, summary.failed) == (0, 3)
    assert {path.name for path in output.iterdir() if path.is_file()} == {"provenance.db"}
    rows = items(output)
    assert [row["error_type"] for row in rows][::2] == ["other_page", "other_page"]
    assert rows[1]["error_type"] in ("truncated", "unreadable")
    assert "page 2 could not be colorized" in str(rows[0]["message"])
    assert [failure.path for failure in summary.failures] == [f"akte.tif, page {number}" for number in (1, 2, 3)]


def test_what_was_cut_off_goes_on_with_the_page_that_is_missing(
    documents: Path, output: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiff(documents / "akte.tif", leaves())
    real, calls = Colorizer.predict, []

    def predict(self: Colorizer, target, reference, **encoding):  # type: ignore[no-untyped-def]
        calls.append(target.shape)
        if len(calls) == 3:
            raise Interrupted
        return real(self, target, reference, **encoding)

    monkeypatch.setattr(Colorizer, "predict", predict)
    with pytest.raises(Interrupted):
        run(batch_size=1)
    assert not (output / "akte.tif").exists()
    assert len(list((output / WORK_FOLDER).rglob("page-*.json"))) == 2
    (spoilt,) = (output / WORK_FOLDER).rglob("page-00001.tif")
    spoilt.write_bytes(spoilt.read_bytes()[:-1])  # a page that is not as it was recorded is made again
    summary = run(batch_size=1)
    assert summary.done == 3
    assert calls[3:] == [leaves()[0].shape, leaves()[2].shape]
    assert read_master(output / "akte.tif").facts.pages == 3
    for row in items(output):
        for kind in ("grey", "colour"):
            assert list(output.glob(f"gallery/run-2/thumbnails/*-{kind}.jpg")), row
    assert not list((output / WORK_FOLDER).glob("*"))


def test_access_copies_are_made_of_every_page(documents: Path, output: Path, run: Run, command: CommandLine) -> None:
    write_tiff(documents / "akte.tif", leaves())
    Image.fromarray(leaves()[0]).save(documents / "foto.jpg")
    assert run(format="tiff,jp2", access="jpeg:100").done == 4
    made = {path.name for path in output.iterdir() if path.is_file()} - {"provenance.db"}
    pages = {f"akte.tif.page-000{number}.jpg" for number in (1, 2, 3)}
    assert made == {"akte.tif", "foto.jpg.tif", "foto.jpg.jp2", "foto.jpg"} | pages
    for name in pages | {"foto.jpg"}:
        with Image.open(output / name) as shown:
            assert max(shown.size) == 100
            assert shown.mode == "RGB"
    assert np.array_equal(read_master(output / "foto.jpg.jp2").pixels, read_master(output / "foto.jpg.tif").pixels)
    listed = command("verify", "--output", output)
    assert listed.returncode == 0, listed.stderr
    (output / "akte.tif.page-0002.jpg").write_bytes(b"not as it was")
    changed = json.loads(command("verify", "--output", output, "--format", "json").stdout)
    assert [(row["what"], Path(row["path"]).name) for row in changed] == [("output", "akte.tif.page-0002.jpg")]


def test_the_same_document_again_gives_the_same_bytes(
    documents: Path, output: Path, run: Run, colorized: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiff(documents / "akte.tif", leaves())
    write_pdf(documents / "akte.pdf", leaves(), text_page=False)
    run()
    pixels = [read_page(output / name, page=page).pixels for name in ("akte.tif", "akte.pdf") for page in (1, 2, 3)]
    for name in ("akte.tif", "akte.pdf"):
        (output / name).unlink()
    run()
    again = [read_page(output / name, page=page).pixels for name in ("akte.tif", "akte.pdf") for page in (1, 2, 3)]
    assert all(np.array_equal(one, other) for one, other in zip(pixels, again, strict=True))
    assert set(Counter(colorized).values()) == {4}
