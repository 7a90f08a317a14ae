"""The audit views, filtered: on records of which the answers are known (`audited`)."""

from dataclasses import fields
from datetime import timedelta, timezone

import pytest
import sqlalchemy as sa

from storage.database import Database, audit, colorizations, references
from storage.database.audit import AuditFilter
from storage.database.records import FailedReferenceRecord
from tests.storage.database.audited import HARBOUR, MEADOW, day, fill
from tests.storage.database.samples import (
    ARCHIVE,
    LIBRARY,
    OUTPUT,
    add_items,
    at,
    digest,
    done,
    failed,
    start_run,
)

TAKEN = {
    "audit_run": "run_id state since until",
    "audit_item": "run_id state since until reference below reviewed path current",
    "audit_output": "run_id since until reference below reviewed path current",
    "audit_shot": "run_id reference below path",
    "audit_failure": "run_id since until path",
    "audit_reference": "run_id reference below path",
    "audit_runtime": "run_id",
    "audit_stage": "run_id path",
    "audit_review": "run_id state since until path",
    "audit_event": "run_id state since until path",
    "audit_fixity": "state since until path",
}


@pytest.fixture
def records(db: Database) -> Database:
    fill(db)
    return db


def _listed(
    db: Database, view: str, *names: str, limit: int | None = None, **where: object
) -> list[tuple[object, ...]]:
    rows = audit.stream(db, view, AuditFilter(**where), limit)  # type: ignore[arg-type]
    return [tuple(row[name] for name in names) for row in rows]


def test_a_filter_is_taken_where_there_is_a_column_for_it(records: Database) -> None:
    assert {view: audit.filters(view) for view in audit.VIEWS} == {
        view: {*names.split()} for view, names in TAKEN.items()
    }
    wanted = {
        "run_id": 1,
        "since": day(1, 1),
        "until": day(12, 31),
        "reference": "meadow.jpg",
        "below": 0.5,
        "reviewed": True,
        "path": "album.pdf",
        "current": True,
    }
    states = {"audit_run": "running", "audit_item": "done", "audit_review": "approved", "audit_fixity": "intact"}
    assert {*wanted, "state"} == {field.name for field in fields(AuditFilter)}
    for view in audit.VIEWS:
        for name, value in (wanted | {"state": states.get(view, "reviewed")}).items():
            if name in audit.filters(view):
                list(audit.stream(records, view, AuditFilter(**{name: value})))  # type: ignore[arg-type]
            else:
                with pytest.raises(ValueError, match=f"{view} cannot be filtered by {name}"):
                    audit.stream(records, view, AuditFilter(**{name: value}))  # type: ignore[arg-type]


def test_everything_comes_newest_run_first_and_as_without_a_filter(records: Database) -> None:
    for view in audit.VIEWS:
        assert list(audit.stream(records, view)) == audit.rows(records, view)
    assert _listed(records, "audit_item", "run_id", "path", "page") == [
        (2, "plates/gate.tif", 1),
        (2, "plates/mill.tif", 1),
        (2, "plates/quay.tif", 1),
        (1, "album.pdf", 1),
        (1, "album.pdf", 2),
        (1, "films/reel.mkv", 1),
        (1, "plates/dark.tif", 1),
        (1, "plates/mill.tif", 1),
        (1, "plates/quay.tif", 1),
    ]


def test_rows_of_one_run(records: Database) -> None:
    assert {run_id for (run_id,) in _listed(records, "audit_output", "run_id", run_id=2)} == {2}
    assert _listed(records, "audit_reference", "path", "times_used", run_id=2) == [("harbour.jpg", 1)]
    assert _listed(records, "audit_item", "path", run_id=7) == []
    with pytest.raises(ValueError, match="audit_fixity cannot be filtered by run_id"):
        audit.rows(records, "audit_fixity", 1)


def test_states(records: Database) -> None:
    assert _listed(records, "audit_item", "path", "page", state="failed") == [("album.pdf", 2), ("plates/dark.tif", 1)]
    assert _listed(records, "audit_run", "run_id", state="completed") == []
    assert _listed(records, "audit_run", "run_id", state="running") == [(2,), (1,)]
    assert _listed(records, "audit_review", "path", state="rejected") == [("album.pdf",)]
    assert _listed(records, "audit_fixity", "path", state="missing") == [(f"{OUTPUT}/album.pdf",)]
    assert _listed(records, "audit_event", "outcome", state="reviewed") == [("rejected",), ("approved",), ("replaced",)]
    for view, state in (("audit_item", "ended"), ("audit_run", "done"), ("audit_review", "Approved")):
        with pytest.raises(ValueError, match=f"'{state}' is none of"):
            audit.stream(records, view, AuditFilter(state=state))


def test_times_from_an_instant_to_before_another(records: Database) -> None:
    assert _listed(records, "audit_run", "run_id", since=day(3, 2)) == [(2,)]
    assert _listed(records, "audit_run", "run_id", until=day(3, 2)) == [(1,)]
    assert _listed(records, "audit_item", "path", "page", since=day(2, 28), until=day(3, 1)) == [("album.pdf", 2)]
    assert _listed(records, "audit_review", "at", since=day(3, 1, 9), until=day(3, 1, 10)) == [(day(3, 1, 9),)]
    assert {path for (path,) in _listed(records, "audit_output", "path", since=day(3, 1))} == {
        *("plates/gate.tif", "plates/mill.tif")
    }
    assert _listed(records, "audit_failure", "path", until=day(2, 28)) == [("plates/dark.tif",)]
    assert _listed(records, "audit_fixity", "path", until=day(1, 1)) == [(f"{OUTPUT}/plates/mill.tif",)]
    with pytest.raises(ValueError, match="nothing can be between"):
        audit.stream(records, "audit_run", AuditFilter(since=day(3, 2), until=day(3, 2)))


def test_a_reference_by_path_digest_or_number(records: Database) -> None:
    with records.read() as session:
        number = session.scalar(sa.text("SELECT id FROM reference WHERE path = 'meadow.jpg'"))
    rests = [(1, "films/reel.mkv"), (1, "plates/mill.tif")]  # the film by its second shot
    for wanted in ("meadow.jpg", MEADOW, MEADOW[:6], MEADOW[:6].upper(), str(number)):
        assert _listed(records, "audit_item", "run_id", "path", reference=wanted) == rests, wanted
        assert _listed(records, "audit_output", "output_path", reference=wanted) == [
            *(("films/reel.mkv",), ("films/reel.mp4",), ("plates/mill.tif",))
        ]
        assert _listed(records, "audit_shot", "path", "shot", reference=wanted) == [("films/reel.mkv", 2)]
        assert _listed(records, "audit_reference", "path", "times_used", reference=wanted) == [("meadow.jpg", 2)]
        assert _listed(records, "audit_reference", "times_used", reference=wanted, run_id=1) == [(2,)]
        assert _listed(records, "audit_item", "path", reference=wanted, run_id=2) == []
    assert _listed(records, "audit_item", "path", reference=MEADOW[:6], current=True) == [("films/reel.mkv",)]


def test_a_reference_that_is_not_in_any_library(records: Database) -> None:
    """It has no number: it is known by the path and the digest that were noted with the result."""
    for wanted in ("given.jpg", digest("7")[:10]):
        assert _listed(records, "audit_item", "path", reference=wanted) == [("plates/gate.tif",)]
        assert _listed(records, "audit_reference", "path", reference=wanted) == []


@pytest.mark.parametrize("wanted", ["meadow", "9f2d00", "9f2c1", "999999", "1" * 40, "", "%", "meadow.jpg' OR 1=1"])
def test_a_reference_that_is_not_on_record(records: Database, wanted: str) -> None:
    with pytest.raises(ValueError, match="is on record: give its path") as caught:
        audit.stream(records, "audit_item", AuditFilter(reference=wanted))
    assert "\n" not in str(caught.value)


def test_confidence(records: Database) -> None:
    assert _listed(records, "audit_item", "run_id", "path", below=0.5) == [
        (2, "plates/gate.tif"),
        (1, "plates/mill.tif"),
    ]
    assert _listed(records, "audit_shot", "shot", below=0.5) == [(2,)]
    assert _listed(records, "audit_reference", "path", below=0.5) == [("meadow.jpg",)]
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="a confidence is from 0 to 1"):
            audit.stream(records, "audit_item", AuditFilter(below=wrong))


def test_what_was_reviewed_and_what_counts(records: Database) -> None:
    reviewed = [(1, "album.pdf"), (1, "plates/mill.tif"), (1, "plates/quay.tif")]
    assert _listed(records, "audit_output", "run_id", "path", reviewed=True) == reviewed
    assert _listed(records, "audit_output", "output_path", reviewed=False) == [
        *(("plates/gate.tif",), ("plates/mill.tif",), ("films/reel.mkv",), ("films/reel.mp4",))
    ]
    assert _listed(records, "audit_output", "run_id", path="plates/mill.tif", current=True) == [(2,)]
    assert _listed(records, "audit_output", "path", reviewed=True, current=True) == [
        ("album.pdf",),
        ("plates/quay.tif",),
    ]


def test_paths_folders_and_patterns(records: Database) -> None:
    assert _listed(records, "audit_item", "run_id", path="plates/mill.tif") == [(2,), (1,)]
    for wanted in ("plates", "plates/", "./plates", "plates/*", "pl[a-b]tes/*", "plates/????.tif"):
        found = {path for (path,) in _listed(records, "audit_item", "path", path=wanted)}
        assert found == {f"plates/{name}.tif" for name in ("mill", "quay", "dark", "gate")}, wanted
    assert _listed(records, "audit_failure", "path", path="*.pdf") == [("album.pdf",)]
    assert _listed(records, "audit_event", "type", path="album.pdf") == [("reviewed",)]
    assert _listed(records, "audit_fixity", "what", path=f"{ARCHIVE}/plates") == [("source",)] * 2
    assert _listed(records, "audit_stage", "seconds", path="*/quay*") == [(4.0,), (1.0,)]
    assert _listed(records, "audit_reference", "path", path="[hm]*") == [("harbour.jpg",), ("meadow.jpg",)]
    with pytest.raises(ValueError, match="a range runs backwards"):
        audit.stream(records, "audit_item", AuditFilter(path="[z-a]*"))
    with pytest.raises(ValueError, match="is empty"):
        audit.stream(records, "audit_item", AuditFilter(path=""))


def test_filters_together(records: Database) -> None:
    where = AuditFilter(run_id=1, state="done", reference=HARBOUR[:8], reviewed=True, path="plates", current=True)
    assert [row["path"] for row in audit.stream(records, "audit_item", where)] == ["plates/quay.tif"]


def test_limits(records: Database) -> None:
    assert _listed(records, "audit_item", "run_id", "path", limit=4)[-2:] == [(2, "plates/quay.tif"), (1, "album.pdf")]
    assert _listed(records, "audit_item", "path", limit=1, state="failed") == [("album.pdf",)]
    assert len(_listed(records, "audit_event", "type", limit=3)) == 3
    assert len(audit.rows(records, "audit_item", limit=100)) == 9
    with pytest.raises(ValueError, match="0 rows cannot be asked for"):
        audit.stream(records, "audit_item", limit=0)


def test_rows_are_read_as_they_are_asked_for(db: Database) -> None:
    """Also while something is written: they are of one state, and not all in memory."""
    run_id = start_run(db)
    names = [f"{number:05}.tif" for number in range(5000)]
    ids = add_items(db, *names)
    colorizations.record(db, run_id, [done(id_, seconds=float(number)) for number, id_ in enumerate(ids)])
    rows = audit.stream(db, "audit_item")
    first = next(rows)
    later = start_run(db, started_at=at(100))
    (another,) = add_items(db, "another.tif")
    colorizations.record(db, later, [done(another)])
    rest = list(rows)
    assert [row["path"] for row in (first, *rest)] == names
    assert len(audit.rows(db, "audit_item")) == 5001


def test_a_run_that_ends_later_does_not_hide_failures_of_no_run(db: Database) -> None:
    """References can fail while a library is made, which is no run."""
    broken = FailedReferenceRecord(library=LIBRARY, path="r.jpg", error_type="empty", message="nothing in it")
    references.record_failed(db, [broken])
    (item_id,) = add_items(db, "a.tif")
    colorizations.record(db, start_run(db), [failed(item_id)])
    assert _listed(db, "audit_failure", "run_id", "path") == [(1, "a.tif"), (None, "r.jpg")]
    assert _listed(db, "audit_failure", "path", limit=1) == [("a.tif",)]


def test_an_instant_may_be_said_in_any_zone(records: Database) -> None:
    east = timezone(timedelta(hours=1))
    assert _listed(records, "audit_run", "run_id", since=day(3, 2).astimezone(east)) == [(2,)]
    assert _listed(records, "audit_run", "run_id", since=day(3, 2).replace(tzinfo=east)) == [(2,)]
    assert _listed(records, "audit_run", "run_id", until=day(3, 2).replace(tzinfo=east)) == [(1,)]
