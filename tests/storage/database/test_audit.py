"""The audit views, with figures worked out by hand."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import (
    Database,
    audit,
    colorizations,
    items,
    open_database,
    reference_metadata,
    references,
    reviews,
    runs,
    sqlite_url,
)
from storage.database.records import FailedReferenceRecord, ItemOutcome, MatchRecord, ReferenceMetadata, StageTiming
from tests.storage.database.samples import (
    ARCHIVE,
    LIBRARY,
    NOON,
    OUTPUT,
    add_items,
    add_references,
    at,
    digest,
    done,
    failed,
    item,
    start_run,
)


def test_audit_run(db: Database) -> None:
    first = start_run(db)
    second = start_run(db, started_at=at(60), parameters={"größe": 256}, flow_run_id=None)
    (item_id,) = add_items(db, "a.tif")
    runs.set_planned(db, second, items=3, skipped=1)
    colorizations.record(db, second, [done(item_id)])
    runs.finish(db, first, "completed")

    running, finished = audit.rows(db, "audit_run")
    assert running == {
        "run_id": second,
        "flow_run_id": None,
        "started_at": at(60),
        "ended_at": None,
        "state": "running",
        "items": 3,
        "done": 1,
        "failed": 0,
        "skipped": 1,
        "seconds": None,
        "code_version": "0.1.0",
        "weights_sha256": digest("w"),
        "parameters": {"größe": 256},
    }
    assert (finished["state"], finished["items"], finished["done"]) == ("completed", 0, 0)
    assert isinstance(finished["seconds"], float)
    assert finished["parameters"] == {"size": 512, "attention": "sparse"}
    assert audit.rows(db, "audit_run", first) == [finished]


def test_audit_item(db: Database) -> None:
    (reference_id,) = add_references(db, "r.jpg")
    page = items.upsert(db, [item("album.tif", page=2, kind="page")])["album.tif", 2]
    (photograph,) = add_items(db, "bild.tif")
    run_id = start_run(db)
    outcome = done(
        page,
        reference_id=reference_id,
        reference_path="r.jpg",
        reference_sha256=digest("r"),
        reference_score=0.5,
        reference_rank=1,
        match_confidence=0.625,
        low_match=False,
        reference_choice="pinned",
        matches=(MatchRecord(reference_id=reference_id, rank=1, score=0.5, chosen=True, confidence=0.625),),
    )
    colorizations.record(db, run_id, [outcome, failed(photograph)])
    ids = {row.item_id: row.id for row in colorizations.of_run(db, run_id)}
    reviews.decide(db, ids[page], "approved", reviewer="M. Keller", at=at(100))
    reviews.decide(db, ids[page], "rejected", reviewer="A. Frei", reason="sky", at=at(200))
    reviews.decide(db, ids[page], "approved", reviewer="late entry", at=at(50))

    first, second = audit.rows(db, "audit_item", run_id)
    assert first == {
        "run_id": run_id,
        "path": "album.tif",
        "kind": "page",
        "page": 2,
        "state": "done",
        "reference_path": "r.jpg",
        "reference_score": 0.5,
        "reference_rank": 1,
        "confidence": 0.75,
        "output_path": f"{page}.tif",
        "source_sha256": digest("a"),
        "output_sha256": digest("e"),
        "reference_sha256": digest("r"),
        "weights_sha256": digest("w"),
        "index_version": "flat-1",
        "device": "cpu",
        "seconds": 1.25,
        "review": "rejected",
        "created_at": at(5),
        "match_confidence": 0.625,
        "low_match": False,
        "reference_choice": "pinned",
        "item_id": page,
        "colorization_id": ids[page],
        "archive": ARCHIVE,
        "output_root": OUTPUT,
        "superseded_at": None,
        "reference_id": reference_id,
    }
    assert (second["path"], second["state"], second["review"]) == ("bild.tif", "failed", None)


def test_audit_failure(db: Database) -> None:
    a, b, c = add_items(db, "a.tif", "b.tif", "c.tif")
    first, second = start_run(db), start_run(db, started_at=at(1))
    broken = FailedReferenceRecord(
        library=LIBRARY, path="r.jpg", error_type="empty", message="nothing in it", added_by_run_id=second
    )
    references.record_failed(db, [broken])
    colorizations.record(db, first, [failed(a), done(b), ItemOutcome(item_id=c, state="skipped")])
    colorizations.record(db, second, [failed(b, stage="network", error_type="memory", message="too large")])

    assert audit.rows(db, "audit_failure", first) == [
        {
            "run_id": first,
            "path": "a.tif",
            "stage": "read",
            "error_type": "truncated",
            "message": "the file ends too early: copy it again",
            "at": at(6),
        }
    ]
    assert [(row["path"], row["stage"], row["error_type"]) for row in audit.rows(db, "audit_failure", second)] == [
        ("b.tif", "network", "memory"),
        ("r.jpg", "reference", "empty"),
    ]
    assert [row["run_id"] for row in audit.rows(db, "audit_failure")] == [second, second, first]


def test_audit_reference(db: Database) -> None:
    r, s, unused = add_references(db, "r.jpg", "s.jpg", "t.jpg")
    a, b, c, d = add_items(db, "a.tif", "b.tif", "c.tif", "d.tif")
    first, second = start_run(db), start_run(db, started_at=at(1))
    colorizations.record(
        db,
        first,
        [
            done(a, reference_id=r, reference_score=0.5, confidence=0.25),
            done(b, reference_id=r, reference_score=0.75, confidence=0.75),
            done(c, reference_id=s, reference_score=0.125, confidence=None),
            failed(d, reference_id=r, reference_score=1.0),
        ],
    )
    colorizations.record(db, second, [done(a, reference_id=r, reference_score=1.0, confidence=0.5)])

    described = ReferenceMetadata(caption="Sheep", rights="CC0", creator="M. Keller", created="um 1936", tags=("farm",))
    reference_metadata.record(db, {r: described})
    words, none = ("Sheep", "CC0", "M. Keller", "um 1936"), (None,) * 4

    rows = audit.rows(db, "audit_reference")
    assert [tuple(row.values()) for row in rows] == [
        (r, "r.jpg", digest("r"), 3, 0.75, 0.5, *words),
        (s, "s.jpg", digest("s"), 1, 0.125, None, *none),
        (unused, "t.jpg", digest("t"), 0, None, None, *none),
    ]
    assert [tuple(row.values()) for row in audit.rows(db, "audit_reference", first)] == [
        (r, "r.jpg", digest("r"), 2, 0.625, 0.5, *words),
        (s, "s.jpg", digest("s"), 1, 0.125, None, *none),
    ]


def test_audit_runtime_of_single_items(db: Database) -> None:
    run_id = start_run(db)
    ids = add_items(db, *(f"{number:02}.tif" for number in range(20)))
    # 20 seconds, 19, ... 1: median (10 + 11) / 2; 95 % of 20 is the 19th of them
    outcomes = [
        done(item_id, timings=(StageTiming(stage="network", seconds=float(20 - n)),)) for n, item_id in enumerate(ids)
    ]
    # odd number: the middle one; of three, 95 % is the third
    for n, seconds in enumerate((5.0, 1.0, 2.0)):
        timings = (*outcomes[n].timings, StageTiming(stage="write", seconds=seconds))
        outcomes[n] = done(ids[n], timings=timings)
    colorizations.record(db, run_id, outcomes)
    other = start_run(db, started_at=at(1))
    runs.record_timings(db, other, [StageTiming(stage="network", seconds=1000.0)])

    assert [tuple(row.values()) for row in audit.rows(db, "audit_runtime", run_id)] == [
        (run_id, "network", 20, 210.0, 10.5, 19.0),
        (run_id, "write", 3, 8.0, 2.0, 5.0),
    ]
    assert len(audit.rows(db, "audit_runtime")) == 3


def test_audit_runtime_weighs_batches_by_their_items(db: Database) -> None:
    run_id = start_run(db)
    a, b, c = add_items(db, "a.tif", "b.tif", "c.tif")
    # 10 items of 0.5 s, 8 of 1 s and 2 of 4 s: the 10th and 11th are 0.5 and 1, the 19th of 20 is 4
    batches = {a: (5.0, 10), b: (8.0, 8), c: (8.0, 2)}
    colorizations.record(
        db,
        run_id,
        [
            done(item_id, timings=(StageTiming(stage="embed", seconds=seconds, items=count),))
            for item_id, (seconds, count) in batches.items()
        ],
    )
    runs.record_timings(db, run_id, [StageTiming(stage="report", seconds=0.25, items=0)])
    assert [tuple(row.values()) for row in audit.rows(db, "audit_runtime", run_id)] == [
        (run_id, "embed", 20, 21.0, 0.75, 4.0),
        (run_id, "report", 0, 0.25, 0.25, 0.25),
    ]


def test_figures_are_plain_numbers(db: Database) -> None:
    """No Decimal from one database where the other gives int or float."""
    run_id = start_run(db, started_at=NOON)
    (reference_id,) = add_references(db, "r.jpg")
    (item_id,) = add_items(db, "a.tif")
    timing = StageTiming(stage="network", seconds=1.5)
    colorizations.record(db, run_id, [done(item_id, reference_id=reference_id, reference_score=0.5, timings=(timing,))])
    for view in audit.VIEWS:
        for row in audit.rows(db, view):
            assert {type(value).__name__ for value in row.values()} <= {
                *("int", "float", "str", "dict", "datetime", "NoneType")
            }, view


def test_views_answer_plain_sql(db: Database) -> None:
    start_run(db)
    with db.read() as session:
        for view in audit.VIEWS:
            session.execute(sa.text(f"SELECT * FROM {view}")).all()


def test_rows_can_be_limited_and_unknown_views_are_refused(db: Database) -> None:
    for second in range(3):
        start_run(db, started_at=at(second))
    assert len(audit.rows(db, "audit_run", limit=2)) == 2
    with pytest.raises(ValueError, match="no audit view 'audit_money'"):
        audit.rows(db, "audit_money")


def test_views_of_one_run_are_found_by_an_index(tmp_path: Path) -> None:
    tables = ("run", "u", "c", "f", "i", "t", "r", "e", "p", "s", "stage_timing")
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db, db.read() as session:
        for view in audit.VIEWS:
            if "run_id" not in audit.columns(view):
                continue
            plan = session.execute(sa.text(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE run_id = 5"))
            steps = [row.detail for row in plan]
            assert not [step for step in steps if step.startswith("SCAN") and step.split()[1] in tables], view


def test_what_became_of_one_picture_is_found_by_an_index(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db, db.read() as session:
        for view in ("audit_item", "audit_output", "audit_review"):
            plan = session.execute(sa.text(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE path = 'a.tif'"))
            steps = [row.detail for row in plan]
            assert [step for step in steps if "ix_item_path" in step], view
            assert not [step for step in steps if step.startswith(("SCAN c", "SCAN i", "SCAN r"))], view
