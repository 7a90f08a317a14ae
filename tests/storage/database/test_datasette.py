"""Datasette browses the record of a run, read-only, also while a run is writing it."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.database import audit, colorizations, open_database, sqlite_url
from storage.database.models import Run
from tests.storage.database.audited import fill
from tests.storage.database.samples import add_items, at, done, start_run

datasette_app = pytest.importorskip("datasette.app")
FACETS = {
    "audit_run": ("state", "running", 2),
    "audit_item": ("state", "done", 6),
    "audit_output": ("output_format", "tiff", 6),
    "audit_stage": ("stage", "network", 2),
    "audit_review": ("decision", "approved", 1),
    "audit_event": ("type", "reviewed", 3),
    "audit_fixity": ("finding", "intact", 3),
    "audit_shot": ("reference_path", "meadow.jpg", 1),
    "audit_failure": ("error_type", "memory", 1),
    "audit_reference": ("rights", "CC0", 1),
    "audit_runtime": ("stage", "write", 1),
}
"""A column to count by, one of its values, and how many rows have that."""


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    file = tmp_path / "provenance.db"
    file.write_bytes(sqlite_template.read_bytes())
    with open_database(sqlite_url(file)) as db:
        fill(db)
    return file


@pytest.fixture
def browser(file: Path) -> Iterator["Browser"]:
    browser = Browser(file)
    yield browser
    browser.close()


class Browser:
    """A datasette that serves one file, as `datasette FILE` does, and what it answers to a visitor."""

    def __init__(self, file: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._datasette: Any = datasette_app.Datasette([str(file)])
        self._loop.run_until_complete(self._datasette.invoke_startup())

    def get(self, path: str, **query: str) -> Any:
        return self._loop.run_until_complete(self._datasette.client.get(path, params=query))

    def json(self, path: str, **query: str) -> Mapping[str, Any]:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        found: Mapping[str, Any] = answer.json()
        return found

    def close(self) -> None:
        for database in self._datasette.databases.values():
            database.close()
        self._datasette.executor.shutdown()
        self._loop.close()


def test_every_view_is_offered(browser: Browser) -> None:
    offered = {view["name"] for view in browser.json("/provenance.json")["views"]}
    assert offered == {*audit.VIEWS} == {*FACETS}


@pytest.mark.parametrize("view", audit.VIEWS)
def test_a_view_is_browsed_with_a_filter_and_a_facet(browser: Browser, file: Path, view: str) -> None:
    column, value, count = FACETS[view]
    whole = browser.json(f"/provenance/{view}.json", _shape="objects", _facet=column, _size="max")
    assert [*whole["rows"][0]] == audit.columns(view)
    with open_database(sqlite_url(file)) as db:
        assert len(whole["rows"]) == len(audit.rows(db, view))
    counted = {one["value"]: one["count"] for one in whole["facet_results"][column]["results"]}
    assert counted[value] == count
    some = browser.json(f"/provenance/{view}.json", _shape="objects", **{f"{column}__exact": value})
    assert [row[column] for row in some["rows"]] == [value] * count


def test_a_view_is_a_page_for_people_and_a_table_for_programs(browser: Browser) -> None:
    page = browser.get("/provenance/audit_item", run_id="1")
    assert page.status_code == 200
    assert "plates/mill.tif" in page.text
    assert "plates/gate.tif" not in page.text  # which the second run made
    csv = browser.get("/provenance/audit_review.csv")
    assert csv.text.splitlines()[0] == ",".join(audit.columns("audit_review"))


def test_nothing_can_be_written(browser: Browser, file: Path) -> None:
    before = _content(file)
    refused = browser.get("/provenance.json", sql="DELETE FROM review")
    assert refused.status_code == 400
    assert "must be a SELECT" in refused.json()["error"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        browser._loop.run_until_complete(
            browser._datasette.databases["provenance"].execute_fn(lambda found: found.execute("DELETE FROM review"))
        )
    assert _content(file) == before


def test_it_sees_what_a_run_writes_meanwhile_and_holds_nothing_up(browser: Browser, file: Path) -> None:
    assert len(browser.json("/provenance/audit_item.json", run_id="3")["rows"]) == 0
    # no patience: a lock that datasette held would be an error at once
    with open_database(sqlite_url(file), patience_seconds=0.0) as db:
        run_id = start_run(db, started_at=at(100_000))
        for number in range(3):
            (item_id,) = add_items(db, f"new-{number}.tif")
            colorizations.record(db, run_id, [done(item_id)])
            rows = browser.json("/provenance/audit_item.json", _shape="objects", run_id=str(run_id))["rows"]
            assert [row["path"] for row in rows] == [f"new-{other}.tif" for other in range(number + 1)]
        with db.write() as session:
            session.execute(sa.update(Run).where(Run.id == run_id).values(skipped=7))
            assert _skipped(browser, run_id) == 0  # as before the transaction, which has not ended
            session.commit()
        assert _skipped(browser, run_id) == 7


def _skipped(browser: Browser, run_id: int) -> object:
    (row,) = browser.json("/provenance/audit_run.json", _shape="objects", run_id=str(run_id))["rows"]
    return row["skipped"]


def _content(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        return [*connection.iterdump()]
