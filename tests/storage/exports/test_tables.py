"""Every audit view as a table: what is read back is what is on record, on both databases."""

import csv
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from storage.database import Database, audit
from storage.exports.tables import Row, type_of, write_csv, write_parquet
from tests.storage.database.audited import fill

WRITERS: dict[str, Callable[[Path, list[str], Iterator[Row]], int]] = {
    "csv": write_csv,
    "parquet": partial(write_parquet, about={}),
}
ARROW = {"integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_(), "text": pa.string()}


def back(text: str, column: str) -> Any:
    """The value that a cell of a CSV file stands for, if it is no text."""
    if text == "":
        return None
    kind = type_of(column)
    if kind == "truth":
        return {"true": True, "false": False}[text]
    if kind == "instant":
        return datetime.fromisoformat(text)
    return {"integer": int, "number": float}.get(kind, str)(text)


def same(one: Any, other: Any) -> bool:
    """Whether a value of the database is that of a table, in which objects are text."""
    return bool(json.loads(other) == one if isinstance(one, dict) else one == other)


@pytest.mark.parametrize("view", audit.VIEWS)
def test_a_view_is_the_same_as_parquet(db: Database, tmp_path: Path, view: str) -> None:
    fill(db)
    columns, rows = audit.columns(view), audit.rows(db, view)
    file = tmp_path / "table.parquet"
    assert write_parquet(file, columns, audit.stream(db, view), {"view": view}) == len(rows) > 0
    table = parquet.read_table(file)
    assert table.schema.metadata[b"view"] == view.encode()
    assert table.column_names == columns
    for column in columns:
        expected = ARROW.get(type_of(column), pa.timestamp("us", tz="UTC"))
        assert table.schema.field(column).type == expected
    for row, written in zip(rows, table.to_pylist(), strict=True):
        for column in columns:
            assert same(row[column], written[column]), column
            # what is no text on record is none in the table
            number = isinstance(row[column], int | float) and not isinstance(row[column], bool)
            assert not number or type_of(column) in ("integer", "number"), column
            assert isinstance(row[column], datetime) <= (type_of(column) == "instant"), column
            assert isinstance(row[column], bool) <= (type_of(column) == "truth"), column


@pytest.mark.parametrize("view", audit.VIEWS)
def test_a_view_is_the_same_as_csv(db: Database, tmp_path: Path, view: str) -> None:
    fill(db)
    columns, rows = audit.columns(view), audit.rows(db, view)
    file = tmp_path / "table.csv"
    assert write_csv(file, columns, audit.stream(db, view)) == len(rows) > 0
    with file.open(encoding="utf-8", newline="") as opened:
        header, *lines = csv.reader(opened, strict=True)
    assert header == columns
    for row, line in zip(rows, lines, strict=True):
        for column, text in zip(columns, line, strict=True):
            assert same(row[column], back(text, column)), column


def test_csv_is_that_of_rfc_4180(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    noon = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    rows = [
        {"path": 'Zürich, "am See"\r\n長崎', "at": noon, "low_match": True, "parameters": {"b": 1, "a": "ü"}},
        {"path": None, "at": None, "low_match": False, "parameters": None},
    ]
    assert write_csv(file, ["path", "at", "low_match", "parameters"], rows) == 2
    assert file.read_bytes().decode() == (
        "path,at,low_match,parameters\r\n"
        '"Zürich, ""am See""\r\n長崎",2026-03-01T12:00:00+00:00,true,"{""a"": ""ü"", ""b"": 1}"\r\n'
        ",,false,\r\n"
    )


def test_parquet_keeps_instants_in_utc_and_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    noon = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    rows: list[Row] = [
        {"path": "ü", "at": noon, "low_match": 1, "seconds": 2, "page": 3},
        {"path": None, "at": None, "low_match": None, "seconds": None, "page": None},
    ]
    write_parquet(file, ["path", "at", "low_match", "seconds", "page"], rows, {})
    assert parquet.read_table(file).to_pylist() == [
        {"path": "ü", "at": noon.astimezone(UTC), "low_match": True, "seconds": 2.0, "page": 3},
        rows[1],
    ]


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    assert write_csv(tmp_path / "none.csv", ["path", "page"], []) == 0
    assert write_parquet(tmp_path / "none.parquet", ["path", "page"], [], {}) == 0
    assert (tmp_path / "none.csv").read_bytes() == b"path,page\r\n"
    assert parquet.read_schema(tmp_path / "none.parquet").names == ["path", "page"]


@pytest.mark.parametrize("form", WRITERS)
def test_rows_that_break_off_leave_the_earlier_table(tmp_path: Path, form: str) -> None:
    def broken() -> Iterator[Row]:
        yield {"path": "a.tif"}
        raise RuntimeError("the database is gone")

    file = tmp_path / f"table.{form}"
    file.write_bytes(b"earlier")
    with pytest.raises(RuntimeError, match="the database is gone"):
        WRITERS[form](file, ["path"], broken())
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == b"earlier"


@pytest.mark.parametrize("form", WRITERS)
def test_many_rows_take_no_more_memory_than_few(tmp_path: Path, form: str) -> None:
    def rows(count: int) -> Iterator[Row]:
        for number in range(count):
            yield {"path": f"album/{number:08} and a name that is not the shortest.tif", "page": number}

    def peak(count: int) -> int:
        arrow = pa.total_allocated_bytes()
        tracemalloc.start()
        assert WRITERS[form](tmp_path / "table", ["path", "page"], rows(count)) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert pa.total_allocated_bytes() - arrow < 1 << 20
        return found

    peak(20)  # what is loaded once
    assert peak(100_000) < 1.5 * peak(25_000) + (1 << 20)
