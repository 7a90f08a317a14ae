"""Tables: rows of the audit views as CSV (RFC 4180) or Apache Parquet, written as they come.

In both a missing value is missing, a JSON object is its text. CSV is UTF-8 with a line of column names, instants as ISO
8601 in UTC, truths as true and false; NULL and the empty text look the same in it. Parquet keeps the types.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from storage.database.types import to_json
from storage.fixity import atomic_write

if TYPE_CHECKING:  # an optional dependency
    import pyarrow as pa

Row = Mapping[str, object]
Type = Literal["integer", "number", "truth", "instant", "text"]

_ROW_GROUP = 10_000
"""So many rows of a Parquet file are held in memory and written together."""

_TYPES: Mapping[Type, str] = {
    "integer": "run_id items done failed skipped page reference_rank item_id colorization_id reference_id output_bytes"
    " network_size peak_memory_bytes review_id shot event_id first_frame last_frame frames times_used",
    "number": "seconds reference_score confidence match_confidence cut_score flicker fps seconds_read seconds_network"
    " seconds_motion seconds_chroma seconds_write mean_score mean_confidence seconds_total seconds_median seconds_p95",
    "truth": "low_match",
    "instant": "started_at ended_at created_at superseded_at at checked_at",
}
_TYPE_OF = {column: kind for kind, columns in _TYPES.items() for column in columns.split()}


def type_of(column: str) -> Type:
    """The type of the values that an audit view has in this column; text is what nothing else is."""
    return _TYPE_OF.get(column, "text")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Write rows as CSV as they come; returns how many there were. The file is there whole or not at all."""
    count = 0
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_in_csv(row[column]) for column in columns])
            count += 1
    return count


def write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Row], about: Mapping[str, str]) -> int:
    """Write rows as Parquet as they come; returns how many there were. The file is there whole or not at all.

    Args:
        about: what the file's metadata say of it.

    Raises:
        ImportError: the package pyarrow is not installed.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = {column: type_of(column) for column in columns}
    schema = pa.schema([(column, _parquet_type(type_)) for column, type_ in types.items()], dict(about))
    count = 0
    with atomic_write(path) as partial, parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
        for group in _groups(rows):
            arrays = [
                pa.array([_converted(row[column], type_) for row in group], schema.field(column).type)
                for column, type_ in types.items()
            ]
            writer.write_table(pa.table(arrays, schema=schema))
            count += len(group)
    return count


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while group := list(islice(remaining, _ROW_GROUP)):
        yield group


def _in_csv(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return to_json(value) if isinstance(value, Mapping) else value


def _parquet_type(type_: Type) -> "pa.DataType":
    import pyarrow as pa

    types = {"integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_(), "text": pa.string()}
    return types.get(type_, pa.timestamp("us", tz="UTC"))


def _converted(value: Any, type_: Type) -> object:
    """The value as its type has it: databases add up integers to decimals, and SQLite has no truths."""
    if value is None or type_ == "instant":
        return value
    if type_ == "text":
        return to_json(value) if isinstance(value, Mapping) else str(value)
    return {"integer": int, "number": float, "truth": bool}[type_](value)
