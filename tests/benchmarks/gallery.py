"""A gallery of many synthetic items: how long it takes to write, and how light it is in a browser.

    python -m tests.benchmarks.gallery --items 10000

Needs Chromium and the Python package playwright. Figures are printed, never asserted.
"""

import argparse
import os
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flows.report.evidence import Decision, Evidence, StageSeconds
from flows.report.gallery import gallery_folder, write_gallery
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from storage.database.records import RunColorization, RunCounts, StoredRun
from tests.flows.galleries import WHEN, colorization, stored_run

_REFERENCES = 300
_FOLDERS = ("harbour 1911", "portraits, glass plates", "Straßen und Plätze", "長崎 Nagasaki", "county fair")
_TO_FIRST_VIEW = """() => new Promise(resolve => {
  const look = () => document.querySelector('.card img, .problem p') ? requestAnimationFrame(() =>
    requestAnimationFrame(() => resolve(performance.now()))) : requestAnimationFrame(look);
  look();
})"""
_FILTER = """(text) => new Promise(resolve => {
  const field = document.querySelector('[name=text]');
  const start = performance.now();
  field.value = text;
  field.dispatchEvent(new Event('input', {bubbles: true}));
  const done = performance.now();
  requestAnimationFrame(() => requestAnimationFrame(() => resolve([done - start, performance.now() - start])));
})"""


def synthetic_run(output: Path, items: int) -> StoredRun:
    """A run that has ended."""
    return replace(stored_run(output), counts=RunCounts(items, items - items // 50, items // 50, 0))


def synthetic_rows(items: int, seed: int) -> list[RunColorization]:
    """Items of all kinds but films, with five candidates each; every fiftieth has failed."""
    rng = random.Random(seed)
    return [_row(number, rng) for number in range(1, items + 1)]


def _row(number: int, rng: random.Random) -> RunColorization:
    folder = f"{_FOLDERS[number % 5]}/box {number // 200:03}"
    if number % 50 == 0:
        return colorization(number, "failed", f"{folder}/plate {number:06}.tif")
    row = colorization(number, path=f"{folder}/plate {number:06}.tif")
    reference = rng.randint(1, _REFERENCES - 5)
    candidates = tuple(
        replace(row.candidates[0], reference_id=reference + rank, path=f"reference {reference + rank}.jpg", rank=rank)
        for rank in range(1, 6)
    )
    confidence = min(1.0, max(0.0, rng.gauss(0.6, 0.15)))
    row = replace(
        row,
        source_sha256=f"{rng.getrandbits(256):064x}",
        output_sha256=f"{rng.getrandbits(256):064x}",
        reference_id=reference + 1,
        reference_path=f"reference {reference + 1}.jpg",
        width=4000,
        height=3000 if number % 3 else 5500,
        confidence=confidence,
        match_confidence=confidence,
        low_match=confidence < 0.4,
        candidates=candidates,
    )
    if number % 10 == 1:
        return replace(row, kind="page", path=f"reports/report {number // 200}.pdf", page=number)
    return row


def link_thumbnails(folder: Path, items: int) -> None:
    """A few pictures, linked many times."""
    thumbnails = ThumbnailFolder(folder)
    rng = np.random.default_rng(7)
    made = []
    for number in range(8):
        small = rng.integers(40, 220, (6, 8, 3), dtype=np.uint8)
        pixels = np.kron(small, np.ones((60, 60, 1), np.uint8))
        path = folder / "thumbnails" / f"made-{number}.jpg"
        write_thumbnail(path, pixels)
        made.append(path)
    for number in range(1, items + 1):
        os.link(made[number % 8], thumbnails.grey(number))
        os.link(made[(number + 1) % 8], thumbnails.colour(number))
    for number in range(1, _REFERENCES + 1):
        os.link(made[number % 8], thumbnails.reference(number))


def measure_in_browser(page_file: Path, is_phone: bool) -> None:
    """Print what the page takes in headless Chromium."""
    from playwright.sync_api import sync_playwright

    size: Any = {"width": 390, "height": 844} if is_phone else {"width": 1600, "height": 1000}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport=size)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        page.goto(page_file.as_uri(), wait_until="commit")
        print(f"first view after {page.evaluate(_TO_FIRST_VIEW):.0f} ms")
        while "loading" in page.locator("#found").inner_text():
            page.wait_for_timeout(5)
        print(f"whole list after {page.evaluate('performance.now()'):.0f} ms")
        _print_memory(page, session, "at the start")
        for text in ("plate 00", "nagasaki 77", ""):
            script, painted = page.evaluate(_FILTER, text)
            found = page.locator("#found").inner_text()
            print(f"filter {text!r}: {script:.0f} ms of script, painted after {painted:.0f} ms; {found}")
        for order in ("confidence", "path", ""):
            begin = time.perf_counter()
            page.select_option("[name=order]", order)
            page.evaluate("new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
            print(f"order {order!r}: {1000 * (time.perf_counter() - begin):.0f} ms")
        height = page.evaluate("document.documentElement.scrollHeight")
        for step in range(1, 41):
            page.evaluate(f"window.scrollTo(0, {height * step // 40})")
            page.wait_for_timeout(50)
        page.wait_for_timeout(300)
        _print_memory(page, session, "after scrolling to the end in 40 steps")
        browser.close()


def _print_memory(page: Any, session: Any, when: str) -> None:
    session.send("HeapProfiler.collectGarbage")
    figures = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    elements = page.evaluate("document.querySelectorAll('*').length")
    print(
        f"{when}: {elements} elements in the page, {figures['Nodes']:.0f} nodes in all, "
        f"JS heap {figures['JSHeapUsedSize'] / 1e6:.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="folder where the gallery stays")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gallery-") as scratch:
        output = arguments.keep or Path(scratch)
        run, rows = synthetic_run(output, arguments.items), synthetic_rows(arguments.items, arguments.seed)
        folder = gallery_folder(output, run.id)
        link_thumbnails(folder, arguments.items)
        decisions = {row.id: (Decision("approved", "reviewer 1", None, WHEN),) for row in rows[::40]}
        stages = tuple(StageSeconds(name, arguments.items, 900.0, 0.09) for name in ("network", "read", "write"))
        start, processor = time.perf_counter(), time.process_time()
        page = write_gallery(run, rows, output, Evidence(stages, decisions))
        seconds, used = time.perf_counter() - start, time.process_time() - processor
        written = [path for path in folder.rglob("*") if path.suffix in (".html", ".js", ".css")]
        total = sum(path.stat().st_size for path in written) / 1e6
        print(
            f"{arguments.items} items: written in {seconds:.2f} s ({used:.2f} s of processor), {len(written)} files, "
            f"{total:.1f} MB; index.html {page.stat().st_size / 1e3:.0f} kB, load average {os.getloadavg()[0]:.1f}"
        )
        for is_phone in (False, True):
            print("phone" if is_phone else "wide window")
            measure_in_browser(page, is_phone)


if __name__ == "__main__":
    main()
