"""Films in the database: shots, outputs in further formats, candidates for each shot."""

from typing import Any

import pytest
import sqlalchemy as sa

from storage.database import Database, colorizations, items
from storage.database.records import ItemOutcome, MatchRecord, RecordedShot, ShotRecord
from tests.storage.database.samples import (
    ARCHIVE,
    LIBRARY,
    OUTPUT,
    add_items,
    add_references,
    at,
    digest,
    done,
    failed,
    further_copy,
    item,
    shot,
    start_run,
)

FILM = {"kind": "film", "format": "matroska", "frames": 50, "duration_seconds": 2.0}


def add_film(db: Database, path: str) -> int:
    return items.upsert(db, [item(path, **FILM)])[path, 1]


def from_library(reference_id: int, name: str) -> dict[str, Any]:
    return {"reference_id": reference_id, "reference_path": name, "reference_sha256": digest(name[0])}


def film_outcome(film: int, forest: int, sea: int, **changes: Any) -> ItemOutcome:
    """Three shots: forest, sea, and one whose reference a person gave; two formats beside the main one."""
    values: dict[str, Any] = {
        "output_path": f"{film}.mkv",
        "output_format": "ffv1",
        "frames": 50,
        **from_library(forest, "forest.jpg"),
        "matches": (
            MatchRecord(reference_id=sea, shot=2, rank=1, score=0.5, chosen=True),
            MatchRecord(reference_id=forest, shot=1, rank=2, score=0.75, chosen=True),
            MatchRecord(reference_id=sea, shot=1, rank=1, score=0.875),
        ),
        "shots": (
            shot(1, 0, 29, **from_library(forest, "forest.jpg"), reference_rank=2, reference_score=0.75),
            shot(2, 30, 30, **from_library(sea, "sea.jpg"), flicker=None),
            shot(
                3,
                31,
                49,
                reference_path="/home/curator/frame 40.png",
                reference_sha256=digest("g"),
                reference_choice="given",
                reference_score=None,
                reference_rank=None,
            ),
        ),
        "copies": (further_copy(f"{film}.mp4"), further_copy(f"{film}.mov", output_format="prores")),
    }
    return done(film, **(values | changes))


def _snapshot(db: Database) -> dict[str, list[tuple[object, ...]]]:
    """What hangs on colorizations, row numbers aside."""
    with db.read() as session:
        found = {}
        for table in ("match", "shot", "copy"):
            names = [column["name"] for column in sa.inspect(session.connection()).get_columns(table)]
            columns = ", ".join(name for name in names if name != "id")
            found[table] = sorted(
                (tuple(row) for row in session.execute(sa.text(f"SELECT {columns} FROM {table}"))), key=repr
            )
        return found


def test_a_film_is_known_with_its_length(db: Database) -> None:
    add_film(db, "film.mkv")
    add_items(db, "a.tif")
    known = items.known(db, ARCHIVE)
    assert (known["film.mkv"].frames, known["film.mkv"].duration_seconds) == (50, 2.0)
    assert (known["a.tif"].frames, known["a.tif"].duration_seconds) == (None, None)


def test_a_film_is_kept_in_full(db: Database) -> None:
    forest, sea = add_references(db, "forest.jpg", "sea.jpg")
    film = add_film(db, "film.mkv")
    (photograph,) = add_items(db, "photograph.tif")
    run_id = start_run(db)
    outcome = film_outcome(film, forest, sea)
    colorizations.record(db, run_id, [done(photograph), outcome])

    found, plain = colorizations.of_run(db, run_id)
    assert (found.kind, found.frames) == ("film", 50)
    libraries = (LIBRARY, LIBRARY, None)
    assert found.shots == tuple(
        RecordedShot(
            **{name: getattr(one, name) for name in ShotRecord.__dataclass_fields__}, reference_library=library
        )
        for one, library in zip(outcome.shots, libraries, strict=True)
    )
    assert [copy.output_path for copy in found.copies] == [f"{film}.mov", f"{film}.mp4"]
    assert set(found.copies) == set(outcome.copies)
    assert [(c.shot, c.rank, c.path, c.score, c.chosen) for c in found.candidates] == [
        (1, 1, "sea.jpg", 0.875, False),
        (1, 2, "forest.jpg", 0.75, True),
        (2, 1, "sea.jpg", 0.5, True),
    ]
    assert (plain.frames, plain.shots, plain.copies, plain.candidates) == (None, (), (), ())
    current = colorizations.current(db, OUTPUT, ARCHIVE)
    assert (current[film].copies, current[photograph].copies) == (found.copies, ())


def test_the_same_batch_again_changes_nothing(db: Database) -> None:
    forest, sea = add_references(db, "forest.jpg", "sea.jpg")
    batch = [
        film_outcome(add_film(db, "a.mkv"), forest, sea),
        film_outcome(add_film(db, "b.mkv"), sea, forest),
        failed(add_film(db, "c.mkv"), shots=(shot(1, 0, 9),)),
    ]
    run_id = start_run(db)
    colorizations.record(db, run_id, batch)
    once = _snapshot(db)
    assert {table: len(rows) for table, rows in once.items()} == {"match": 6, "shot": 7, "copy": 4}
    colorizations.record(db, run_id, batch)
    assert _snapshot(db) == once


def test_another_outcome_in_the_same_run_takes_the_place_of_shots_and_copies(db: Database) -> None:
    forest, sea = add_references(db, "forest.jpg", "sea.jpg")
    film, other = add_film(db, "film.mkv"), add_film(db, "other.mkv")
    run_id = start_run(db)
    colorizations.record(db, run_id, [film_outcome(film, forest, sea), film_outcome(other, forest, sea)])
    colorizations.record(db, run_id, [done(film, shots=(shot(1, 0, 49),), copies=())])
    found, untouched = colorizations.of_run(db, run_id)
    assert ([one.frames for one in found.shots], found.copies, found.candidates) == ([50], (), ())
    assert (len(untouched.shots), len(untouched.copies), len(untouched.candidates)) == (3, 2, 3)


def test_a_superseded_film_keeps_its_record_but_is_no_output(db: Database) -> None:
    forest, sea = add_references(db, "forest.jpg", "sea.jpg")
    film = add_film(db, "film.mkv")
    first, second = start_run(db), start_run(db, started_at=at(1))
    colorizations.record(db, first, [film_outcome(film, forest, sea)])
    new = (further_copy("new.mp4", output_sha256=digest("n")),)
    colorizations.record(db, second, [film_outcome(film, sea, forest, copies=new)])

    (old,) = colorizations.of_run(db, first)
    assert old.superseded_at is not None
    assert (len(old.shots), len(old.copies)) == (3, 2)
    assert colorizations.current(db, OUTPUT, ARCHIVE)[film].copies == new


def test_copies_are_recorded_outputs(db: Database) -> None:
    forest, sea = add_references(db, "forest.jpg", "sea.jpg")
    film = add_film(db, "film.mkv")
    first, second = start_run(db), start_run(db, started_at=at(1))
    colorizations.record(db, first, [film_outcome(film, forest, sea)])
    colorizations.record(db, second, [done(film)])
    for path in (f"{film}.mkv", f"{film}.mp4", f"{film}.tif"):
        assert colorizations.is_output(db, OUTPUT, path), path
        assert not colorizations.is_output(db, "/elsewhere", path)
    assert not colorizations.is_output(db, OUTPUT, "film.mp4")


def test_planning_asks_as_often_for_many_films_as_for_one(db: Database) -> None:
    films = items.upsert(db, [item(f"{number}.mkv", **FILM) for number in range(40)])
    run_id = start_run(db)
    colorizations.record(
        db, run_id, [done(id_, shots=(shot(1, 0, 9),), copies=(further_copy("x.mp4"),)) for id_ in films.values()]
    )
    asked: list[str] = []
    sa.event.listen(db._engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    for read in (
        lambda: colorizations.current(db, OUTPUT, ARCHIVE),
        lambda: colorizations.of_run(db, run_id),
    ):
        asked.clear()
        assert len(read()) in (40, 80)
        assert len([text for text in asked if text.startswith("SELECT")]) <= 4


def test_more_shots_than_fit_one_statement(db: Database) -> None:
    film = add_film(db, "film.mkv")
    run_id = start_run(db)
    shots = tuple(shot(number, 10 * number, 10 * number + 9, flicker=1, seconds=number) for number in range(1, 2502))
    colorizations.record(db, run_id, [done(film, shots=shots)])
    (found,) = colorizations.of_run(db, run_id)
    assert [one.first_frame for one in found.shots] == [one.first_frame for one in shots]
    assert {(type(one.flicker), type(one.seconds)) for one in found.shots} == {(float, float)}


@pytest.mark.parametrize(("first", "last", "frames"), [(5, 4, 0), (-1, 3, 5), (0, 9, 9)])
def test_a_shot_must_have_the_frames_it_says(first: int, last: int, frames: int) -> None:
    with pytest.raises(ValueError, match="shot 2 cannot have"):
        ShotRecord(number=2, first_frame=first, last_frame=last, frames=frames)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE shot SET first_frame = 40",
        "UPDATE shot SET first_frame = -1, frames = 51",
        "UPDATE shot SET number = 0",
        "UPDATE shot SET frames = 7",
        "UPDATE shot SET reference_choice = 'guessed'",
        "UPDATE match SET shot = -1",
    ],
)
def test_the_database_itself_refuses_what_cannot_be(db: Database, change: str) -> None:
    (reference_id,) = add_references(db, "r.jpg")
    film = add_film(db, "film.mkv")
    match = MatchRecord(reference_id=reference_id, shot=1, rank=1, score=0.5)
    colorizations.record(db, start_run(db), [done(film, shots=(shot(1, 0, 30),), matches=(match,))])
    with pytest.raises(sa.exc.IntegrityError):
        db.run_write(lambda session: session.execute(sa.text(change)))


def test_a_number_or_a_path_is_there_once(db: Database) -> None:
    film = add_film(db, "film.mkv")
    run_id = start_run(db)
    for twice in (
        {"shots": (shot(1, 0, 9), shot(1, 10, 19))},
        {"copies": (further_copy("a.mp4"), further_copy("a.mp4"))},
    ):
        with pytest.raises(sa.exc.IntegrityError):
            colorizations.record(db, run_id, [done(film, **twice)])
    assert colorizations.of_run(db, run_id) == []
