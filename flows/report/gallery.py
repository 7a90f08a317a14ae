"""The gallery of a run: static HTML pages of 200 items, with nothing loaded from elsewhere and no script."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flows.report.thumbnails import ThumbnailFolder
from storage.database.records import RecordedShot, RunColorization, StoredRun
from storage.fixity import atomic_write
from storage.paths import text_to_path

PAGE_ITEMS = 200


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


def gallery_folder(output: Path, run_id: int) -> Path:
    """Where the gallery of a run lies."""
    return output / "gallery" / f"run-{run_id}"


def page_name(number: int) -> str:
    """File name of a page; numbers begin at 1."""
    return "index.html" if number == 1 else f"page-{number}.html"


def write_gallery(run: StoredRun, rows: Sequence[RunColorization], output: Path) -> Path:
    """Write the pages of a run's gallery; failures come first, then what was left out, then the pictures, those with a
    doubtful reference first.

    Returns the first page. Thumbnails are only linked where they are there (see `flows.report.rebuild`).
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("flows"), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    template = environment.get_template("gallery.html.j2")
    folder = gallery_folder(output, run.id)
    thumbnails = ThumbnailFolder(folder)
    order = {"failed": 0, "skipped": 1, "done": 2}
    ordered = sorted(rows, key=lambda row: (order[row.state], not row.low_match, row.path, row.page))
    page_count = max(1, -(-len(ordered) // PAGE_ITEMS))
    for page in range(page_count, 0, -1):  # the first page last: once it is there, all are
        part = ordered[(page - 1) * PAGE_ITEMS : page * PAGE_ITEMS]
        html = template.render(
            run=run,
            facts=_facts(run, sum(bool(row.low_match) for row in rows if row.state == "done")),
            failures=[row for row in part if row.state == "failed"],
            skipped=[row for row in part if row.state == "skipped"],
            cards=[_card(row, thumbnails) for row in part if row.state == "done"],
            page=page,
            page_count=page_count,
            page_name=page_name,
        )
        with atomic_write(folder / page_name(page)) as path:
            path.write_text(html, encoding="utf-8")
    return folder / page_name(1)


def _facts(run: StoredRun, low_matches: int) -> list[tuple[str, Any]]:
    counts = run.counts
    return [
        ("archive", run.archive),
        ("references", run.references_root),
        ("started", f"{run.started_at:%Y-%m-%d %H:%M:%S %Z}"),
        ("seconds", f"{run.seconds:.1f}" if run.seconds is not None else "-"),
        ("state", run.state.replace("_", " ")),
        (
            "items",
            f"{counts.items}: {counts.done} colorized, {counts.failed} failed, {counts.skipped} left out",
        ),
        ("doubtful references", low_matches),
        ("program", f"archive-colorizer {run.code_version} on {run.device}, {run.precision}"),
        ("weights", run.weights_sha256[:12]),
        ("parameters", ", ".join(f"{name} {value}" for name, value in sorted(run.parameters.items()))),
    ]


def _card(row: RunColorization, thumbnails: ThumbnailFolder) -> _Card:
    depth = Path("../..")  # from gallery/run-N back to the output folder
    return _Card(
        row=row,
        pictures=_pictures(row.item_id, 0, row.reference_id, thumbnails),
        shots=[(shot, _pictures(row.item_id, shot.number, shot.reference_id, thumbnails)) for shot in row.shots],
        link=quote(os.fsencode(depth / text_to_path(row.output_path or ""))),
    )


def _pictures(item_id: int, shot: int, reference_id: int | None, thumbnails: ThumbnailFolder) -> _Pictures:
    reference = thumbnails.reference(reference_id) if reference_id is not None else None
    return _Pictures(
        grey=_address(thumbnails.grey(item_id, shot)),
        colour=_address(thumbnails.colour(item_id, shot)),
        reference=_address(reference) if reference is not None else None,
    )


def _address(thumbnail: Path) -> str | None:
    return f"{thumbnail.parent.name}/{quote(thumbnail.name)}" if thumbnail.exists() else None
