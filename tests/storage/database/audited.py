"""The records of two runs, of which every answer to deploy/audit.sql is known; and the questions there."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storage.database import Database, colorizations, items, reference_metadata, references, reviews
from storage.database.models import Fixity
from storage.database.records import ItemOutcome, ReferenceMetadata, StageTiming
from tests.storage.database.samples import (
    ARCHIVE,
    OUTPUT,
    digest,
    done,
    failed,
    further_copy,
    item,
    reference,
    shot,
    start_run,
)

QUESTIONS = Path(__file__).parents[3] / "deploy" / "audit.sql"
MEADOW, HARBOUR = "9f2c" + "0" * 60, digest("b")
OLD_WEIGHTS, WEIGHTS = "77aa" + "0" * 60, digest("d")


@dataclass(frozen=True)
class Question:
    """A question and the SQL that answers it."""

    text: str
    sql: str

    def of_run(self, run_id: int) -> "Question":
        """About one run only, if it can be."""
        return replace(self, sql=re.sub(r"/\* (AND .*?run_id = )1 \*/", rf"\g<1>{run_id}", self.sql))


def questions() -> list[Question]:
    """Those of the file; the comment line before a statement is the question."""
    found = []
    for block in QUESTIONS.read_text().split("\n\n")[1:]:
        text, *lines = block.strip().splitlines()
        found.append(Question(text.removeprefix("-- "), "\n".join(lines).rstrip(";")))
    return found


def day(month: int, day_: int, hour: int = 12) -> datetime:
    """That hour of 2026, in UTC."""
    return datetime(2026, month, day_, hour, tzinfo=UTC)


def fill(db: Database) -> None:
    """The second run coloured again what somebody wanted otherwise."""
    pictures = {"meadow.jpg": MEADOW, "harbour.jpg": HARBOUR, "alley.jpg": digest("c")}
    known = references.upsert(db, [reference(path, sha256=sha256) for path, sha256 in pictures.items()])
    meadow, harbour = known["meadow.jpg"], known["harbour.jpg"]
    reference_metadata.record(db, {meadow: ReferenceMetadata(rights="CC0"), harbour: ReferenceMetadata(creator="Frei")})
    names = ("plates/mill.tif", "plates/quay.tif", "plates/dark.tif", "plates/gate.tif")
    found = items.upsert(
        db,
        [
            *(item(name) for name in names),
            *(item("album.pdf", kind="page", page=page) for page in (1, 2)),
            item("films/reel.mkv", kind="film", frames=50),
        ],
    )
    mill, quay, dark, gate = (found[name, 1] for name in names)
    of_meadow = {"reference_id": meadow, "reference_path": "meadow.jpg", "reference_sha256": MEADOW}
    of_harbour = {"reference_id": harbour, "reference_path": "harbour.jpg", "reference_sha256": HARBOUR}
    first = start_run(
        db,
        started_at=day(2, 27),
        weights_sha256=OLD_WEIGHTS,
        code_version="0.3.0",
        library_versions={"torch": "2.12.0", "numpy": "2.3.0"},
    )
    common: dict[str, Any] = {"started_at": day(2, 27), "created_at": day(2, 27), "reference_choice": "retrieved"}
    colorizations.record(
        db,
        first,
        [
            done(
                mill,
                **common | of_meadow,
                output_path="plates/mill.tif",
                output_sha256=digest("1"),
                confidence=0.25,
                timings=(StageTiming(stage="network", seconds=2.0), StageTiming(stage="write", seconds=0.5)),
            ),
            done(
                quay,
                **common | of_harbour,
                output_path="plates/quay.tif",
                output_sha256=digest("2"),
                output_bytes=2_000_000_000,
                confidence=0.75,
                match_confidence=0.125,
                low_match=True,
                timings=(StageTiming(stage="network", seconds=1.0), StageTiming(stage="write", seconds=4.0)),
            ),
            failed(dark, created_at=day(2, 27)),
            done(
                found["album.pdf", 1],
                **common | of_harbour,
                output_path="album.pdf",
                output_sha256=digest("3"),
                confidence=0.5,
            ),
            failed(
                found["album.pdf", 2], created_at=day(2, 28), stage="network", error_type="memory", message="too large"
            ),
            done(
                found["films/reel.mkv", 1],
                **common | of_harbour,
                output_path="films/reel.mkv",
                output_sha256=digest("4"),
                confidence=0.625,
                shots=(
                    shot(1, 0, 29, **of_harbour, confidence=0.875),
                    shot(2, 30, 49, **of_meadow, confidence=0.375),
                ),
                copies=(further_copy("films/reel.mp4"),),
            ),
        ],
    )
    second = start_run(
        db, started_at=day(3, 2), weights_sha256=WEIGHTS, code_version="0.5.0", library_versions={"torch": "2.13.0"}
    )
    again = common | {"created_at": day(3, 2), "reference_choice": "pinned"}
    given = {"reference_path": "given.jpg", "reference_sha256": digest("7")}
    colorizations.record(
        db,
        second,
        [
            done(
                mill, **again | of_harbour, output_path="plates/mill.tif", output_sha256=digest("5"), confidence=0.875
            ),
            done(gate, **again | given, output_path="plates/gate.tif", output_sha256=digest("6"), confidence=0.375),
            ItemOutcome(item_id=quay, state="skipped"),
        ],
    )
    ids = {(row.run_id, row.path, row.page): row.id for run in (1, 2) for row in colorizations.of_run(db, run)}
    reviews.decide(
        db,
        ids[1, "plates/mill.tif", 1],
        "replaced",
        reviewer="reviewer 1",
        reason="sky too green",
        reference_id=harbour,
        at=day(3, 1, 9),
    )
    reviews.decide(db, ids[1, "plates/quay.tif", 1], "approved", reviewer="reviewer 2", at=day(3, 1, 10))
    reviews.decide(db, ids[1, "album.pdf", 1], "rejected", reviewer="reviewer 2", reason="faces are grey", at=day(3, 3))
    colorizations.keep(db, ids[1, "plates/mill.tif", 1], "replaced/mill.tif")
    checked = [
        ("output", f"{OUTPUT}/plates/quay.tif", "intact", digest("2"), digest("2"), day(3, 5)),
        ("output", f"{OUTPUT}/plates/mill.tif", "intact", digest("5"), digest("5"), day(3, 5).replace(year=2025)),
        ("output", f"{OUTPUT}/album.pdf", "missing", digest("3"), None, day(3, 5)),
        ("output", f"{OUTPUT}/films/reel.mkv", "changed", digest("4"), digest("0"), day(3, 5)),
        ("source", f"{ARCHIVE}/plates/quay.tif", "changed", digest("a"), digest("8"), day(3, 5)),
        ("source", f"{ARCHIVE}/plates/mill.tif", "intact", digest("a"), digest("a"), day(3, 5)),
    ]
    names_of = ("what", "path", "finding", "expected_sha256", "found_sha256", "checked_at")
    with db.write() as session:
        session.execute(sa.insert(Fixity), [dict(zip(names_of, row, strict=True)) for row in checked])
