"""The order of a run's items in its gallery: what wants a person's eye comes first."""

from collections.abc import Sequence

from storage.database.records import RunColorization

_STATES = {"failed": 0, "skipped": 1, "done": 2}


def in_order_of_attention(rows: Sequence[RunColorization]) -> list[RunColorization]:
    """Failures, then what was left out, then doubtful references, then the rest; the lowest confidence first.

    The pages of a document stay together, where its most doubtful page belongs. What has no confidence comes last.
    """
    documents: dict[tuple[str, str], tuple[bool, float]] = {}
    for row in rows:
        if row.state == "done" and row.kind == "page":
            document = (row.archive, row.path)
            documents[document] = min(documents.get(document, (True, 2.0)), _attention(row))

    def place(row: RunColorization) -> tuple[int, bool, float, str, str, int]:
        state = _STATES[row.state]
        if row.state != "done":
            return state, False, 0.0, row.path, row.archive, row.page
        certain, confidence = documents.get((row.archive, row.path), _attention(row))
        return state, certain, confidence, row.path, row.archive, row.page

    return sorted(rows, key=place)


def _attention(row: RunColorization) -> tuple[bool, float]:
    return not row.low_match, row.confidence if row.confidence is not None else 2.0


def has_page_number(row: RunColorization) -> bool:
    """Whether the row is one page; a document that could not be opened has failed as a whole."""
    return row.kind == "page" and not (row.state == "failed" and row.stage == "ingest")


def name(row: RunColorization) -> str:
    """Path of an item, and which page of it."""
    return f"{row.path}, page {row.page}" if has_page_number(row) else row.path
