"""Thumbnails, and `report`: the gallery of an earlier run made again, as a browser shows it."""

import subprocess
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.report.evidence import read_evidence
from flows.report.thumbnails import LONG_SIDE, write_thumbnail
from storage.database import colorizations, open_database, reviews
from tests.flows.conftest import CommandLine, needs_program


@pytest.mark.parametrize("pixels", [np.full((900, 600), 40_000, np.uint16), np.full((30, 70, 3), 155, np.uint8)])
def test_thumbnails(tmp_path: Path, pixels: np.ndarray) -> None:
    write_thumbnail(tmp_path / "new" / "small.jpg", pixels)
    with Image.open(tmp_path / "new" / "small.jpg") as image:
        assert max(image.size) == min(LONG_SIDE, max(pixels.shape[:2]))
        assert abs(int(np.asarray(image).mean()) - 155) <= 2
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["small.jpg"]


def test_report_rebuilds_the_gallery_and_a_browser_shows_it(
    tmp_path: Path, archive: Path, references: Path, command: CommandLine
) -> None:
    output = tmp_path / "out"
    (archive / "leer.jpg").touch()
    ran = command("run", archive, "--references", references, "--output", output, "--size", 128, "--no-prefect")
    assert ran.returncode == 2, ran.stderr
    gallery = output / "gallery" / "run-1"
    before = {path.name for path in gallery.rglob("*")}
    for path in sorted(gallery.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    answer = command("report", 1, "--output", output)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == str(gallery / "index.html")
    assert {path.name for path in gallery.rglob("*")} == before
    assert command("report", 9, "--output", output).returncode == 1

    with open_database(f"sqlite:///{output / 'provenance.db'}", create=False) as database:
        done = [row for row in colorizations.of_run(database, 1) if row.state == "done"]
        reviews.decide(database, done[0].id, "rejected", reviewer="reviewer 1", reason="first look")
        reviews.decide(database, done[0].id, "approved", reviewer="reviewer 1", reason="a second look")
        evidence = read_evidence(database, 1)
    counted = evidence.decision(done[0].id)
    assert counted is not None
    assert (counted.decision, counted.reason, counted.at.tzinfo) == ("approved", "a second look", UTC)
    assert evidence.decision(done[1].id) is None
    assert command("report", 1, "--output", output).returncode == 0
    html = (gallery / "index.html").read_text()
    assert "<strong>approved</strong> by reviewer 1" in html
    assert {stage.stage for stage in evidence.stages} >= {"read", "network", "write"}
    assert all(stage.seconds >= stage.median >= 0 for stage in evidence.stages)
    assert f"{evidence.stages[0].seconds:.1f} s ({evidence.stages[0].median:.3f} s)" in html

    screenshot = tmp_path / "screenshot.png"
    chromium = [needs_program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    line = [*chromium, f"--user-data-dir={tmp_path}/profile", "--window-size=1400,2400", f"--screenshot={screenshot}"]
    subprocess.run([*line, (gallery / "index.html").as_uri()], capture_output=True, timeout=120, check=True)
    with Image.open(screenshot) as shown:
        pixels = np.asarray(shown.convert("HSV"))
    assert pixels.shape[:2] == (2400, 1400)
    # the coloured pictures of copies and references are on the page, not only text
    assert (pixels[..., 1] > 60).mean() > 0.02
