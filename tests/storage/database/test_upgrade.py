"""A database of an older schema, with records in it, brought forward and back."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from storage.database import Database, SchemaError, colorizations, items, open_database
from storage.database.engine import make_engine, parse_url, writing
from storage.database.migrations.views_0001 import VIEWS as VIEWS_0001
from storage.database.models import Base
from storage.database.records import MatchRecord, StageTiming
from tests.storage.database.samples import ARCHIVE, OUTPUT, add_references, done, further_copy, shot, start_run
from tests.storage.database.test_film import add_film

Rows = dict[str, list[tuple[Any, ...]]]

# As version 0001 wrote them: two photographs done, one again, one page failed, one left out, a review.
RECORDS_0001 = """
INSERT INTO run (started_at, ended_at, seconds, state, archive, output_root, references_root, items, done, failed,
    skipped, code_version, weights_sha256, index_version, device, precision, hostname, pid, library_versions,
    parameters)
VALUES ('2026-03-01T12:00:00.000000+00:00', '2026-03-01T12:01:00.000000+00:00', 60, 'completed_with_failures',
    '{archive}', '{output}', '/references', 4, 2, 1, 1, '0.1.0', 'w', 'flat-1', 'cpu', 'float32', 'host', 7,
    '{{"torch": "2.13.0"}}', '{{"size": 512}}'),
    ('2026-03-02T12:00:00.000000+00:00', NULL, NULL, 'running', '{archive}', '{output}', '/references', 1, 1, 0, 0,
    '0.1.0', 'w', 'flat-1', 'cpu', 'float32', 'host', 8, '{{}}', '{{}}');
INSERT INTO item (archive, path, page, kind, format, width, height, channels, bit_depth, size_bytes, mtime_ns, sha256,
    first_seen_at, examined_at)
VALUES ('{archive}', 'a.tif', 1, 'photograph', 'tiff', 10, 20, 1, 16, 400, 1700000000123456789, 'aa',
        '2026-03-01T12:00:00.000000+00:00', '2026-03-02T12:00:00.000000+00:00'),
       ('{archive}', 'b.tif', 1, 'photograph', 'tiff', 10, 20, 3, 8, 600, 2, 'bb',
        '2026-03-01T12:00:00.000000+00:00', '2026-03-02T12:00:00.000000+00:00'),
       ('{archive}', 'album.tif', 2, 'page', NULL, NULL, NULL, NULL, NULL, 9, 3, NULL,
        '2026-03-01T12:00:00.000000+00:00', '2026-03-02T12:00:00.000000+00:00'),
       ('{archive}', 'film.mkv', 1, 'film', 'matroska', 320, 240, 1, 8, 9000, 4, 'ff',
        '2026-03-01T12:00:00.000000+00:00', '2026-03-02T12:00:00.000000+00:00');
INSERT INTO reference (library, path, sha256, width, height, size_bytes, mtime_ns, state, error_type, message,
    embedding_version, embedding, added_at, added_by_run_id)
VALUES ('/references', 'r.jpg', 'rr', 5, 6, 7, 8, 'active', NULL, NULL, 'vgg-1', '0123',
        '2026-03-01T12:00:00.000000+00:00', 1),
       ('/references', 's.jpg', 'ss', 5, 6, 7, 8, 'retired', NULL, NULL, 'vgg-1', '0123',
        '2026-03-01T12:00:00.000000+00:00', 1),
       ('/references', 't.jpg', NULL, 5, 6, 7, 8, 'failed', 'empty', 'nothing in it', NULL, NULL,
        '2026-03-01T12:00:00.000000+00:00', 1);
INSERT INTO match (run_id, item_id, reference_id, rank, score, chosen)
VALUES (1, 1, 1, 1, 0.75, TRUE), (1, 1, 2, 2, 0.5, FALSE), (1, 2, 2, 1, 0.25, TRUE), (2, 1, 2, 1, 0.7, TRUE);
INSERT INTO colorization (run_id, item_id, reference_id, state, request_key, source_sha256, reference_path,
    reference_sha256, reference_score, reference_rank, output_root, output_path, output_sha256, output_bytes,
    weights_sha256, index_version, device, precision, confidence, seconds, created_at, stage, error_type, message,
    superseded_at)
VALUES (1, 1, 1, 'done', 'k1', 'aa', 'r.jpg', 'rr', 0.75, 1, '{output}', 'a.tif', 'o1', 11, 'w', 'flat-1', 'cpu',
        'float32', 0.1, 1.5, '2026-03-01T12:00:30.000000+00:00', NULL, NULL, NULL, '2026-03-02T12:00:30.000000+00:00'),
       (1, 2, 2, 'done', 'k2', 'bb', 's.jpg', 'ss', 0.25, 1, '{output}', 'b.tif', 'o2', 12, 'w', 'flat-1', 'cpu',
        'float32', 0.2, 2.5, '2026-03-01T12:00:40.000000+00:00', NULL, NULL, NULL, NULL),
       (1, 3, NULL, 'failed', NULL, NULL, NULL, NULL, NULL, NULL, '{output}', NULL, NULL, NULL, 'w', NULL, 'cpu',
        'float32', NULL, NULL, '2026-03-01T12:00:50.000000+00:00', 'read', 'truncated', 'cut off', NULL),
       (1, 4, NULL, 'skipped', NULL, NULL, NULL, NULL, NULL, NULL, '{output}', NULL, NULL, NULL, 'w', NULL, 'cpu',
        'float32', NULL, NULL, '2026-03-01T12:00:55.000000+00:00', NULL, NULL, NULL, NULL),
       (2, 1, 2, 'done', 'k3', 'aa', 's.jpg', 'ss', 0.7, 1, '{output}', 'a.tif', 'o3', 13, 'w', 'flat-1', 'cpu',
        'float32', 0.3, 3.5, '2026-03-02T12:00:30.000000+00:00', NULL, NULL, NULL, NULL);
INSERT INTO stage_timing (run_id, colorization_id, stage, seconds, items)
VALUES (1, 1, 'network', 1.25, 1), (1, 2, 'network', 2.25, 1), (1, NULL, 'index', 9, 0), (2, 5, 'network', 3.25, 1);
INSERT INTO review (colorization_id, decision, reason, reviewer, at)
VALUES (1, 'approved', NULL, 'M. Keller', '2026-03-03T12:00:00.000000+00:00');
"""


def _to(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "storage.database:migrations")
    config.attributes["connection"] = connection
    (command.upgrade if revision != "0001" or _is_empty(connection) else command.downgrade)(config, revision)


def _is_empty(connection: sa.Connection) -> bool:
    return not sa.inspect(connection).get_table_names()


@contextlib.contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    """One transaction without a look at the schema."""
    engine = make_engine(parse_url(url), busy_seconds=5)
    try:
        with writing(engine).begin() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture
def old_url(empty_url: str) -> str:
    """A database as version 0001 left it, with records."""
    with _connected(empty_url) as connection:
        _to(connection, "0001")
        for statement in RECORDS_0001.format(archive=ARCHIVE, output=OUTPUT).split(";\n"):
            if statement.strip():
                if connection.dialect.name == "sqlite":
                    statement = statement.replace("'0123'", "x'30313233'")
                connection.exec_driver_sql(statement)
    return empty_url


def _rows(connection: sa.Connection, columns: dict[str, str]) -> Rows:
    return {
        name: sorted((tuple(row) for row in connection.exec_driver_sql(f"SELECT {listed} FROM {name}")), key=repr)
        for name, listed in columns.items()
    }


def _columns(connection: sa.Connection, *, views: bool) -> dict[str, str]:
    inspector = sa.inspect(connection)
    names = inspector.get_view_names() if views else set(inspector.get_table_names()) - {"alembic_version"}
    return {name: ", ".join(column["name"] for column in inspector.get_columns(name)) for name in sorted(names)}


def _structure(connection: sa.Connection) -> dict[str, object]:
    """All that makes up the schema, as far as both databases tell; columns in any order."""
    inspector = sa.inspect(connection)
    found: dict[str, object] = {name: inspector.get_view_definition(name) for name in inspector.get_view_names()}
    for name in inspector.get_table_names():
        found[name] = [
            sorted(str(one) for one in several)
            for several in (
                [
                    (column["name"], str(column["type"]), column["nullable"], column["default"])
                    for column in inspector.get_columns(name)
                ],
                inspector.get_unique_constraints(name),
                inspector.get_check_constraints(name),
                inspector.get_foreign_keys(name),
                [_readable(index) for index in inspector.get_indexes(name)],
                [inspector.get_pk_constraint(name)],
            )
        ]
    return found


def _readable(index: Mapping[str, Any]) -> dict[str, object]:
    options = sorted((name, str(value)) for name, value in index.get("dialect_options", {}).items())
    return {**index, "dialect_options": options}


def test_an_older_database_keeps_every_row_and_its_views_tell_the_same(old_url: str) -> None:
    with _connected(old_url) as connection:
        tables, views = _columns(connection, views=False), _columns(connection, views=True)
        assert set(views) == set(VIEWS_0001)
        before, told = _rows(connection, tables), _rows(connection, views)
    assert min(len(rows) for rows in before.values()) > 0
    assert [row[3] for row in sorted(told["audit_reference"])] == [1, 2]

    with pytest.raises(SchemaError, match="archive-colorizer database upgrade"):
        open_database(old_url)
    open_database(old_url, upgrade=True).close()

    with _connected(old_url) as connection:
        assert _rows(connection, tables) == before
        assert _rows(connection, views) == told
        assert _rows(connection, {"match": "shot", "item": "frames, duration_seconds", "colorization": "frames"}) == {
            "match": [(0,)] * 4,
            "item": [(None, None)] * 4,
            "colorization": [(None,)] * 5,
        }
        assert _rows(connection, {"shot": "*", "copy": "*", "audit_shot": "*"}) == {
            "shot": [],
            "copy": [],
            "audit_shot": [],
        }
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_an_upgraded_database_takes_films_and_goes_on_with_its_pictures(old_url: str) -> None:
    with open_database(old_url, upgrade=True) as db:
        assert items.known(db, ARCHIVE)["film.mkv"].frames is None
        film = add_film(db, "film.mkv")
        assert (film, items.known(db, ARCHIVE)["film.mkv"].frames) == (4, 50)
        run_id = start_run(db)
        _record_film(db, run_id, film)
        current = colorizations.current(db, OUTPUT, ARCHIVE)
        assert {id_: row.run_id for id_, row in current.items()} == {1: 2, 2: 1, 3: 1, 4: run_id}
        assert [copy.output_path for copy in current[film].copies] == ["film.mp4"]
        (found,) = colorizations.of_run(db, run_id)
        assert [candidate.shot for candidate in found.candidates] == [0, 1, 2]


def _record_film(db: Database, run_id: int, film: int) -> None:
    matches = tuple(MatchRecord(reference_id=1, shot=number, rank=1, score=0.5) for number in range(3))
    shots = (shot(1, 0, 9, reference_id=1), shot(2, 10, 49, reference_id=2))
    outcome = done(
        film,
        reference_id=2,
        frames=50,
        matches=matches,
        shots=shots,
        copies=(further_copy("film.mp4"),),
        timings=(StageTiming(stage="network", seconds=1.0),),
    )
    colorizations.record(db, run_id, [outcome])


def test_back_to_the_older_schema_and_forward_again(old_url: str) -> None:
    with _connected(old_url) as connection:
        structure, tables = _structure(connection), _columns(connection, views=False)
        before = _rows(connection, tables)
        told = _rows(connection, _columns(connection, views=True))
    with open_database(old_url, upgrade=True) as db:
        _record_film(db, start_run(db), 4)
    with _connected(old_url) as connection:
        newer = _structure(connection)
        _to(connection, "0001")
        assert _structure(connection) == structure
        now = _rows(connection, tables)
        for table, rows in before.items():
            kept = [row for row in rows if row in now[table]]
            # the film's new outcome has taken the place of one
            assert len(kept) >= len(rows) - (table == "colorization"), table
        # of the film's candidates those of its shots are gone, and its row counts by itself
        assert len(now["match"]) == len(before["match"]) + 1
        uses = {row[0]: row[3] for row in _rows(connection, {"audit_reference": "*"})["audit_reference"]}
        assert uses == {row[0]: row[3] + (row[0] == 2) for row in told["audit_reference"]}
    open_database(old_url, upgrade=True).close()
    with _connected(old_url) as connection:
        assert _structure(connection) == newer


def test_before_pins_a_pinned_shot_counts_as_given(empty_url: str) -> None:
    with open_database(empty_url) as db:
        film = add_film(db, "film.mkv")
        (reference,) = add_references(db, "r.jpg")
        shots = tuple(
            shot(number, number * 10, number * 10 + 9, reference_id=reference, reference_choice=choice)
            for number, choice in enumerate(("retrieved", "pinned", "self", "given"), start=1)
        )
        colorizations.record(db, start_run(db), [done(film, shots=shots, reference_choice="pinned")])
    with _connected(empty_url) as connection:
        config = Config()
        config.set_main_option("script_location", "storage.database:migrations")
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        found = _rows(connection, {"audit_shot": "shot, reference_choice, flicker"})["audit_shot"]
        assert found == [(1, "retrieved", 0.25), (2, "given", 0.25), (3, "given", 0.25), (4, "given", 0.25)]
        command.upgrade(config, "head")
        assert _rows(connection, {"audit_item": "path, reference_choice"})["audit_item"] == [("film.mkv", None)]
    with open_database(empty_url) as db, pytest.raises(sa.exc.IntegrityError):
        colorizations.record(db, start_run(db), [done(film, reference_choice="guessed")])


def test_on_postgresql_rights_to_read_the_views_stay_granted(postgresql_server: str) -> None:
    from tests.storage.database.postgresql import fresh_database

    acl = (
        "SELECT relname, relacl::text FROM pg_class WHERE relname IN ('audit_item', 'audit_reference') ORDER BY relname"
    )
    with fresh_database(postgresql_server, "test_rights") as url:
        with _connected(url) as connection:
            _to(connection, "0001")
            connection.exec_driver_sql("GRANT SELECT ON audit_item, audit_reference TO pg_monitor")
            granted = [tuple(row) for row in connection.exec_driver_sql(acl)]
        assert all("pg_monitor=r/" in rights for _, rights in granted)
        for revision in ("0002", "0001"):
            with _connected(url) as connection:
                _to(connection, revision)
                assert [tuple(row) for row in connection.exec_driver_sql(acl)] == granted, revision
