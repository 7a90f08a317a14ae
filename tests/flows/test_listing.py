"""Listings: tables for people, JSON and CSV that a program reads back."""

import csv
import io
import json
from datetime import UTC, datetime

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


def printed(form: ListingFormat, rows: list[dict[str, object]]) -> str:
    stream = io.StringIO()
    print_rows(rows, COLUMNS, form, stream)
    return stream.getvalue()


def test_json() -> None:
    read = json.loads(printed(ListingFormat.JSON, ROWS))
    assert read[0] == {**ROWS[0], "at": "2026-01-02T00:00:00+00:00"}
    assert read[1]["at"] is None
    assert json.loads(printed(ListingFormat.JSON, [])) == []


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
