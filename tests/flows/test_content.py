"""What is left out for its content is recorded with the reason, and comes along when it is asked for."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFont

from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from flows.summary import RunSummary
from storage.images import read_master
from tests.flows.conftest import PICTURES, picture

Run = Callable[..., RunSummary]


def page_of_text() -> Image.Image:
    """A typewritten page."""
    page = Image.new("L", (900, 1200), 236)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=22)
    for line in range(32):
        draw.text((90, 80 + 33 * line), "The harvest of that year was poor, and many left.", fill=40, font=font)
    return page


@pytest.fixture
def run(archive: Path, references: Path, tmp_path: Path) -> Run:
    page_of_text().save(archive / "letter.png")
    shutil.copy(PICTURES / "coffee.png", archive / "colour.png")
    paper = np.random.default_rng(0).normal(238, 2, (800, 600)).clip(0, 255).astype(np.uint8)
    with tifffile.TiffWriter(archive / "file.tif") as writer:
        for leaf in (np.asarray(picture("astronaut.png").convert("L")), paper):
            writer.write(leaf, compression="lzw", metadata=None)

    def once(**more: object) -> RunSummary:
        given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64, "device": "cpu"}
        return run_archive(run_settings({**given, **more}), SilentProgress())

    return once


def left_out(output: Path) -> dict[tuple[str, int], tuple[str, str]]:
    query = """SELECT path, page, error_type, message FROM colorization c JOIN item i ON i.id = c.item_id
        WHERE state = 'skipped' AND superseded_at IS NULL"""
    with sqlite3.connect(output / "provenance.db") as database:
        return {(path, page): (kind, message) for path, page, kind, message in database.execute(query)}


def test_only_photographs_are_colorized_by_default(run: Run, archive: Path, tmp_path: Path) -> None:
    summary = run()
    assert (summary.done, summary.left_out, summary.failures) == (4, 3, ())
    found = left_out(tmp_path / "out")
    assert {key: kind for key, (kind, _) in found.items()} == {
        ("letter.png", 1): "text",
        ("colour.png", 1): "colour",
        ("file.tif", 2): "blank",
    }
    assert found["file.tif", 2][1].startswith("file.tif, page 2: the page or frame is empty; run with --colorize-all")
    with tifffile.TiffFile(archive / "file.tif") as master, tifffile.TiffFile(tmp_path / "out" / "file.tif") as copy:
        assert [page.shape for page in copy.pages] == [(*master.pages[0].shape, 3), master.pages[1].shape]
        strips = [[*page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts)]
                  for page in (master.pages[1], copy.pages[1])]  # fmt: skip
        assert [data for data, *_ in strips[0]] == [data for data, *_ in strips[1]]  # not compressed anew
    again = run()
    assert (again.run_id, again.left_out) == (None, 3)


def test_all_of_it_is_colorized_when_asked(run: Run, tmp_path: Path) -> None:
    run()
    summary = run(colorize_all=True)
    assert (summary.done, summary.finished_before) == (4, 3)  # the letter, the coffee, and both leaves of the file
    assert not left_out(tmp_path / "out")
    assert read_master(tmp_path / "out" / "letter.png.tif").pixels.ndim == 3
    assert run().run_id is None  # what was asked for once stays done
