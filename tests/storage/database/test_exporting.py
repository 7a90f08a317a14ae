"""What exports read, on both databases."""

import pytest

from storage.database import Database, colorizations, exporting, items, reviews
from storage.database.events import REPRODUCED, append
from storage.database.exporting import Selection
from storage.database.models import Fixity
from tests.storage.database import samples
from tests.storage.database.samples import OUTPUT, at, digest


def paths(db: Database, selection: Selection) -> list[tuple[str, int]]:
    return [(row.path, row.run_id) for row in exporting.in_full(db, exporting.selected(db, selection))]


@pytest.fixture
def three(db: Database) -> tuple[int, list[int]]:
    """A run that did three items, one of them failed; the run and the items."""
    ids = [id_ for path in ("c.tif", "a.tif", "b.tif") for id_ in samples.add_items(db, path)]
    run = samples.start_run(db)
    colorizations.record(db, run, [samples.done(ids[0]), samples.done(ids[1]), samples.failed(ids[2])])
    return run, ids


def number(db: Database, path: str) -> int:
    (row,) = colorizations.find(db, OUTPUT, path)
    return row.id


def test_what_is_done_comes_by_path(db: Database, three: tuple[int, list[int]]) -> None:
    run, _ = three
    assert paths(db, Selection(output_root=OUTPUT)) == [("a.tif", run), ("c.tif", run)]
    assert paths(db, Selection(output_root="/elsewhere")) == []


def test_many_come_in_order(db: Database) -> None:
    names = [f"{number:04}.tif" for number in range(450)]
    added = [*samples.add_items(db, *names[200:]), *samples.add_items(db, *names[:200])]
    colorizations.record(db, samples.start_run(db), [samples.done(id_) for id_ in added])
    ids = exporting.selected(db, Selection(output_root=OUTPUT))
    assert [row.path for row in exporting.in_full(db, ids)] == names
    assert ids.itemsize * len(ids) == 8 * len(names)


def test_pages_of_a_document_come_together(db: Database) -> None:
    pages = items.upsert(db, [samples.item("akte.pdf", page=page, kind="page") for page in (2, 1, 3)])
    colorizations.record(db, samples.start_run(db), [samples.done(id_) for id_ in pages.values()])
    ids = exporting.selected(db, Selection(output_root=OUTPUT))
    assert [row.page for row in exporting.in_full(db, ids)] == [1, 2, 3]


def test_one_run_and_what_was_kept_of_it(db: Database, three: tuple[int, list[int]]) -> None:
    first, ids = three
    old = number(db, "c.tif")
    second = samples.start_run(db, started_at=at(100))
    colorizations.record(db, second, [samples.done(ids[0], output_sha256=digest("f"))])
    assert paths(db, Selection(output_root=OUTPUT)) == [("a.tif", first), ("c.tif", second)]
    assert paths(db, Selection(output_root=OUTPUT, run_id=first)) == [("a.tif", first)]
    assert paths(db, Selection(output_root=OUTPUT, run_id=second)) == [("c.tif", second)]
    assert paths(db, Selection(output_root=OUTPUT, with_kept=True)) == [("a.tif", first), ("c.tif", second)]
    colorizations.keep(db, old, "superseded/1/c.tif")
    kept = Selection(output_root=OUTPUT, with_kept=True)
    assert paths(db, kept) == [("a.tif", first), ("c.tif", first), ("c.tif", second)]


def test_the_latest_review_decides_what_is_rejected(db: Database, three: tuple[int, list[int]]) -> None:
    run, _ = three
    a, c = number(db, "a.tif"), number(db, "c.tif")
    reviews.decide(db, a, "rejected", reviewer="reviewer 1", at=at(10))
    reviews.decide(db, c, "rejected", reviewer="reviewer 1", at=at(10))
    reviews.decide(db, c, "approved", reviewer="reviewer 2", reason="it is well", at=at(20))
    assert paths(db, Selection(output_root=OUTPUT, with_rejected=False)) == [("c.tif", run)]
    assert paths(db, Selection(output_root=OUTPUT)) == [("a.tif", run), ("c.tif", run)]
    found = exporting.reviews(db, [a, c])
    assert [(one.decision, one.reviewer, one.reason) for one in found[c]] == [
        ("rejected", "reviewer 1", None),
        ("approved", "reviewer 2", "it is well"),
    ]
    assert found[a][0].at == at(10)


def test_events_about_results(db: Database, three: tuple[int, list[int]]) -> None:
    run, _ = three
    a = number(db, "a.tif")
    with db.write() as session:
        for outcome in ("identical", "different"):
            append(session, REPRODUCED, agent="archive-colorizer", outcome=outcome, run_id=run, colorization_id=a)
    found = exporting.events_about(db, [a, number(db, "c.tif")], [REPRODUCED])
    assert [event.outcome for event in found.pop(a)] == ["identical", "different"]
    assert found == {}
    assert exporting.events_about(db, [a], ["reviewed"]) == {}


def test_the_last_check_of_files(db: Database) -> None:
    values = {"finding": "intact", "expected_sha256": digest("a"), "found_sha256": digest("a"), "checked_at": at(1)}
    with db.write() as session:
        session.add_all([Fixity(what=what, path="/a.tif", **values) for what in ("source", "output")])
    for what in ("source", "output"):
        found = exporting.fixity_checks(db, what, ["/a.tif", "/b.tif"])
        assert [(path, check.what, check.checked_at) for path, check in found.items()] == [("/a.tif", what, at(1))]


def test_items_as_last_seen(db: Database, three: tuple[int, list[int]]) -> None:
    _, ids = three
    found = exporting.items(db, ids[:2])
    assert {one.size_bytes for one in found.values()} == {1_572_864}
    assert set(found) == set(ids[:2])


def test_where_runs_took_their_pictures_from(db: Database) -> None:
    first, second = samples.start_run(db), samples.start_run(db, archive="/other", started_at=at(5))
    samples.start_run(db, output_root="/elsewhere", started_at=at(6))
    assert [one.run_id for one in exporting.runs_into(db, OUTPUT)] == [first, second]
    (one,) = exporting.runs_into(db, OUTPUT, second)
    assert (one.archive, one.references_root) == ("/other", samples.LIBRARY)
