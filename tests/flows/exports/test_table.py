"""Audit views as files: what is asked for is what is written, and nothing else is overwritten."""

import csv
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

from flows.errors import EnvironmentProblem, UsageError
from flows.exports.table import export_table
from storage.database import Database, audit, colorizations, open_database, reference_metadata, sqlite_url
from storage.database.records import ReferenceMetadata
from tests.storage.database.samples import add_items, add_references, at, done, start_run


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Two runs, of two items and of one."""
    opened = open_database(sqlite_url(tmp_path / "provenance.db"))
    meadow, _ = add_references(opened, "meadow.jpg", "harbour.jpg")
    reference_metadata.record(opened, {meadow: ReferenceMetadata(rights="CC0")})
    first, second, third = add_items(opened, "a.tif", "b.tif", "c.tif")
    of_meadow = {"reference_id": meadow, "reference_path": "meadow.jpg", "reference_sha256": "m" * 64}
    colorizations.record(opened, start_run(opened), [done(first, **of_meadow), done(second, **of_meadow)])
    colorizations.record(opened, start_run(opened, started_at=at(60)), [done(third, **of_meadow)])
    return opened


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_all_rows_or_those_of_a_run(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "items.csv"
    report = export_table(database, "audit_item", file, "csv")
    assert (report.objects, report.written, report.files, report.exit_code) == (3, 1, (file,), 0)
    assert [(row["run_id"], row["path"]) for row in lines(file)] == [("2", "c.tif"), ("1", "a.tif"), ("1", "b.tif")]
    assert export_table(database, "audit_item", file, "csv", run_id=1).objects == 2  # in place of the earlier one
    assert [row["path"] for row in lines(file)] == ["a.tif", "b.tif"]
    references = tmp_path / "references.parquet"
    export_table(database, "audit_reference", references, "parquet", run_id=1)
    assert [(row["path"], row["times_used"]) for row in parquet.read_table(references).to_pylist()] == [
        ("meadow.jpg", 2)
    ]


@pytest.mark.parametrize("view", audit.VIEWS)
def test_every_view_can_be_had(database: Database, tmp_path: Path, view: str) -> None:
    report = export_table(database, view, tmp_path / "table.parquet", "parquet")
    table = parquet.read_table(tmp_path / "table.parquet")
    assert table.column_names == audit.columns(view)
    assert table.num_rows == report.objects == len(audit.rows(database, view))
    assert table.schema.metadata[b"view"] == view.encode()


@pytest.mark.parametrize(
    ("view", "form", "run_id", "message"),
    [
        ("audit_weather", "csv", None, "no audit view 'audit_weather'"),
        ("audit_item", "xlsx", None, "csv or parquet, not as 'xlsx'"),
        ("audit_item", "csv", 7, "no run 7"),
        ("audit_fixity", "csv", 1, "audit_fixity"),
    ],
)
def test_what_cannot_be_written_is_said_at_once(
    database: Database, tmp_path: Path, view: str, form: str, run_id: int | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        export_table(database, view, tmp_path / "table", form, run_id)  # type: ignore[arg-type]
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_that_is_no_such_table_is_left_alone(database: Database, tmp_path: Path, form: str) -> None:
    master = tmp_path / "plate.tif"
    master.write_bytes(b"II*\0 a master")
    with pytest.raises(UsageError, match=r"plate\.tif is there already"):
        export_table(database, "audit_item", master, form)  # type: ignore[arg-type]
    assert master.read_bytes() == b"II*\0 a master"
    export_table(database, "audit_run", tmp_path / "runs.csv", "csv")
    with pytest.raises(UsageError, match="is no such table"):
        export_table(database, "audit_item", tmp_path / "runs.csv", "csv")
    with pytest.raises(UsageError, match="is a folder"):
        export_table(database, "audit_item", tmp_path, form)  # type: ignore[arg-type]


def test_without_pyarrow_the_message_says_how_to_get_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EnvironmentProblem, match=r'pip install "archive-colorizer\[export\]"'):
        export_table(database, "audit_item", tmp_path / "items.parquet", "parquet")
    assert export_table(database, "audit_item", tmp_path / "items.csv", "csv").objects == 3
