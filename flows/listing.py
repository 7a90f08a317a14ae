"""Rows for people and for programs: table, JSON or CSV on a stream."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from itertools import chain, islice
from typing import TextIO

PRETTY_ROWS = 500
"""More rows than these are laid out plainly: rich needs minutes for thousands, and keeps all of them in memory."""

_MEASURED_ROWS = 20_000
"""So many rows decide how wide the columns of a plain table are; the others follow as they come."""

_PLAIN_WIDTH = 120  # a plain column is padded up to here; what is longer sticks out


class ListingFormat(StrEnum):
    """How a listing is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def print_rows(
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[str],
    form: ListingFormat,
    stream: TextIO | None = None,
) -> None:
    """Print rows with the named columns, in this order, as they come: not all of them are held in memory.

    JSON is one array of objects; CSV has a header line.
    """
    stream = stream or sys.stdout
    if form is ListingFormat.JSON:
        _print_json(rows, columns, stream)
    elif form is ListingFormat.CSV:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_in_csv(row.get(name)) for name in columns] for row in rows)
    else:
        remaining = iter(rows)
        first = list(islice(remaining, PRETTY_ROWS + 1))
        if len(first) > PRETTY_ROWS:
            _print_plain(chain(first, remaining), columns, stream)
        else:
            _print_table(first, columns, stream)


def _print_json(rows: Iterable[Mapping[str, object]], columns: Sequence[str], stream: TextIO) -> None:
    """What `json.dumps` with an indent of 2 makes of the list of all rows."""
    before = "["
    for row in rows:
        text = json.dumps({name: _plain(row.get(name)) for name in columns}, indent=2)
        stream.write(before + "\n  " + text.replace("\n", "\n  "))
        before = ","
    stream.write("[]\n" if before == "[" else "\n]\n")


def _print_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str], stream: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # a pipe has no width: lines are then as long as they need to be, so that grep and cut see whole rows
    console = Console(file=stream, width=None if stream.isatty() else 4000)
    table = Table(box=box.SIMPLE)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(row.get(name))) for name in columns))
    console.print(table if rows else "nothing to list", soft_wrap=not stream.isatty() and not rows)


def _print_plain(rows: Iterable[Mapping[str, object]], columns: Sequence[str], stream: TextIO) -> None:
    cells = ([_on_one_line(_shown(row.get(name))) for name in columns] for row in rows)
    first = [list(columns), *islice(cells, _MEASURED_ROWS)]
    widths = [min(_PLAIN_WIDTH, max(map(len, column))) for column in zip(*first, strict=True)]
    for line in chain(first, cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        stream.write(f" {'  '.join(padded).rstrip()}\n")


def _on_one_line(text: str) -> str:
    return text if text.isprintable() else " ".join(text.split())


def _in_csv(value: object) -> object:
    return _json(value) if isinstance(value, dict | list) else _plain(value)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _plain(value: object) -> object:
    if isinstance(value, date):  # a datetime is a date too
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | dict | list | None) else str(value)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict | list):
        return _json(value)
    text = str(_plain(value))
    # a whole sha256 drowns a table; JSON and CSV have it in full
    return text[:12] if len(text) == 64 and all(sign in "0123456789abcdef" for sign in text) else text
