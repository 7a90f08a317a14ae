"""A database in which every table has rows, some of them awkward."""

from typing import Any

import sqlalchemy as sa

from storage.database import Database, colorizations, reviews, runs
from storage.database.models import Base, Fixity, Reference, ReferenceParts, ReferenceTag
from storage.database.records import MatchRecord, StageTiming
from tests.storage.database.samples import (
    NOON,
    add_items,
    add_references,
    digest,
    done,
    failed,
    further_copy,
    shot,
    start_run,
)
from tests.storage.database.test_film import add_film

Rows = dict[str, list[tuple[Any, ...]]]


def fill(db: Database) -> int:
    """Records of one run that ended and one that is under way; the id of the first."""
    references = add_references(db, "a/Farbe – 1.jpg", "b.jpg", "c.jpg")
    ids = add_items(db, "Zürich.tif", "tab\there.tif", "c.tif")
    film = add_film(db, "film.mkv")
    run_id = start_run(db, parameters={"size": 512, "tiny": 1e-7, "third": 1 / 3, "text": "Grüße \U0001f5bc \"'"})
    matches = tuple(
        MatchRecord(reference_id=reference, rank=rank, score=1 / 3 / rank, chosen=rank == 1, confidence=0.1)
        for rank, reference in enumerate(references, start=1)
    )
    timings = (StageTiming(stage="network", seconds=0.1 + 0.2), StageTiming(stage="write", seconds=1e-9))
    outcomes = [
        done(ids[0], reference_id=references[0], matches=matches, timings=timings, low_match=False, network_size=512),
        done(ids[1], reference_id=references[1], copies=(further_copy("b.jpg"), further_copy("b.png"))),
        failed(ids[2], message="two\nlines and a \0 too"),
        done(film, frames=50, reference_id=references[0], shots=(shot(1, 0, 9, reference_id=references[0]),)),
    ]
    colorizations.record(db, run_id, outcomes)
    first, *_ = colorizations.of_run(db, run_id)
    reviews.decide(db, first.id, "replaced", reviewer="reviewer 1", reference_id=references[2], reason="too red")
    runs.record_timings(db, run_id, [StageTiming(stage="index", seconds=3.0, items=0)])
    runs.finish(db, run_id, "completed_with_failures", "one of four")
    start_run(db, started_at=None)
    with db.write() as session:
        # the first looks like the last, which is a row that comes later
        session.execute(
            sa.update(Reference).where(Reference.id == references[0]).values(near_duplicate_of=references[2])
        )
        session.execute(
            sa.insert(ReferenceTag), [{"reference_id": references[0], "tag": tag} for tag in ("z", "Ä", "a", "B")]
        )
        session.execute(
            sa.insert(ReferenceParts), {"reference_id": references[1], "version": "1", "parts": bytes(range(256)) * 100}
        )
        session.execute(
            sa.insert(Fixity),
            {
                "what": "output",
                "path": "/output/a.tif",
                "finding": "changed",
                "expected_sha256": digest("e"),
                "found_sha256": digest("f"),
                "checked_at": NOON,
            },
        )
    assert min(len(rows) for rows in all_rows(db).values()) > 0
    return run_id


def all_rows(db: Database) -> Rows:
    """Everything, as Python values, in any order."""
    with db.read() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(sa.select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }
