"""The review in a real browser, over a real run: keys, clicks, and what they leave in the database and on disk."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from storage.database import audit, events, open_database, sqlite_url
from storage.fixity import sha256_file
from tests.flows.conftest import CommandLine, needs_program, picture
from tests.flows.documents import leaves, write_pdf
from tests.flows.film.films import encode

REVIEW = [sys.executable, "-m", "flows.cli", "review"]
WAIT = 120_000  # milliseconds for what computes

# a page whose script has not run yet knows no keys
TITLE = "document.readyState === 'complete' && document.querySelector('h1')?.textContent"
PICTURES = (
    "document.readyState === 'complete'"
    " && [...document.querySelectorAll('#stage img[src]')].every(one => one.naturalWidth)"
)

Serve = Callable[..., "Server"]


class Server:
    """`review serve` as the shell starts it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        self.address = process.stdout.readline().strip()
        assert self.address, process.stderr.read() if process.stderr else ""

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(timeout=60)


@pytest.fixture
def serve(environment: Mapping[str, str]) -> Iterator[Serve]:
    """Start a server; it ends with the test in any case."""
    started: list[subprocess.Popen[str]] = []

    def start(output: Path, *arguments: object) -> Server:
        line = [*REVIEW, "serve", "--output", output, "--device", "cpu"]
        process = subprocess.Popen(
            [*map(str, line), "--reviewer", "reviewer 1", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )
        started.append(process)
        return Server(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def browser() -> Iterator[Any]:
    """A real Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=needs_program("chromium"), args=["--no-sandbox"])
        with closing(chromium):
            yield chromium


def open_page(browser: Any, address: str, errors: list[str], **options: Any) -> Any:
    page = browser.new_page(**options)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    return page


@pytest.fixture
def output(tmp_path: Path, archive: Path, references: Path, command: CommandLine) -> Path:
    """Three photographs, colorized small."""
    folder = tmp_path / "out"
    ran = command("run", archive, "--references", references, "--output", folder, "--size", 64, "--no-prefect")
    assert ran.returncode == 0, ran.stderr
    return folder


def wait_until(page: Any, script: str, value: object = True) -> None:
    """Wait until a script gives a value: the page's own rules forbid the waiting that evaluates text in it."""
    from playwright.sync_api import Error

    deadline, found = time.monotonic() + 60, None
    while found != value:
        assert time.monotonic() < deadline, f"{script} did not become {value} but {found}"
        page.wait_for_timeout(50)
        try:
            found = page.evaluate(script)
        except Error as error:  # the page is just being left for another one
            found = error.message


def items_of(output: Path) -> dict[str, dict[str, Any]]:
    """What counts, by path."""
    with open_database(sqlite_url(output / "provenance.db"), create=False) as database:
        rows = audit.rows(database, "audit_item")
    return {str(row["path"]): row for row in rows if row["superseded_at"] is None}


def shown(page: Any, name: str) -> np.ndarray:
    """The part of the screen that an element takes."""
    from io import BytesIO

    return np.asarray(Image.open(BytesIO(page.locator(name).screenshot())).convert("RGB"), np.int16)


def colourfulness(pixels: np.ndarray) -> float:
    return float((pixels.max(axis=-1) - pixels.min(axis=-1)).mean())


def test_a_review_from_first_to_last(output: Path, browser: Any, serve: Serve) -> None:
    server, errors = serve(output), []
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?key=[\w-]{20,}", server.address)
    page = open_page(browser, server.address, errors, viewport={"width": 1300, "height": 900})
    assert "key=" not in page.url
    assert page.locator(".card").count() == 3
    page.click("#begin")
    order = sorted(items_of(output).values(), key=lambda row: row["confidence"])
    names = [str(row["path"]) for row in order]
    wait_until(page, TITLE, names[0])

    # the slider, by key and by pointer: all of it grey, all of it in colour
    wait_until(page, PICTURES)
    half = colourfulness(shown(page, "#stage"))
    page.keyboard.press("g")
    assert colourfulness(shown(page, "#stage")) < half / 4
    page.keyboard.press("g")
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"], box["y"] + 30)
    page.mouse.up()
    assert page.input_value("#cut") == "0"
    assert colourfulness(shown(page, "#stage")) > half * 1.3
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert page.input_value("#cut") == "100"

    # the confidence map over the scan
    page.keyboard.press("c")
    page.wait_for_selector("#map:not([hidden])", timeout=WAIT)
    assert page.evaluate("document.getElementById('map').naturalWidth") > 0
    assert page.locator("#legend").is_visible()
    page.keyboard.press("c")
    assert not page.locator("#map").is_visible()

    # approved by key: the next one comes
    page.keyboard.press("a")
    wait_until(page, TITLE, names[1])
    assert items_of(output)[names[0]]["review"] == "approved"

    # rejected: a reason is asked for
    page.keyboard.press("r")
    assert "Say why" in page.locator("#notice").inner_text()
    page.keyboard.type("the art is red")  # a and r are letters here
    page.keyboard.press("Enter")
    wait_until(page, TITLE, names[2])
    assert items_of(output)[names[1]]["review"] == "rejected"

    # another reference: colorized anew, the page goes on to the new result, the old one is kept
    before = items_of(output)[names[2]]
    copy = output / str(before["output_path"])
    old_bytes, old_address = copy.read_bytes(), page.url
    page.fill("#reason", "other colours")
    page.locator("#reason").press("Escape")
    other = page.locator(".candidate:not([aria-current])").first
    other_name = other.get_attribute("title")
    page.keyboard.press(other.locator("kbd").inner_text())
    page.wait_for_selector("#job:not([hidden])")
    page.wait_for_url(lambda url: url != old_address, timeout=WAIT)
    wait_until(page, TITLE, names[2])
    assert page.locator(".candidate[aria-current]").get_attribute("title") == other_name
    after = items_of(output)[names[2]]
    assert (before["reference_path"] != other_name, after["reference_path"]) == (True, other_name)
    assert (after["review"], after["reference_choice"]) == (None, "pinned")
    assert after["output_path"] == before["output_path"]
    assert copy.read_bytes() != old_bytes
    assert sha256_file(copy) == after["output_sha256"]
    with open_database(sqlite_url(output / "provenance.db"), create=False) as database:
        told = audit.rows(database, "audit_review")
        kept = [row for row in audit.rows(database, "audit_output") if row["kept_path"] is not None]
        assert [*events.check(database)] == []
    assert [(row["decision"], row["reviewer"], row["reason"]) for row in told] == [
        ("replaced", "reviewer 1", "other colours"),
        ("rejected", "reviewer 1", "the art is red"),
        ("approved", "reviewer 1", None),
    ]
    assert (output / str(kept[0]["kept_path"])).read_bytes() == old_bytes
    page.click("#record summary")
    assert "replaced by reviewer 1" in " ".join(page.locator("#record").inner_text().split())

    # the last one: back to the list, where all is done; the page ends the server
    page.keyboard.press("a")
    page.wait_for_selector(".message")
    assert "Everything has been reviewed" in page.locator("main").inner_text()
    page.click("#stop")
    page.wait_for_selector("text=has ended")
    assert server.ended() == 0
    assert errors == []


def test_films_by_shots_and_documents_by_pages(
    tmp_path: Path, references: Path, command: CommandLine, browser: Any, serve: Serve
) -> None:
    archive, output = tmp_path / "archive", tmp_path / "out"
    archive.mkdir()
    parts = [np.asarray(picture(name, 160).convert("L").resize((160, 120))) for name in ("coffee.png", "chelsea.png")]
    encode([part for part in parts for _ in range(8)], archive / "two shots.mkv")
    write_pdf(archive / "book.pdf", leaves())
    line = ("run", archive, "--references", references, "--output", output, "--size", 64, "--no-prefect")
    ran = command(*line, "--pdf", "tiff")
    assert ran.returncode == 0, ran.stderr
    server, errors = serve(output), []
    film = open_page(browser, server.address, errors)
    film.click("text=two shots.mkv")
    film.wait_for_selector(".shots")
    film.click(".shots a:nth-of-type(2)")
    film.wait_for_selector(".shots a:nth-of-type(2)[aria-current]")
    assert film.locator("#show-map").count() == 0
    wait_until(film, PICTURES)
    second = shown(film, "#stage")
    old = film.url
    film.locator(".candidate:not([aria-current])").last.click()
    film.wait_for_url(lambda url: url != old, timeout=WAIT)
    assert "shot=2" in film.url
    wait_until(film, PICTURES)
    assert np.abs(shown(film, "#stage") - second).mean() > 1
    with open_database(sqlite_url(output / "provenance.db"), create=False) as database:
        (told,) = audit.rows(database, "audit_review")
        choices = {row["shot"]: row["reference_choice"] for row in audit.rows(database, "audit_shot", told["run_id"])}
        again = audit.rows(database, "audit_shot")
    assert (told["decision"], told["shot"]) == ("replaced", 2)
    assert choices == {1: "retrieved", 2: "retrieved"}
    latest = max(row["run_id"] for row in again)
    assert {row["shot"]: row["reference_choice"] for row in again if row["run_id"] == latest}[2] == "pinned"

    # pages: scan and copy show the same page
    for number in (1, 2):
        page = open_page(browser, server.address, errors)
        page.click(f"text=book.pdf, page {number}")
        page.wait_for_selector("#stage")
        wait_until(page, PICTURES)
        page.keyboard.press("g")
        scan = shown(page, "#stage").mean(axis=-1)
        page.keyboard.press("g")
        for _ in range(10):
            page.keyboard.press("ArrowLeft")
        colour = shown(page, "#stage").mean(axis=-1)
        assert np.corrcoef(scan.ravel(), colour.ravel())[0, 1] > 0.9
        page.close()
    assert errors == []


def test_damage_is_told_on_the_page_and_interrupting_ends_the_server(output: Path, browser: Any, serve: Serve) -> None:
    picture("rocket.jpg", 100).save(output / "cat.tif")
    server, errors = serve(output), []
    page = open_page(browser, server.address, errors, viewport={"width": 390, "height": 800})
    page.click("text=cat.tif")
    page.wait_for_selector(".stage .problem")
    assert "is not the file that is on record" in page.locator(".stage .problem").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out on a phone
    server.process.send_signal(signal.SIGINT)
    assert server.ended() == 130
    page.keyboard.press("a")
    page.wait_for_selector("#notice:not([hidden])")
    assert "does not answer" in page.locator("#notice").inner_text()
    assert items_of(output)["cat.tif"]["review"] is None


def test_another_reference_by_command(output: Path, environment: Mapping[str, str]) -> None:
    before, copy = items_of(output)["cat.tif"], (output / "cat.tif").read_bytes()
    line = [*REVIEW, "reference", "cat.tif", "#2", "--output", str(output)]
    variables = {**environment, "ARCHIVE_COLORIZER_REVIEWER": "reviewer 3"}
    ran = subprocess.run(
        [*line, "--device", "cpu"], capture_output=True, text=True, timeout=240, env=variables, check=False
    )
    assert ran.returncode == 0, ran.stderr
    after = items_of(output)["cat.tif"]
    assert ran.stdout == f"cat.tif: colorized again from {after['reference_path']}, run {after['run_id']}\n"
    assert after["reference_path"] != before["reference_path"]
    assert (output / "cat.tif").read_bytes() != copy
    with open_database(sqlite_url(output / "provenance.db"), create=False) as database:
        (told,) = audit.rows(database, "audit_review")
    assert (told["decision"], told["reviewer"]) == ("replaced", "reviewer 3")
    assert told["other_reference_path"] == after["reference_path"]


def test_one_port_for_one_server(output: Path, serve: Serve) -> None:
    first = serve(output)
    port = re.findall(r":(\d+)/", first.address)[0]
    line = [*REVIEW, "serve", "--output", str(output), "--port", port]
    second = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 3
    assert f"port {port}" in second.stderr
    first.process.send_signal(signal.SIGTERM)
    assert first.ended() == 130
