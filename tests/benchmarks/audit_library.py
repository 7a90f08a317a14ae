"""A large library's records, made by bulk SQL in minutes, sealed by real events.

Every run colorizes equally many items, the last twentieth of all once more what the first ones did; each with five
candidates and ten timings, some failed, some with copies, shots, reviews, findings about their files.
"""

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import events, open_database, runs
from storage.database.models import Base, Colorization, Event, Review, Run
from storage.database.records import RunRecord
from storage.database.seals import RecordKind, canonical, seals
from storage.database.statements import chunks

START = datetime(2026, 1, 1, tzinfo=UTC)
REFERENCES = 10_000
BATCH = 16
STAGES = ("read", "content", "embed", "search", "rerank", "reference", "network", "chroma", "write", "thumbnail")

# {numbers} is a table of the numbers x from 0; digest_of and at_second are functions that both databases are given.
_PATH = (
    "CASE WHEN x % {distinct} / 10 % 10 = 0 THEN 'box-' || (x % {distinct} / 500) || '/album-' || (x % {distinct} / 10)"
    " || '.pdf' WHEN x % {distinct} % 1000 = 500 THEN 'films/reel-' || (x % {distinct}) || '.mkv'"
    " ELSE 'box-' || (x % {distinct} / 500) || '/plate-' || (x % {distinct}) || '.tif' END"
)
_PAGE = "CASE WHEN x % {distinct} / 10 % 10 = 0 THEN x % 10 + 1 ELSE 1 END"
SEEDS = {
    "reference": """
INSERT INTO reference (id, library, path, sha256, width, height, size_bytes, mtime_ns, state, embedding_version,
    embedding, added_at, change, caption, rights, creator, metadata_read)
SELECT x + 1, '/references', 'colour-' || (x + 1) || '.jpg', digest_of('r' || (x + 1)), 1024, 683, 300000, 1, 'active',
    'vgg-1', CAST('{blob}' AS {binary}), at_second(0), 0, 'View of place ' || x,
    CASE WHEN x % 10 = 0 THEN NULL ELSE 'CC0' END, 'somebody', x >= 0
FROM {numbers}""",
    "item": f"""
INSERT INTO item (id, archive, path, page, kind, format, width, height, channels, bit_depth, size_bytes, mtime_ns,
    sha256, first_seen_at, examined_at)
SELECT x + 1, '/archive/glass-plates', {_PATH}, {_PAGE},
    CASE WHEN x / 10 % 10 = 0 THEN 'page' WHEN x % 1000 = 500 THEN 'film' ELSE 'photograph' END,
    'tiff', 4000, 3000, 1, 16, 24000000, 1, digest_of('s' || (x + 1)), at_second(0), at_second(0)
FROM {{numbers}} WHERE x < {{distinct}}""",
    "colorization": f"""
INSERT INTO colorization (id, run_id, item_id, reference_id, state, request_key, source_sha256, reference_path,
    reference_sha256, reference_score, reference_rank, output_root, output_path, output_sha256, output_bytes,
    output_format, width, height, bit_depth, weights_sha256, index_version, device, precision, confidence, seconds,
    peak_memory_bytes, started_at, created_at, stage, error_type, message, superseded_at, match_confidence, low_match,
    reference_choice, network_size)
SELECT x + 1, run_id, item + 1, reference_id, CASE WHEN ok THEN 'done' ELSE 'failed' END, digest_of('k' || x),
    digest_of('s' || (item + 1)), 'colour-' || reference_id || '.jpg', digest_of('r' || reference_id),
    (x * 7919 % 1000) / 1000.0, 1, '/output', CASE WHEN ok THEN path || '-' || page || '.tif' END,
    CASE WHEN ok THEN digest_of('o' || x) END, 72000000 + x, 'tiff', 4000, 3000, 16, digest_of('w' || (run_id / 50)),
    'flat-1', 'cuda', 'float32', (x * 104729 % 1000) / 1000.0, 1.0 + (x * 31 % 100) / 100.0, 2000000000,
    at_second(2 * x), at_second(2 * x + 2), CASE WHEN ok THEN NULL ELSE 'read' END,
    CASE WHEN ok THEN NULL ELSE 'truncated' END,
    CASE WHEN ok THEN NULL ELSE 'the file ends too early: copy it again' END,
    CASE WHEN x < {{all}} - {{distinct}} THEN at_second(2 * (x + {{distinct}})) END,
    (x * 15485863 % 1000) / 1000.0, x * 15485863 % 1000 < 100, 'retrieved', 512
FROM (SELECT x, x / {{each}} + 1 AS run_id, x % {{distinct}} AS item, x * 7 % {REFERENCES} + 1 AS reference_id,
          x % 200 <> 199 AS ok, {_PATH} AS path, {_PAGE} AS page
      FROM {{numbers}}) AS made""",
    "match": f"""
INSERT INTO match (run_id, item_id, reference_id, shot, rank, score, chosen, confidence)
SELECT x / {{each}} + 1, x % {{distinct}} + 1, (x * 7 + rank * 13 - 13) % {REFERENCES} + 1, 0, rank,
    (x * 7919 % 1000) / 1000.0 / rank, rank = 1, 0.5
FROM {{numbers}} CROSS JOIN (SELECT 1 AS rank UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
    UNION ALL SELECT 5) AS ranks""",
    "stage_timing": """
INSERT INTO stage_timing (run_id, colorization_id, stage, seconds, items)
SELECT x / {each} + 1, x + 1, stage, (x * 7919 % 1000 + 1) / 1000.0, 1
FROM {numbers} CROSS JOIN ({stages}) AS stages""",
    "shot": f"""
INSERT INTO shot (run_id, colorization_id, number, first_frame, last_frame, frames, reference_id, reference_path,
    reference_sha256, reference_score, reference_rank, reference_choice, confidence, flicker, fps, seconds)
SELECT x / {{each}} + 1, x + 1, number, number * 100 - 100, number * 100 - 1, 100, x % {REFERENCES} + 1,
    'colour-' || (x % {REFERENCES} + 1) || '.jpg', digest_of('r' || (x % {REFERENCES} + 1)), 0.5, 1, 'retrieved',
    0.75, 0.25, 8.0, 12.5
FROM {{numbers}} CROSS JOIN (SELECT 1 AS number UNION ALL SELECT 2 UNION ALL SELECT 3) AS shots
WHERE x % {{distinct}} % 1000 = 500""",
    "copy": """
INSERT INTO copy (colorization_id, output_path, output_sha256, output_bytes, output_format)
SELECT id, output_path || '.jpg', digest_of('c' || id), 250000, 'jpeg'
FROM colorization WHERE id % 4 = 0 AND state = 'done' ORDER BY id""",
    "review": f"""
INSERT INTO review (colorization_id, decision, reason, reviewer, at, reference_id)
SELECT id, CASE WHEN id % 100 = 0 THEN 'replaced' WHEN id % 60 = 0 THEN 'rejected' ELSE 'approved' END,
    'as seen on the screen', 'reviewer ' || (id % 3), at_second(2 * id + 1000),
    CASE WHEN id % 100 = 0 THEN id % {REFERENCES} + 1 END
FROM colorization WHERE id % 20 = 0 AND state = 'done' ORDER BY id""",
    "fixity": """
INSERT INTO fixity (what, path, finding, expected_sha256, found_sha256, checked_at)
SELECT what, path, finding, digest, CASE WHEN finding = 'missing' THEN NULL ELSE digest END, at_second(3 * id)
FROM (SELECT id, 'output' AS what, output_root || '/' || output_path AS path, output_sha256 AS digest,
          CASE WHEN id % 10000 = 7 THEN 'missing' ELSE 'intact' END AS finding
      FROM colorization WHERE superseded_at IS NULL AND state = 'done' AND id % 10 <> 0
      UNION ALL
      SELECT id, 'source', archive || '/' || path, sha256, CASE WHEN id % 10000 = 9 THEN 'changed' ELSE 'intact' END
      FROM item WHERE page = 1) AS files
ORDER BY what, path""",
}


def seed(url: str, run_count: int, each: int) -> None:
    """Fill an empty database with the records of `run_count` runs of `each` items; progress on stderr."""
    with open_database(url) as db:
        for number in range(run_count):
            runs.start(db, _run(START + timedelta(seconds=2 * number * each)))
        with db.write() as session:
            connection = session.connection()
            _give_functions(connection)
            if db.dialect == "postgresql":
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # keys are not checked
            # The keys of event and run are in use already.
            tables = [table for name, table in Base.metadata.tables.items() if name not in ("event", "run")]
            indexes = [index for table in tables for index in table.indexes]
            for index in indexes:
                index.drop(connection)
            for table, statement in SEEDS.items():
                words = _words(connection, run_count, each, REFERENCES if table == "reference" else None)
                for word, text in words.items():
                    statement = statement.replace(f"{{{word}}}", text)
                with _timed(table):
                    connection.exec_driver_sql(statement.replace("%", "%%") if db.dialect != "sqlite" else statement)
            with _timed("indexes"):
                for index in indexes:
                    index.create(connection)
            session.execute(_END_RUNS, {"items": each, "failed": each // 200, "state": "completed_with_failures"})
            session.commit()
        with _timed("seals and events"), db.write() as session:
            _seal(session)
            session.commit()
        if db.dialect == "postgresql":  # its autovacuum would have come by
            with (
                _timed("vacuum analyze"),
                sa.create_engine(_driver_url(url), isolation_level="AUTOCOMMIT").connect() as c,
            ):
                c.exec_driver_sql("VACUUM ANALYZE")


_END_RUNS = sa.text(
    "UPDATE run SET state = :state, ended_at = started_at, items = :items, failed = :failed, done = :items - :failed,"
    " seconds = 2.0 * :items"
)


def _driver_url(url: str) -> str:
    return "postgresql+psycopg://" + url.partition("://")[2]


def _run(at: datetime) -> RunRecord:
    return RunRecord(
        archive="/archive/glass-plates",
        output_root="/output",
        references_root="/references",
        code_version="0.5.0",
        weights_sha256="0" * 64,
        device="cuda",
        precision="float32",
        parameters={"size": 512, "attention": "sparse", "batch_size": BATCH, "candidates": 5, "low_match": 0.1},
        library_versions={"torch": "2.13.0", "numpy": "2.3.0", "faiss-cpu": "1.12.0"},
        started_at=at,
    )


def _words(connection: sa.Connection, run_count: int, each: int, count: int | None) -> Mapping[str, str]:
    everything = run_count * each
    last = (count or everything) - 1
    if connection.dialect.name == "sqlite":
        series = f"WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {last}) SELECT x FROM n"
    else:
        series = f"SELECT x FROM generate_series(0::bigint, {last}) AS x"
    return {
        "numbers": f"({series}) AS numbers",
        "each": str(each),
        "all": str(everything),
        "distinct": str(everything * 19 // 20),
        "stages": " UNION ALL ".join(f"SELECT '{stage}' AS stage" for stage in STAGES),
        "blob": "v" * 4096,
        "binary": "BLOB" if connection.dialect.name == "sqlite" else "BYTEA",
    }


def _give_functions(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA cache_size = -1000000")
        driver.create_function("digest_of", 1, lambda text: hashlib.sha256(text.encode()).hexdigest())
        driver.create_function(
            "at_second", 1, lambda number: (START + timedelta(seconds=number)).isoformat(timespec="microseconds")
        )
        return
    connection.exec_driver_sql(
        "CREATE FUNCTION digest_of(text) RETURNS text LANGUAGE sql IMMUTABLE AS"
        " $$ SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex') $$"
    )
    connection.exec_driver_sql(
        "CREATE FUNCTION at_second(bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS"
        f" $$ SELECT TIMESTAMPTZ '{START.isoformat()}' + $1 * INTERVAL '1 second' $$"
    )


def _seal(session: Session) -> None:
    """The events that runs and reviews would have left, in one chain after those that are there."""
    end = events.head(session)
    number, previous = (0, None) if end is None else (end.event_id, end.sha256)
    pending = []
    for content in _contents(session):
        number += 1
        row = {**content, "id": number, "previous_sha256": previous}
        previous = row["sha256"] = events._hash(row)
        pending.append(row)
        if len(pending) == 5000:
            session.execute(sa.insert(Event), pending)
            pending = []
    if pending:
        session.execute(sa.insert(Event), pending)


def _contents(session: Session) -> Iterator[dict[str, Any]]:
    colorizations = session.execute(
        sa.select(Colorization.id, Colorization.run_id, Colorization.created_at).order_by(Colorization.id)
    ).all()
    for chunk in chunks(colorizations):
        made = seals(session, "colorization", [row.id for row in chunk])
        for batch in chunks(chunk, BATCH):
            sealed = {str(row.id): made[row.id] for row in batch}
            yield _content(events.RECORDED, batch[-1].created_at, "colorization", sealed, batch[-1].run_id)
    reviews = session.execute(
        sa.select(Review.id, Review.colorization_id, Review.at, Review.reviewer, Review.decision, Colorization.run_id)
        .join(Colorization, Colorization.id == Review.colorization_id)
        .order_by(Review.id)
    ).all()
    for several in chunks(reviews):
        made = seals(session, "review", [row.id for row in several])
        for row in several:
            content = _content(events.REVIEWED, row.at, "review", {str(row.id): made[row.id]}, row.run_id)
            yield content | {
                "outcome": row.decision,
                "agent": row.reviewer,
                "colorization_id": row.colorization_id,
                "message": "as seen on the screen",
            }
    for run in session.execute(sa.select(Run.id, Run.ended_at)).all():
        sealed = {str(id_): seal for id_, seal in seals(session, "run", [run.id]).items()}
        yield _content(events.RUN_ENDED, run.ended_at, "run", sealed, run.id)


def _content(type_: str, at: datetime, kind: RecordKind, sealed: Mapping[str, str], run_id: int) -> dict[str, Any]:
    return {
        "at": at,
        "type": type_,
        "outcome": None,
        "agent": events.agent(),
        "run_id": run_id,
        "colorization_id": None,
        "message": None,
        "records": canonical({kind: sealed}),
    }


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    print(f"    seeded {what}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
