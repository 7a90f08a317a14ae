"""Listings: tables for people, JSON and CSV that a program reads back."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import pytest

from flows.listing import ListingFormat, print_rows

ROWS = [
    {
        "run_id": 1,
        "path": '[a] b,"c".jpg',
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "score": 0.5,
        "sha256": "ab" * 32,
    },
    {"run_id": 2, "path": "ü" * 200, "at": None, "score": None, "sha256": None},
]
COLUMNS = ("run_id", "path", "at", "score", "sha256")


def printed(form: ListingFormat, rows: Iterable[dict[str, object]]) -> str:
    stream = io.StringIO()
    print_rows(rows, COLUMNS, form, stream)
    return stream.getvalue()


def test_json() -> None:
    read = json.loads(printed(ListingFormat.JSON, ROWS))
    assert read[0] == {**ROWS[0], "at": "2026-01-02T00:00:00+00:00"}
    assert read[1]["at"] is None
    assert printed(ListingFormat.JSON, ROWS) == json.dumps([{**ROWS[0], "at": read[0]["at"]}, ROWS[1]], indent=2) + "\n"
    assert printed(ListingFormat.JSON, []) == "[]\n"


def test_csv() -> None:
    read = list(csv.DictReader(io.StringIO(printed(ListingFormat.CSV, ROWS))))
    assert read[0]["path"] == ROWS[0]["path"]
    assert read[1]["score"] == ""
    assert printed(ListingFormat.CSV, []) == "run_id,path,at,score,sha256\n"


def test_table_in_a_pipe_keeps_rows_whole() -> None:
    lines = printed(ListingFormat.TABLE, ROWS).splitlines()
    assert any("ü" * 200 in line for line in lines)
    assert any('[a] b,"c".jpg' in line and "abababababab " in line for line in lines)
    assert printed(ListingFormat.TABLE, []) == "nothing to list\n"


def test_csv_of_nested_values_is_json() -> None:
    stream = io.StringIO()
    print_rows([{"what": {"size": 512, "name": "Käfer"}}, {"what": [1, None]}], ("what",), ListingFormat.CSV, stream)
    _, first, second = csv.reader(io.StringIO(stream.getvalue()))
    assert json.loads(first[0]) == {"size": 512, "name": "Käfer"}
    assert json.loads(second[0]) == [1, None]


def test_a_long_table_is_in_columns() -> None:
    rows: list[dict[str, object]] = [
        {**ROWS[0], "run_id": number, "path": "a\nb" if number == 7 else "c"} for number in range(20_000)
    ]
    lines = printed(ListingFormat.TABLE, rows).splitlines()
    assert len(lines) == 20_001
    assert lines[0].split() == [*COLUMNS]
    assert lines[8].split()[:3] == ["7", "a", "b"]
    assert {line.index(" 2026-") for line in lines[1:]} == {lines[0].index(" at ")}


@pytest.mark.parametrize("form", [ListingFormat.TABLE, ListingFormat.JSON, ListingFormat.CSV])
def test_rows_are_printed_as_they_come(form: ListingFormat) -> None:
    """Of a million rows, none waits for the last."""
    written: list[int] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.append(made)
            return len(text)

    def rows() -> Iterator[dict[str, object]]:
        nonlocal made
        for made in range(30_000):
            yield {"id": made}

    made = 0
    print_rows(rows(), ("id",), form, Stream())
    assert min(written) <= 20_001
    assert any(20_001 < at < 29_000 for at in written)
