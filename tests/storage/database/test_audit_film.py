"""The audit views on films, with figures worked out by hand."""

from pathlib import Path

import sqlalchemy as sa

from storage.database import Database, audit, colorizations, open_database, sqlite_url
from tests.storage.database.samples import (
    add_items,
    add_references,
    at,
    digest,
    done,
    failed,
    shot,
    start_run,
)
from tests.storage.database.test_film import add_film, film_outcome


def test_audit_shot(db: Database) -> None:
    forest, sea = add_references(db, "forest.jpg", "sea.jpg")
    film, broken = add_film(db, "film.mkv"), add_film(db, "broken.mkv")
    first, second = start_run(db), start_run(db, started_at=at(1))
    colorizations.record(db, first, [film_outcome(film, forest, sea)])
    colorizations.record(db, second, [failed(broken, shots=(shot(1, 0, 4, confidence=None),))])

    rows = audit.rows(db, "audit_shot", first)
    assert rows[0] == {
        "run_id": first,
        "path": "film.mkv",
        "shot": 1,
        "first_frame": 0,
        "last_frame": 29,
        "frames": 30,
        "cut_score": None,
        "reference_path": "forest.jpg",
        "reference_sha256": digest("f"),
        "reference_score": 0.75,
        "reference_rank": 2,
        "reference_choice": "retrieved",
        "confidence": 0.75,
        "flicker": 0.25,
        "fps": 8.0,
        "seconds": 10.0,
        "seconds_read": 1.0,
        "seconds_network": 6.0,
        "seconds_motion": 2.0,
        "seconds_chroma": 3.0,
        "seconds_write": 4.0,
        "output_path": f"{film}.mkv",
        "match_confidence": None,
        "low_match": None,
    }
    assert [(row["shot"], row["reference_choice"], row["flicker"]) for row in rows] == [
        (1, "retrieved", 0.25),
        (2, "retrieved", None),
        (3, "given", 0.25),
    ]
    (unfinished,) = audit.rows(db, "audit_shot", second)
    assert (unfinished["path"], unfinished["last_frame"], unfinished["output_path"]) == ("broken.mkv", 4, None)
    assert audit.rows(db, "audit_shot") == [unfinished, *rows]
    for row in rows:
        assert {type(value).__name__ for value in row.values()} <= {"int", "float", "str", "bool", "NoneType"}


def test_a_reference_is_used_once_by_a_photograph_and_once_by_a_film(db: Database) -> None:
    forest, sea, unused = add_references(db, "forest.jpg", "sea.jpg", "unused.jpg")
    film, short, old, broken = (add_film(db, f"{name}.mkv") for name in ("film", "short", "old", "broken"))
    a, b = add_items(db, "a.tif", "b.tif")
    first, second = start_run(db), start_run(db, started_at=at(1))

    def in_shot(number: int, reference_id: int | None, score: float | None, confidence: float | None) -> object:
        first_frame = 10 * number
        figures = {"reference_id": reference_id, "reference_score": score, "confidence": confidence}
        return shot(number, first_frame, first_frame + 9, **figures)

    main = {"reference_id": forest, "reference_score": 1.0, "confidence": 1.0}
    shots = (
        in_shot(1, forest, 0.25, 0.5),
        in_shot(2, sea, 0.5, 0.25),
        in_shot(3, forest, 0.75, 1.0),
        in_shot(4, None, None, 0.0),
    )
    colorizations.record(
        db,
        first,
        [
            done(a, reference_id=forest, reference_score=1.0, confidence=0.25),
            done(b, reference_id=sea, reference_score=0.125, confidence=None),
            # counts for both references, whatever its own row says
            done(film, **main, frames=40, shots=shots),
            # recorded without shots: counts by its own row
            done(old, reference_id=sea, reference_score=0.875, confidence=0.75),
            failed(broken, reference_id=sea, shots=shots),
        ],
    )
    colorizations.record(db, second, [done(short, **main, frames=10, shots=(in_shot(1, sea, None, 0.5),))])

    # forest: 1.0 and the film's (0.25 + 0.75) / 2; sea: 0.125, 0.875, the film's 0.5, and one without a score
    assert [tuple(row.values())[:6] for row in audit.rows(db, "audit_reference")] == [
        (sea, "sea.jpg", digest("s"), 4, 0.5, 0.5),
        (forest, "forest.jpg", digest("f"), 2, 0.75, 0.5),
        (unused, "unused.jpg", digest("u"), 0, None, None),
    ]
    assert [tuple(row.values())[:6] for row in audit.rows(db, "audit_reference", first)] == [
        (sea, "sea.jpg", digest("s"), 3, 0.5, 0.5),
        (forest, "forest.jpg", digest("f"), 2, 0.75, 0.5),
    ]
    assert [tuple(row.values())[:6] for row in audit.rows(db, "audit_reference", second)] == [
        (sea, "sea.jpg", digest("s"), 1, None, 0.5),
    ]


def test_of_a_million_photographs_audit_reference_reads_an_index_only(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db, db.read() as session:
        steps = [row.detail for row in session.execute(sa.text("EXPLAIN QUERY PLAN SELECT * FROM audit_reference"))]
    (photographs,) = [step for step in steps if step.split()[1] == "c" and "rowid" not in step]
    assert "USING COVERING INDEX ix_colorization_reference_id" in photographs
    of_shots = [step for step in steps if step.split()[1] == "t"]
    assert of_shots
    assert all("USING COVERING INDEX" in step for step in of_shots)


def test_shots_of_one_run_are_found_by_an_index(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path / "provenance.db")) as db, db.read() as session:
        plan = session.execute(sa.text("EXPLAIN QUERY PLAN SELECT * FROM audit_shot WHERE run_id = 5"))
        assert [row.detail.split()[0] for row in plan] == ["SEARCH"] * 3
