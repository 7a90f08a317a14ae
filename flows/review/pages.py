"""The pages of the review as HTML: the list, one item with its pictures and its record, a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flows.errors import UsageError
from flows.review.deciding import candidates_for, name_of
from flows.version import code_version
from storage.database import Database, review_queue, runs
from storage.database.records import Candidate, RecordedShot, RunColorization
from storage.database.review_queue import Filters

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE_ITEMS = 48
_SHOWS = ("unreviewed", "reviewed", "all")
_LARGEST_ID = 1 << 53
_MOST_TEXT = 500
_MOST_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Place:
    """An item among those that are looked at: its number from 1, how many there are, and what lies beside it."""

    number: int
    count: int
    next: int | None
    previous: int | None


def filters_of(query: Mapping[str, str]) -> Filters:
    """The filters as the query part of an address has them; an empty one is none.

    Raises:
        UsageError: one cannot be understood.
    """
    show = query.get("show") or "unreviewed"
    if show not in _SHOWS:
        raise UsageError(f"show is one of {', '.join(_SHOWS)}, not {show}")
    text = query.get("text", "").strip()
    if len(text) > _MOST_TEXT:
        raise UsageError(f"the text to look for has more than {_MOST_TEXT} characters")
    return Filters(
        show=show,  # type: ignore[arg-type]
        below=_confidence(query.get("below", "")),
        run_id=number_of(query.get("run", ""), "run"),
        text=text or None,
    )


def query_of(filters: Filters, **more: object) -> str:
    """The filters, and more, as the query part of an address, with its question mark; empty if there is nothing."""
    given = {
        "show": filters.show if filters.show != "unreviewed" else None,
        "below": filters.below,
        "run": filters.run_id,
        "text": filters.text,
        **more,
    }
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return f"?{query}" if query else ""


def item_address(colorization_id: int, filters: Filters, **more: object) -> str:
    """The address of an item's page."""
    return f"/item/{colorization_id}{query_of(filters, **more)}"


def number_of(text: str, name: str) -> int | None:
    """A number from 1; None where there is no text.

    Raises:
        UsageError: it is none.
    """
    if not text.strip():
        return None
    found = int(text) if text.strip().isdecimal() and len(text) < 17 else 0
    if not 1 <= found <= _LARGEST_ID:
        raise UsageError(f"{name} is a number from 1, not {text[:50]}")
    return found


def list_page(database: Database, output_root: str, filters: Filters, page: int, token: str) -> str:
    """The list of what is to be looked at, `PAGE_ITEMS` on a page; pages count from 1."""
    count = review_queue.count(database, output_root, filters)
    pages = max(1, -(-count // PAGE_ITEMS))
    page = min(page, pages)
    found = review_queue.results(database, output_root, filters, PAGE_ITEMS, (page - 1) * PAGE_ITEMS)
    everything = Filters("all", run_id=filters.run_id)
    return _render(
        "review_list.html.j2",
        token=token,
        output_root=output_root,
        filters=filters,
        items=found,
        count=count,
        page=page,
        pages=pages,
        unreviewed=review_queue.count(database, output_root, replace(everything, show="unreviewed")),
        total=review_queue.count(database, output_root, everything),
        query_of=query_of,
        item_address=item_address,
    )


def item_page(
    database: Database, row: RunColorization, filters: Filters, shot_number: int | None, token: str, reviewer: str
) -> str:
    """The page of one item; of a film that of one of its shots, at first the one with the lowest confidence.

    Raises:
        UsageError: there is no such shot.
    """
    shot = _shot(row, shot_number)
    run = runs.get(database, row.run_id)
    if run is None:
        raise UsageError(f"run {row.run_id} of {row.path} is not on record")
    return _render(
        "review_item.html.j2",
        token=token,
        reviewer=reviewer,
        row=row,
        run=run,
        name=name_of(row),
        shot=shot,
        subject=shot or row,
        candidates=_shown(candidates_for(row, shot.number if shot else None)),
        place=_place(database, row, filters),
        decisions=review_queue.decisions(database, row.output_root, row.item_id),
        earlier=review_queue.earlier_results(database, row.output_root, row.item_id),
        filters=filters,
        query_of=query_of,
        item_address=item_address,
    )


def message_page(title: str, message: str, token: str) -> str:
    """A page that says what is wrong."""
    return _render("review_message.html.j2", title=title, message=message, token=token)


@cache
def asset(name: str) -> str:
    """The style sheet or the script."""
    found, _, _ = _environment().loader.get_source(_environment(), name)  # type: ignore[union-attr]
    return found


def _place(database: Database, row: RunColorization, filters: Filters) -> Place:
    root = row.output_root
    return Place(
        number=1 + review_queue.count_before(database, root, filters, row),
        count=review_queue.count(database, root, filters),
        next=review_queue.beside(database, root, filters, row, "next"),
        previous=review_queue.beside(database, root, filters, row, "previous"),
    )


def _shot(row: RunColorization, number: int | None) -> RecordedShot | None:
    if not row.shots:
        return None
    if number is None:
        return min(row.shots, key=lambda shot: (shot.confidence is not None, shot.confidence or 0.0, shot.number))
    for shot in row.shots:
        if shot.number == number:
            return shot
    raise UsageError(f"{row.path} has no shot {number}; it has {len(row.shots)}")


def _shown(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that there is room for, and the chosen one in any case."""
    return [one for place, one in enumerate(candidates) if place < _MOST_CANDIDATES or one.chosen]


def _confidence(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise UsageError(f"a confidence is a number between 0 and 1, not {text[:50]}")
    return found


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(version=code_version(), **values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("flows"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
