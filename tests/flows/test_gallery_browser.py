"""The gallery in a browser, opened from its folder: slider, filters, parts of data loaded when they are seen."""

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.report.evidence import Decision, Evidence
from flows.report.gallery import gallery_folder, write_gallery
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from storage.database.records import RunColorization, RunCounts
from tests.flows.conftest import needs_program
from tests.flows.galleries import WHEN, colorization, film, stored_run

PHOTOGRAPHS = 1300
FAILED = 4
HOSTILE = "\"><img src=x onerror=alert(1)></script>\u2028&amp; ' <b>.jpg"
PAIRS = {(1, 0), (2, 0), *((2000, shot) for shot in range(1, 4))}
"""Items and shots with pictures."""


def items() -> list[RunColorization]:
    """Photographs whose confidence grows with their number, failures, a document and a film."""
    rows = [
        replace(colorization(n, path=f"box {n % 7}/photo {n:05}.jpg"), confidence=0.2 + n / 2000)
        for n in range(1, PHOTOGRAPHS + 1)
    ]
    rows[2] = replace(rows[2], path=HOSTILE, reference_path="<sea>.jpg", reference_id=2)
    rows[9] = replace(rows[9], low_match=True, match_confidence=0.1)
    rows += [colorization(1400 + n, "failed", f"broken {n}.jpg") for n in range(FAILED)]
    rows.append(colorization(1500, "skipped", "letter.jpg"))
    rows += [
        replace(colorization(1600 + n, path="report.pdf"), kind="page", page=n, confidence=0.95) for n in range(1, 6)
    ]
    return [*rows, film(2000)]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """First page of a gallery."""
    output = tmp_path_factory.mktemp("output")
    thumbnails = ThumbnailFolder(gallery_folder(output, 7))
    for item, shot in PAIRS:
        write_thumbnail(thumbnails.grey(item, shot), np.full((90, 120), 128, np.uint8))
        write_thumbnail(thumbnails.colour(item, shot), np.full((90, 120, 3), (200, 40, 40), np.uint8))
    write_thumbnail(thumbnails.reference(1), np.full((90, 60, 3), (20, 40, 200), np.uint8))
    rows = items()
    run = replace(stored_run(output), counts=RunCounts(len(rows), len(rows) - FAILED - 1, FAILED, 1))
    decisions = {20: (Decision("rejected", "reviewer 1", "the sky is green", WHEN),)}
    return write_gallery(run, rows, output, Evidence((), decisions))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    chromium = needs_program("chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


class Watched:
    """A page with all that it asked for, and what went wrong in it."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.page = browser.new_page(**({"viewport": {"width": 1300, "height": 900}} | options))
        self.requests: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.set_default_timeout(30_000)
        self.page.goto(address)

    def loaded(self, part: str) -> bool:
        """Whether a part of the data was asked for."""
        return any(part in request for request in self.requests)

    def until(self, expression: str) -> None:
        """Wait for what the page's own policy would not let playwright evaluate again and again."""
        end = time.monotonic() + 30
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            self.page.wait_for_timeout(20)

    def found(self) -> str:
        """What the page says it shows."""
        return str(self.page.locator("#found").inner_text())

    def names(self) -> list[str]:
        """What is in the page, from the top."""
        return [
            str(name) for name in self.page.locator("#list article").evaluate_all("all => all.map(e => e.ariaLabel)")
        ]


@pytest.fixture
def opened(browser: Any, gallery: Path) -> Iterator[Watched]:
    """The gallery, just opened; whatever a test does, nothing goes wrong and nothing comes from elsewhere."""
    watched = Watched(browser, gallery.as_uri())
    watched.page.wait_for_selector("#list article")
    yield watched
    assert watched.wrong == []
    assert [request for request in watched.requests if not request.startswith("file:")] == []
    watched.page.close()


def test_failures_stand_first_then_what_was_left_out_then_the_doubtful(opened: Watched) -> None:
    assert opened.names()[:6] == [
        *(f"broken {n}.jpg, failed" for n in range(FAILED)),
        "letter.jpg, left out",
        "box 3/photo 00010.jpg",
    ]
    opened.page.get_by_text("broken 0.jpg is cut off <here>").wait_for()
    opened.page.mouse.wheel(0, 900)
    opened.page.get_by_text("box 2/photo 00002.jpg").first.wait_for()
    names = opened.names()
    doubtful = names.index("box 3/photo 00010.jpg")
    assert names[doubtful + 1 : doubtful + 3] == ["box 1/photo 00001.jpg", "box 2/photo 00002.jpg"]
    assert opened.found().startswith("1,311 items: 1,306 colorized, 4 failed, 1 left out, 1 with a doubtful")


def test_only_what_is_seen_is_in_the_page_and_the_rest_comes_with_scrolling(opened: Watched) -> None:
    opened.until("document.querySelectorAll('.card details').length > 0")
    assert opened.loaded("items-0001.js")
    assert not opened.loaded("items-0002.js")
    assert not opened.loaded("items-0003.js")
    assert opened.page.locator("#static").count() == 0
    counts = [len(opened.names())]
    for _ in range(200):
        opened.page.mouse.wheel(0, 8000)
        opened.page.wait_for_timeout(20)
        counts.append(len(opened.names()))
        if "report.pdf, page 5" in opened.names():
            break
    opened.until("!document.querySelector('#list').innerText.includes('…')")
    assert opened.loaded("items-0003.js")
    assert max(counts) < 40
    assert opened.page.evaluate("document.querySelectorAll('#list *').length") < 2000


def test_the_same_rows_stay_in_view_when_one_scrolls_back(opened: Watched) -> None:
    for distance in (30_000, -29_000, 12_000):
        opened.page.mouse.wheel(0, distance)
        opened.page.wait_for_timeout(100)
    tops = opened.page.locator("#list article").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(r => [Math.round(r.top), Math.round(r.bottom)])"
    )
    assert any(top < 900 and bottom > 0 for top, bottom in tops)
    indexes = opened.page.locator("#list article").evaluate_all("all => all.map(e => Number(e.dataset.index))")
    assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))


def test_the_slider_moves_by_keys_and_by_hand(opened: Watched) -> None:
    opened.page.locator("[name=text]").fill("photo 00001")
    card = opened.page.locator("article")
    slider = card.get_by_role("slider")
    slider.scroll_into_view_if_needed()
    opened.until("[...document.images].every(image => image.complete)")
    clip = "e => getComputedStyle(e).clipPath"
    colour = card.locator("img.colour")
    assert colour.evaluate(clip) == "inset(0px 0px 0px 50%)"
    slider.focus()
    for _ in range(10):
        opened.page.keyboard.press("ArrowRight")
    assert colour.evaluate(clip) == "inset(0px 0px 0px 60%)"
    assert slider.get_attribute("aria-valuetext") == "60 percent grey"
    opened.page.keyboard.press("Home")
    assert colour.evaluate(clip) in ("inset(0px 0px 0px 0%)", "inset(0px)", "inset(0px 0px 0px)")
    box = slider.bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=5)
    opened.page.mouse.up()
    assert abs(float(slider.input_value()) - 80) <= 2
    grey, red = (_pixel(opened, box, place) for place in (0.4, 0.9))
    assert max(grey) - min(grey) < 12
    assert red[0] - red[1] > 100


def _pixel(opened: Watched, box: dict[str, float], place: float) -> tuple[int, ...]:
    from io import BytesIO

    from PIL import Image

    opened.page.mouse.move(0, 0)
    x, y = box["x"] + box["width"] * place, box["y"] + box["height"] * 0.25
    png = opened.page.screenshot(clip={"x": x, "y": y, "width": 4, "height": 4})
    with Image.open(BytesIO(png)) as image:
        return tuple(int(value) for value in np.asarray(image.convert("RGB")).mean(axis=(0, 1)))


def test_all_sliders_move_together(opened: Watched) -> None:
    opened.page.locator("[name=text]").fill("photo 0000")
    opened.page.locator("[name=split]").fill("100")
    values = opened.page.locator(".compare input").evaluate_all("all => all.map(e => e.value)")
    assert set(values) == {"100"}


TALL = {"width": 1300, "height": 4000}
"""A window that has all that a filter leaves in it."""


def test_filter_by_text_and_confidence_with_the_address(opened: Watched, browser: Any, gallery: Path) -> None:
    opened.page.get_by_label("Path contains").fill("BOX 3/photo")
    opened.page.get_by_label("Confidence below").fill("0.21")
    expected = ["box 3/photo 00010.jpg", "box 3/photo 00017.jpg"]
    assert opened.names() == expected
    assert opened.found().startswith("2 of 1,311 items: 2 colorized, 0 failed")
    address = opened.page.url
    assert "text=BOX+3%2Fphoto" in address
    assert "below=0.21" in address
    other = Watched(browser, address)
    other.page.wait_for_selector("#list article")
    assert other.names() == expected
    assert other.page.get_by_label("Path contains").input_value() == "BOX 3/photo"
    other.page.close()
    opened.page.get_by_role("button", name="Show all").click()
    assert opened.found().startswith("1,311 items")
    assert "#" not in opened.page.url


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"state": "skipped"}, ["letter.jpg, left out"]),
        ({"kind": "page"}, [f"report.pdf, page {n}" for n in range(1, 6)]),
        ({"kind": "film"}, [f"reel.mkv, shot {n}" for n in range(1, 4)]),
        ({"review": "rejected"}, ["box 6/photo 00020.jpg"]),
        ({"reference": "<SEA>", "kind": "photograph"}, [HOSTILE]),
        ({"reference": "<sea>", "kind": "film"}, ["reel.mkv, shot 1", "reel.mkv, shot 3"]),
        ({"state": "done", "order": "-confidence", "text": "photo 0130"}, ["box 5/photo 01300.jpg"]),
        ({"order": "path", "text": "photo 0000"}, [f"box {n}/photo 0000{n}.jpg" for n in (7, 8, 1, 9, 2, 4, 5, 6)]),
        ({"text": "no such file"}, []),
    ],
)
def test_each_filter(opened: Watched, fields: dict[str, str], names: list[str]) -> None:
    opened.page.set_viewport_size(TALL)
    for name, value in fields.items():
        field = opened.page.locator(f"[name={name}]")
        if field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    if fields.get("order") == "path":
        names = [name.replace("box 7", "box 0").replace("box 8", "box 1").replace("box 9", "box 2") for name in names]
        names.sort()
    assert opened.names() == names
    count = len({name.partition(", ")[0] for name in names}) if fields.get("kind") != "page" else 5
    assert opened.found().startswith(f"{count} of 1,311 items")


def test_filter_by_doubt_and_by_a_reference_of_a_card(opened: Watched) -> None:
    opened.page.set_viewport_size(TALL)
    opened.page.get_by_label("doubtful reference").check()
    assert opened.names() == ["box 3/photo 00010.jpg"]
    opened.page.get_by_role("button", name="Show all").click()
    opened.page.locator("article").get_by_role("button", name="<sea>.jpg").first.click()
    assert opened.found().startswith("2 of 1,311 items")  # the photograph, and the film for two of its shots
    opened.page.go_back() if "#" not in opened.page.url else None
    assert opened.page.get_by_label("Reference", exact=True).input_value() == "<sea>.jpg"


def test_documents_and_films_have_a_head_and_figures(opened: Watched) -> None:
    opened.page.locator("[name=kind]").select_option("film")
    opened.page.get_by_text("Film: 3 shots, 300 frames, confidence 0.60").wait_for()
    opened.page.get_by_text("frames 100 to 199").wait_for()
    opened.page.locator("[name=kind]").select_option("page")
    opened.page.get_by_text("Document: 5 pages").wait_for()
    link = opened.page.locator(".group a")
    assert link.get_attribute("href") == "../../report.pdf.tif"
    opened.page.locator("article details").first.locator("summary").click()
    opened.page.get_by_text("cd" * 32).first.wait_for()
    opened.page.get_by_text("<sea>.jpg (0.500)").first.wait_for()


def test_review_is_told_with_its_reason(opened: Watched) -> None:
    opened.page.locator("[name=review]").select_option("reviewed")
    opened.page.get_by_text("rejected by reviewer 1, 2026-01-02: the sky is green").wait_for()


def test_names_are_text_and_never_markup(opened: Watched) -> None:
    opened.page.locator("[name=reference]").fill("<sea>")
    heading = opened.page.locator("#list article h3").first
    assert heading.text_content() == HOSTILE
    assert opened.page.locator("#list article b, #list article img[src=x]").count() == 0


def test_nothing_comes_from_elsewhere_even_if_a_page_asked_for_it(browser: Any, gallery: Path) -> None:
    asked: list[str] = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        watched = Watched(browser, gallery.as_uri())
        refused = watched.page.evaluate(
            """(address) => new Promise(resolve => {
                 const seen = [];
                 document.addEventListener('securitypolicyviolation', event => {
                   seen.push(event.effectiveDirective);
                   if (seen.length === 3) resolve(seen.sort());
                 });
                 for (const [tag, name] of [['img', 'src'], ['script', 'src']]) {
                   const element = document.createElement(tag);
                   element[name] = address + tag;
                   document.head.append(element);
                 }
                 fetch(address + 'fetch').catch(() => {});
               })""",
            f"http://127.0.0.1:{server.server_port}/",
        )
        watched.page.close()
        server.shutdown()
    assert refused == ["connect-src", "img-src", "script-src-elem"]
    assert asked == []


def test_without_scripts_there_are_static_pages(browser: Any, gallery: Path) -> None:
    watched = Watched(browser, gallery.as_uri(), java_script_enabled=False)
    assert watched.page.locator("#static article").count() == 200 - FAILED - 1
    assert watched.page.locator("#static article").first.is_visible()
    assert not watched.page.locator("#filters").is_visible()
    watched.page.locator("nav.pages").first.get_by_role("link", name="5").click()
    assert watched.page.url.endswith("page-5.html")
    watched.page.get_by_text("Shot 3, frames 200 to 299").wait_for()
    watched.page.close()


def test_the_static_first_page_can_be_asked_for(browser: Any, gallery: Path) -> None:
    watched = Watched(browser, f"{gallery.as_uri()}#static")
    assert watched.page.locator("#static article").first.is_visible()
    assert not watched.page.locator("#filters").is_visible()
    assert watched.wrong == []
    watched.page.close()


def test_the_slider_moves_by_touch(browser: Any, gallery: Path) -> None:
    watched = Watched(
        browser, f"{gallery.as_uri()}#text=photo+00001", viewport={"width": 390, "height": 844}, has_touch=True
    )
    slider = watched.page.locator("article").get_by_role("slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    watched.page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert abs(float(slider.input_value()) - 25) <= 2
    assert watched.wrong == []
    watched.page.close()


@pytest.mark.parametrize("missing", ["data/run.js", "data/list-0001.js", "gallery.js"])
def test_where_the_data_are_missing_the_static_page_stays(
    browser: Any, gallery: Path, tmp_path: Path, missing: str
) -> None:
    for path in ("index.html", "gallery.css", "gallery.js", "data/run.js", "data/list-0001.js"):
        copy = tmp_path / path
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((gallery.parent / path).read_bytes())
    (tmp_path / missing).unlink()
    watched = Watched(browser, (tmp_path / "index.html").as_uri())
    assert watched.page.locator("#static article").first.is_visible()
    watched.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_sideways(browser: Any, gallery: Path, scheme: str) -> None:
    watched = Watched(
        browser, gallery.as_uri(), viewport={"width": 390, "height": 844}, has_touch=True, color_scheme=scheme
    )
    watched.page.wait_for_selector("#list article")
    for _ in range(3):
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
        watched.page.mouse.wheel(0, 1500)
        watched.page.wait_for_timeout(100)
    ground = watched.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(ground) < 3 * 60) == (scheme == "dark")
    assert watched.wrong == []
    watched.page.close()
