"""The gallery's files: whole without network or script, everything escaped, in parts, always the same."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from flows.report.evidence import Decision, Evidence, StageSeconds
from flows.report.gallery import gallery_folder, write_gallery
from flows.report.order import in_order_of_attention
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from storage.database.records import RunCounts
from tests.flows.galleries import WHEN, Outline, colorization, data_calls, film, stored_run

HOSTILE = "\"><script>alert(1)</script>\u2028\u2029 '&amp;\n</script><!--.jpg"


def test_failures_come_first_and_everything_is_escaped(tmp_path: Path) -> None:
    rows = [colorization(1, path='"><script>alert(1)</script>.jpg'), colorization(2, "failed", "z<i>.jpg")]
    html = write_gallery(stored_run(tmp_path), rows, tmp_path).read_text()
    assert [script["src"] for script in Outline(html).all("script")] == [
        "gallery.js",
        "data/run.js",
        "data/list-0001.js",
    ]
    assert "z&lt;i&gt;.jpg is cut off &lt;here&gt;" in html
    assert html.index("z&lt;i&gt;.jpg") < html.index("alert(1)")
    assert "/archive/&lt;b&gt;" in html
    assert "&lt;sea&gt;.jpg (0.500)" in html
    assert "machine-made" in html
    assert "http:" not in html
    assert "https:" not in html


def test_nothing_may_be_loaded_from_elsewhere(tmp_path: Path) -> None:
    first = write_gallery(stored_run(tmp_path), [colorization(n) for n in range(1, 202)], tmp_path)
    for page in (first, first.parent / "page-2.html"):
        outline = Outline(page.read_text())
        (policy,) = [meta["content"] for meta in outline.all("meta") if meta.get("http-equiv")]
        assert policy is not None
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
        assert rules == dict.fromkeys(("img-src", "script-src", "style-src"), "'self' file:")
        assert outline.all("html")[0]["lang"] == "en"
        assert all("style" not in attributes for _, attributes in outline.tags)
    for file in ("gallery.js", "gallery.css"):
        assert not re.search(r"https?:|@import|url\(", (first.parent / file).read_text())


def test_no_text_breaks_out_of_the_data(tmp_path: Path) -> None:
    row = replace(colorization(1, path=HOSTILE), message=HOSTILE, reference_path=HOSTILE)
    page = write_gallery(stored_run(tmp_path), [row], tmp_path)
    Outline(page.read_text())
    for file in (page.parent / "data").iterdir():
        text = file.read_text(encoding="ascii")
        assert "<" not in text
        assert text.count("\n") == 1
    ((_, _, number, run),) = data_calls(page.parent, "run")
    assert number == 1
    assert run["references"] == [[1, HOSTILE, 0]]
    ((_, _, _, listed),) = data_calls(page.parent, "list")
    assert listed[0][2] == HOSTILE
    ((_, _, _, known),) = data_calls(page.parent, "items")
    assert known[0]["message"] == HOSTILE


def test_the_data_lie_in_parts_that_belong_together(tmp_path: Path) -> None:
    rows = [colorization(number) for number in range(1, 5702)]
    page = write_gallery(stored_run(tmp_path), rows, tmp_path)
    lists = list(data_calls(page.parent, "list"))
    chunks = list(data_calls(page.parent, "items"))
    assert [(number, len(content)) for _, _, number, content in lists] == [(1, 5000), (2, 701)]
    assert [number for _, _, number, _ in chunks] == list(range(1, 13))
    assert [len(content) for _, _, _, content in chunks] == [500] * 11 + [201]
    assert [line[0] for _, _, _, content in lists for line in content] == list(range(1, 5702))
    assert [one["output"][0][0] for one in chunks[11][3]] == [f"photo {n:05}.jpg.tif" for n in range(5501, 5702)]
    versions = {version for version, *_ in [*lists, *chunks, *data_calls(page.parent, "run")]}
    assert versions == {Outline(page.read_text()).all("html")[0]["data-version"]}


def test_the_order_is_that_of_attention(tmp_path: Path) -> None:
    rows = [
        replace(colorization(1, path="certain.jpg"), confidence=0.9),
        replace(colorization(2, path="uncertain.jpg"), confidence=0.2),
        replace(colorization(3, path="doubtful.jpg"), confidence=0.8, low_match=True),
        colorization(4, "skipped", "text.jpg"),
        colorization(5, "failed", "broken.jpg"),
        replace(colorization(6, path="report.pdf"), kind="page", page=1, confidence=0.95),
        replace(colorization(7, path="report.pdf"), kind="page", page=2, confidence=0.3),
        replace(colorization(8, path="unknown.jpg"), confidence=None),
        replace(colorization(9, "failed", "report.pdf"), kind="page", page=3),
    ]
    assert [row.id for row in in_order_of_attention(rows)] == [5, 9, 4, 3, 2, 6, 7, 1, 8]


def test_a_smaller_gallery_leaves_nothing_of_a_larger_one_and_is_always_the_same(tmp_path: Path) -> None:
    rows = [colorization(number) for number in range(1, 1002)]
    run = stored_run(tmp_path)
    folder = write_gallery(run, rows, tmp_path).parent
    write_thumbnail(ThumbnailFolder(folder).grey(1), np.zeros((20, 30), np.uint8))
    assert (folder / "page-6.html").exists()
    assert (folder / "data" / "items-0003.js").exists()
    write_gallery(run, rows[:300], tmp_path)
    again = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert sorted(map(str, again)) == [
        "data/items-0001.js",
        "data/list-0001.js",
        "data/run.js",
        "gallery.css",
        "gallery.js",
        "index.html",
        "page-2.html",
        "thumbnails/1-grey.jpg",
    ]
    shutil.rmtree(folder / "data")
    write_gallery(run, rows[:300][::-1], tmp_path)
    assert again == {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_figures_of_a_run_stand_at_its_head(tmp_path: Path) -> None:
    rows = [replace(colorization(number), confidence=number / 10) for number in range(1, 10)]
    rows[0] = replace(rows[0], low_match=True)
    rows[8] = replace(rows[8], reference_path="<sea>.jpg", reference_id=2)
    evidence = Evidence(
        (StageSeconds("read", 9, 4.5, 0.5), StageSeconds("network", 9, 18.0, 2.0)),
        {1: (Decision("rejected", "reviewer 1", "the <sky> is green", WHEN),)},
    )
    html = write_gallery(stored_run(tmp_path), rows, tmp_path, evidence).read_text()
    outline = Outline(html)
    assert "18.0 s (2.000 s)" in html
    assert html.index(">network<") < html.index(">read<")
    widths = [rect["width"] for rect in outline.all("rect") if str(rect["width"]).endswith("%")]
    assert widths == ["100.0%", "12.5%", "100.0%", "25.0%"]  # eight uses against one, 18 seconds against 4.5
    heights = [float(str(rect["height"])) for rect in outline.all("rect") if "data-below" in rect]
    assert len(heights) == 20
    assert sum(heights) == 900  # nine pictures in nine bins of the same height
    assert "0.10 to 0.90, median 0.50" in html
    assert "ab" * 32 in html
    assert '<dt>size</dt><dd translate="no">512</dd>' in html
    assert "<strong>rejected</strong> by reviewer 1, 2026-01-02: the &lt;sky&gt; is green" in html
    assert '<li class="doubtful-references"><strong>1</strong>' in html
    assert '<li class="reviewed"><strong>1</strong>' in html


def test_a_run_without_items_has_a_gallery(tmp_path: Path) -> None:
    run = replace(stored_run(tmp_path), counts=RunCounts())
    html = write_gallery(run, [], tmp_path).read_text()
    Outline(html)
    assert "This run recorded no items." in html


def test_shots_of_a_film_have_their_own_place_and_review(tmp_path: Path) -> None:
    row = film(1)
    decisions = {
        1: (Decision("replaced", "reviewer 1", None, WHEN, "sea.jpg", 2), Decision("approved", None, None, WHEN))
    }
    folder = write_gallery(stored_run(tmp_path), [row], tmp_path, Evidence((), decisions)).parent
    ((_, _, _, listed),) = data_calls(folder, "list")
    assert [(line[1], line[2], line[9]) for line in listed] == [(1, "reel.mkv", 1), (2, 0, 3), (3, 0, 1)]
    ((_, _, _, known),) = data_calls(folder, "items")
    assert [one["frames"] for one in known] == [[0, 99], [100, 199], [200, 299]]
    assert known[1]["review"][0] == "replaced"
    assert known[1]["review"][4] == "sea.jpg"


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
