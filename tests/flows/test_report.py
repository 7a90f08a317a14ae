"""The gallery: whole without network or script, everything escaped, readable in a browser."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.report.gallery import gallery_folder, write_gallery
from flows.report.thumbnails import LONG_SIDE, ThumbnailFolder, write_thumbnail
from storage.database.records import Candidate, RunColorization, RunCounts, StoredRun
from tests.flows.conftest import CommandLine, needs_program

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stored_run(output: Path) -> StoredRun:
    return StoredRun(
        id=7,
        flow_run_id=None,
        started_at=WHEN,
        ended_at=WHEN,
        seconds=12.5,
        state="completed_with_failures",
        archive="/archive/<b>",
        output_root=str(output),
        references_root="/references",
        counts=RunCounts(3, 2, 1, 0),
        code_version="1",
        weights_sha256="ab" * 32,
        index_version=None,
        device="cpu",
        precision="float32",
        hostname="host",
        pid=1,
        library_versions={},
        parameters={"size": 512},
        message=None,
    )


def colorization(number: int, state: str = "done", path: str | None = None) -> RunColorization:
    done = state == "done"
    name = path or f"photo {number:05}.jpg"
    return RunColorization(
        id=number,
        run_id=7,
        item_id=number,
        archive="/archive",
        path=name,
        page=1,
        kind="photograph",
        state=state,  # type: ignore[arg-type]
        request_key=None,
        source_sha256="cd" * 32,
        reference_id=1 if done else None,
        reference_library="/references",
        reference_path="meadow & sky.jpg" if done else None,
        reference_sha256="ef" * 32,
        reference_score=0.75,
        reference_rank=1,
        output_root="/out",
        output_path=f"{name}.tif" if done else None,
        output_sha256="01" * 32,
        output_bytes=10,
        output_format="tiff",
        width=100,
        height=50,
        bit_depth=16,
        weights_sha256=None,
        index_version=None,
        device=None,
        precision=None,
        confidence=0.5,
        seconds=1.25,
        peak_memory_bytes=None,
        started_at=None,
        created_at=WHEN,
        stage=None if done else "read",
        error_type=None if done else "truncated",
        message=None if done else f"{name} is cut off <here>",
        superseded_at=None,
        candidates=(
            Candidate(
                reference_id=1,
                library="/references",
                path="meadow & sky.jpg",
                sha256=None,
                rank=1,
                score=0.75,
                chosen=True,
            ),
            Candidate(
                reference_id=2, library="/references", path="<sea>.jpg", sha256=None, rank=2, score=0.5, chosen=False
            ),
        ),
    )


def test_failures_come_first_and_everything_is_escaped(tmp_path: Path) -> None:
    rows = [colorization(1, path='"><script>alert(1)</script>.jpg'), colorization(2, "failed", "z<i>.jpg")]
    html = write_gallery(stored_run(tmp_path), rows, tmp_path).read_text()
    assert "<script" not in html
    assert "z&lt;i&gt;.jpg is cut off &lt;here&gt;" in html
    assert html.index("z&lt;i&gt;.jpg") < html.index("alert(1)")
    assert "/archive/&lt;b&gt;" in html
    assert "&lt;sea&gt;.jpg (0.500)" in html
    assert "machine-made" in html
    assert "http" not in html


def test_links_lead_to_the_copies_and_thumbnails(tmp_path: Path) -> None:
    thumbnails = ThumbnailFolder(gallery_folder(tmp_path, 7))
    write_thumbnail(thumbnails.grey(1), np.zeros((20, 30), np.uint8))
    page = write_gallery(stored_run(tmp_path), [colorization(1, path=r"ü 100%\xff?.jpg")], tmp_path)
    html = page.read_text()
    assert 'href="../../%C3%BC%20100%25%FF%3F.jpg.tif"' in html
    assert 'src="thumbnails/1-grey.jpg"' in html
    assert "1-colour.jpg" not in html


def test_ten_thousand_items_are_cut_into_pages(tmp_path: Path) -> None:
    rows = [colorization(number) for number in range(1, 10_001)]
    first = write_gallery(stored_run(tmp_path), rows, tmp_path)
    pages = sorted(first.parent.glob("*.html"))
    assert len(pages) == 50
    assert max(page.stat().st_size for page in pages) < 500_000
    assert 'href="page-50.html"' in first.read_text()
    assert "photo 10000.jpg" in (first.parent / "page-50.html").read_text()


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

    screenshot = tmp_path / "screenshot.png"
    chromium = [needs_program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    line = [*chromium, f"--user-data-dir={tmp_path}/profile", "--window-size=1400,2400", f"--screenshot={screenshot}"]
    subprocess.run([*line, (gallery / "index.html").as_uri()], capture_output=True, timeout=120, check=True)
    with Image.open(screenshot) as shown:
        pixels = np.asarray(shown.convert("HSV"))
    assert pixels.shape[:2] == (2400, 1400)
    # the coloured pictures of copies and references are on the page, not only text
    assert (pixels[..., 1] > 60).mean() > 0.02
