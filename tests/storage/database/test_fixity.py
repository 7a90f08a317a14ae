"""What the records expect of files, what a verification records, and what contradicts itself under whole seals."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database, audit, colorizations, events, fixity, items, open_database, sqlite_url
from storage.database.errors import DatabaseError
from storage.database.expected_files import (
    ExpectedFile,
    expected_files,
    other_folders,
    output_roots,
    recorded_outputs,
)
from storage.database.fixity import Checked, ReadOnlyDatabase
from storage.database.models import Fixity
from storage.database.read_only import open_read_only
from tests.storage.database.samples import (
    ARCHIVE,
    LIBRARY,
    OUTPUT,
    add_items,
    add_references,
    digest,
    done,
    failed,
    further_copy,
    item,
    shot,
    start_run,
)
from tests.storage.database.test_events import by_hand


def of(db: Database, **scope: object) -> set[tuple[str, str, str]]:
    return {(one.what, one.path, one.sha256[0]) for one in expected_files(db, **scope)}  # type: ignore[arg-type]


def test_the_files_that_should_be_there(db: Database) -> None:
    a, b, c, film = add_items(db, "a.tif", "b.tif", "c.tif", "film.mov")
    red, sea = add_references(db, "red.jpg", "sea.jpg")
    first, second = start_run(db), start_run(db, started_at=None)
    chosen = {"reference_id": red, "reference_path": "red.jpg", "reference_sha256": digest("r")}
    colorizations.record(
        db,
        first,
        [
            done(a, **chosen, copies=(further_copy("a.jp2"),)),
            done(b, source_sha256=None, output_path="b\\\\1.tif"),
            failed(c, source_sha256=digest("a")),
            done(
                film,
                output_path="film.mkv",
                source_sha256=digest("f"),
                shots=(
                    shot(1, 0, 9, reference_id=sea, reference_path="sea.jpg", reference_sha256=digest("s")),
                    shot(2, 10, 19, reference_path="/given/g.png", reference_sha256=digest("g")),
                    shot(3, 20, 29, reference_path="lost.png", reference_sha256=digest("l")),
                    shot(4, 30, 39),
                ),
            ),
        ],
    )
    expected = {
        ("output", f"{OUTPUT}/{a}.tif", "e"),
        ("output", f"{OUTPUT}/a.jp2", "c"),
        ("source", f"{ARCHIVE}/a.tif", "a"),
        ("reference", f"{LIBRARY}/red.jpg", "r"),
        ("output", f"{OUTPUT}/b\\\\1.tif", "e"),
        ("output", f"{OUTPUT}/film.mkv", "e"),
        ("source", f"{ARCHIVE}/film.mov", "f"),
        ("reference", f"{LIBRARY}/sea.jpg", "s"),
        ("reference", "/given/g.png", "g"),
    }
    assert of(db) == of(db, run_id=first) == of(db, output_root=OUTPUT) == expected
    assert of(db, run_id=second) == of(db, output_root="/elsewhere") == set()

    # made again: what was superseded is not expected, unless it was kept
    colorizations.record(db, second, [done(a, output_path="again.tif", source_sha256=None)])
    again = ("output", f"{OUTPUT}/again.tif", "e")
    assert of(db) == {one for one in expected if Path(one[1]).name not in (f"{a}.tif", "a.jp2", "a.tif", "red.jpg")} | {
        again
    }
    (before,) = [row for row in colorizations.of_run(db, first) if row.item_id == a]
    colorizations.keep(db, before.id, "kept/a.tif")
    assert of(db, run_id=second) == {again}
    assert ("output", f"{OUTPUT}/kept/a.tif", "e") in of(db, run_id=first)
    assert set(recorded_outputs(db, OUTPUT)) == {
        f"{a}.tif",
        "a.jp2",
        "b\\\\1.tif",
        "film.mkv",
        "again.tif",
        "kept/a.tif",
    }
    assert list(recorded_outputs(db, "/elsewhere")) == []
    assert output_roots(db) == [OUTPUT]
    assert other_folders(db) == {ARCHIVE, LIBRARY}


def test_many_records_come_in_chunks(db: Database) -> None:
    ids = add_items(db, *(f"{number:05}.tif" for number in range(4500)))
    colorizations.record(db, start_run(db), [done(id_) for id_ in ids])
    found = list(expected_files(db))
    assert len(found) == len(set(found)) == 9000
    assert len(list(recorded_outputs(db, OUTPUT))) == 4500


def test_a_text_that_is_no_path_is_given_as_it_is(db: Database) -> None:
    (a,) = add_items(db, "a.tif")
    colorizations.record(db, start_run(db), [done(a, source_sha256=None)])
    with by_hand(db.url) as connection:
        connection.execute(sa.text("UPDATE colorization SET output_path = :path"), {"path": "no\\path"})
    assert list(expected_files(db)) == [ExpectedFile("output", f"{OUTPUT}/no\\path", digest("e"), 1)]


INTACT = Checked("output", "intact", "/out/a.tif", digest("a"), digest("a"))
CHANGED = replace(INTACT, finding="changed", found_sha256=digest("b"))


def test_what_was_found_last_counts(db: Database) -> None:
    fixity.record(db, [])
    fixity.record(db, [INTACT, Checked("source", "missing", "/out/a.tif", digest("a"))])
    fixity.record(db, [INTACT, CHANGED])
    rows = {row["what"]: row for row in audit.rows(db, "audit_fixity")}
    assert {what: (row["finding"], row["found_sha256"]) for what, row in rows.items()} == {
        "output": ("changed", digest("b")),
        "source": ("missing", None),
    }
    with db.read() as session:
        assert session.scalars(sa.select(events.Event.id)).all() == []
        last = session.scalars(sa.select(sa.func.max(Fixity.checked_at))).one()
    assert [one.what for one in fixity.checked_since(db, last)] == ["output"]
    assert list(fixity.checked_since(db, last + timedelta(microseconds=1))) == []


def test_a_verification_from_begin_to_end(db: Database) -> None:
    (a,) = add_items(db, "a.tif")
    run_id = start_run(db)
    colorizations.record(db, run_id, [done(a)])
    verification, is_earlier = fixity.begin(db, "output folder /out")
    assert not is_earlier
    fixity.record(db, [INTACT, replace(CHANGED, path="/out/b.tif", colorization_id=1)], verification)
    assert fixity.begin(db, "output folder /out") == (verification, True)
    # the scope of another, whose name only begins alike
    longer, _ = fixity.begin(db, "output folder /out, begun in event 1: x")
    fixity.end(db, longer, [], 0, "nothing checked")
    of_run, is_earlier = fixity.begin(db, f"run {run_id}", run_id)
    assert (of_run.run_id, is_earlier) == (run_id, False)
    assert fixity.begin(db, "output folder /out") == (verification, True)
    fixity.end(db, verification, [Checked("record", "missing", "review 3")], 2, "2 files checked")
    again, is_earlier = fixity.begin(db, "output folder /out")
    assert not is_earlier
    assert fixity.begin(db, "output folder /out", restart=True)[0].event_id > again.event_id
    told = [
        (row["type"].removeprefix("fixity_check_"), row["outcome"], row["message"], row["path"])
        for row in audit.rows(db, "audit_event")
        if row["type"].startswith("fixity")
    ]
    scope = "output folder /out"
    assert sorted(told[:8], key=str) == sorted(
        [
            ("started", None, scope, None),
            ("finding", "changed", f"output /out/b.tif (expected {digest('a')}, found {digest('b')})", "a.tif"),
            ("started", None, longer.scope, None),
            ("ended", "intact", f"{longer.scope}, begun in event {longer.event_id}: nothing checked", None),
            ("started", None, f"run {run_id}", None),
            ("finding", "missing", "record review 3", None),
            ("ended", "findings", f"{scope}, begun in event {verification.event_id}: 2 files checked", None),
            ("started", None, scope, None),
        ],
        key=str,
    )
    assert list(events.check(db)) == []


def test_references_that_are_not_what_their_uses_say(db: Database) -> None:
    a, b, film = add_items(db, "a.tif", "b.tif", "film.mov")
    red, sea = add_references(db, "red.jpg", "sea.jpg")
    use = {"reference_id": red, "reference_path": "red.jpg", "reference_sha256": digest("r")}
    shots = (shot(1, 0, 9, reference_id=sea, reference_path="sea.jpg", reference_sha256=digest("s")),)
    outcomes = [done(a, **use), done(b, **use), done(film, shots=shots, reference_sha256=digest("g"))]
    colorizations.record(db, start_run(db), outcomes)
    assert fixity.contradictions(db) == []
    with by_hand(db.url) as connection:
        connection.execute(sa.text("UPDATE reference SET sha256 = :sha256"), {"sha256": digest("x")})
    of_sea = Checked(
        "record", "changed", f"reference {sea}, sea.jpg, as used for colorization 3", digest("s"), digest("x"), 3
    )
    assert fixity.contradictions(db) == [
        Checked(
            "record", "changed", f"reference {red}, red.jpg, as used for colorization 1", digest("r"), digest("x"), 1
        ),
        of_sea,
    ]
    assert fixity.contradictions(db, [1, 2]) == [of_sea]
    assert list(events.check(db)) == []


def test_items_of_which_no_result_counts(db: Database) -> None:
    ids = items.upsert(db, [item("a.tif"), item("book.tif", kind="page", page=3), item("c.tif")])
    for _ in range(2):
        colorizations.record(db, start_run(db, started_at=None), [done(id_) for id_ in ids.values()])
    colorizations.record(db, start_run(db, started_at=None, output_root="/other"), [done(ids["a.tif", 1])])
    assert fixity.contradictions(db) == []
    with by_hand(db.url) as connection:
        connection.exec_driver_sql(
            "UPDATE colorization SET superseded_at = created_at WHERE item_id <= 2 AND run_id < 3"
        )
    assert [one.path for one in fixity.contradictions(db)] == [
        "colorization 4 of a.tif, superseded though nothing took its place",
        "colorization 5 of book.tif, page 3, superseded though nothing took its place",
    ]
    assert list(events.check(db)) == []


def test_an_older_result_put_in_the_place_of_a_newer_one(db: Database) -> None:
    ids = items.upsert(db, [item("a.tif"), item("book.tif", kind="page", page=3), item("c.tif")])
    for _ in range(2):
        colorizations.record(db, start_run(db, started_at=None), [done(id_) for id_ in ids.values()])
    left_out = failed(ids["a.tif", 1], state="skipped", error_type="in_colour")
    colorizations.record(db, start_run(db, started_at=None), [left_out])
    assert fixity.contradictions(db) == []
    with by_hand(db.url) as connection:
        connection.exec_driver_sql("UPDATE colorization SET superseded_at = created_at WHERE id = 5")
        connection.exec_driver_sql("UPDATE colorization SET superseded_at = NULL WHERE id = 2")
    (found,) = fixity.contradictions(db)
    assert found.path == "colorization 2 of book.tif, page 3, counts though 5 took its place"
    assert (found.finding, found.colorization_id) == ("changed", 2)
    assert list(events.check(db)) == []


def test_where_nobody_may_write_a_verification_cannot_begin(db: Database, tmp_path: Path) -> None:
    add_items(db, "a.tif")
    if db.dialect == "sqlite":
        file = Path(db.url.removeprefix("sqlite:///"))
        with open_read_only(file) as reader:
            assert items.known(reader, ARCHIVE).keys() == {"a.tif"}
            with pytest.raises(ReadOnlyDatabase):
                fixity.begin(reader, "all")
        odd = tmp_path / "100% of it? #1.db"
        with open_database(sqlite_url(odd)) as other:
            add_items(other, "b.tif")
        with open_read_only(odd) as reader:
            assert items.known(reader, ARCHIVE).keys() == {"b.tif"}
        with pytest.raises(DatabaseError):
            open_read_only(tmp_path / "nothing.db")
        assert not (tmp_path / "nothing.db").exists()
    else:
        with by_hand(db.url) as connection:
            connection.exec_driver_sql(
                f'ALTER DATABASE "{sa.make_url(db.url).database}" SET default_transaction_read_only = on'
            )
        with open_database(db.url) as reader, pytest.raises(ReadOnlyDatabase):
            fixity.begin(reader, "all")
