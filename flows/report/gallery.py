"""The gallery of a run: a folder of pages that nothing is loaded into from elsewhere.

`index.html` shows everything with a script, from small files of data (`flows.report.script_data`). Without one it is
the first of static pages of 200 items each, which can be printed.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from flows.report.evidence import Decision, Evidence
from flows.report.figures import figures_of
from flows.report.order import in_order_of_attention, name
from flows.report.script_data import FOLDER, link_to, script_data
from flows.report.thumbnails import ThumbnailFolder
from storage.database.records import RecordedShot, RunColorization, StoredRun
from storage.fixity import PARTIAL_SUFFIX, atomic_write

PAGE_ITEMS = 200
_SCRIPTS = ("gallery-data.js", "gallery-filter.js", "gallery-cards.js", "gallery-window.js", "gallery.js")


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The addresses of three pictures that belong together, relative to the page."""

    grey: str | None
    colour: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class _Card:
    """One colorized item with its pictures; a film has those of each of its shots instead."""

    row: RunColorization
    pictures: _Pictures
    shots: list[tuple[RecordedShot, _Pictures]]
    link: str
    decision: Decision | None


def gallery_folder(output: Path, run_id: int) -> Path:
    """Where the gallery of a run lies."""
    return output / "gallery" / f"run-{run_id}"


def page_name(number: int) -> str:
    """File name of a page; numbers begin at 1."""
    return "index.html" if number == 1 else f"page-{number}.html"


def write_gallery(
    run: StoredRun, rows: Sequence[RunColorization], output: Path, evidence: Evidence | None = None
) -> Path:
    """Write a run's gallery: first the failures, then what was left out, then the pictures, the most doubtful first.

    Returns the first page. Thumbnails are only linked where they are there (see `flows.report.rebuild`). The same input
    gives the same bytes; what a larger gallery left there is removed.

    Args:
        evidence: see `flows.report.evidence.read_evidence`; without it, stages and reviews are not shown.
    """
    evidence = evidence if evidence is not None else Evidence()
    folder = gallery_folder(output, run.id)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    thumbnails = ThumbnailFolder(folder)
    there = _names_in(thumbnails.folder)
    ordered = in_order_of_attention(rows)
    data = script_data(ordered, evidence, thumbnails, there)
    texts = data.files | {"gallery.js": "".join(map(_template, _SCRIPTS)), "gallery.css": _template("gallery.css")}
    for file, text in texts.items():
        _write(folder / file, text)
    pages = _pages(run, ordered, evidence, thumbnails, there, data.version)
    for file, html in pages:  # the first page last: once it is there, all are
        if file != page_name(1):
            _write(folder / file, html)
        else:
            with atomic_write(folder / file) as path:
                path.write_text(html, encoding="utf-8")
        texts[file] = ""
    _remove_others(folder, texts)
    return folder / page_name(1)


def _pages(
    run: StoredRun,
    ordered: Sequence[RunColorization],
    evidence: Evidence,
    thumbnails: ThumbnailFolder,
    there: Collection[str],
    version: str,
) -> Iterable[tuple[str, str]]:
    """Names and texts of the static pages, the last first."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("flows"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    template = environment.get_template("gallery.html.j2")
    figures = figures_of(run, ordered, evidence)
    page_count = max(1, -(-len(ordered) // PAGE_ITEMS))
    for page in range(page_count, 0, -1):
        part = ordered[(page - 1) * PAGE_ITEMS : page * PAGE_ITEMS]
        html = template.render(
            run=run,
            figures=figures,
            failures=[row for row in part if row.state == "failed"],
            skipped=[row for row in part if row.state == "skipped"],
            cards=[_card(row, evidence, thumbnails, there) for row in part if row.state == "done"],
            page=page,
            page_count=page_count,
            page_name=page_name,
            name=name,
            version=version,
        )
        yield page_name(page), html


def _card(row: RunColorization, evidence: Evidence, thumbnails: ThumbnailFolder, there: Collection[str]) -> _Card:
    return _Card(
        row=row,
        pictures=_pictures(row.item_id, 0, row.reference_id, thumbnails, there),
        shots=[(shot, _pictures(row.item_id, shot.number, shot.reference_id, thumbnails, there)) for shot in row.shots],
        link=link_to(row.output_path or ""),
        decision=evidence.decision(row.id),
    )


def _pictures(
    item_id: int, shot: int, reference_id: int | None, thumbnails: ThumbnailFolder, there: Collection[str]
) -> _Pictures:
    def address(thumbnail: Path) -> str | None:
        return f"{thumbnail.parent.name}/{quote(thumbnail.name)}" if thumbnail.name in there else None

    return _Pictures(
        grey=address(thumbnails.grey(item_id, shot)),
        colour=address(thumbnails.colour(item_id, shot)),
        reference=address(thumbnails.reference(reference_id)) if reference_id is not None else None,
    )


def _template(file: str) -> str:
    return (files("flows") / "templates" / file).read_text(encoding="utf-8")


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - names only, of perhaps 20,000 files
    except FileNotFoundError:
        return frozenset()


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all; not synced to disk one by one, since `report` makes it again."""
    partial = path.parent / f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}"
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _remove_others(folder: Path, written: Collection[str]) -> None:
    """Remove pages and parts of data that belong to an earlier, larger gallery."""
    for path in (*folder.glob("page-*.html"), *(folder / FOLDER).glob("*.js")):
        if path.relative_to(folder).as_posix() not in written:
            with suppress(OSError):
                path.unlink()
