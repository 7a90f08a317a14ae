"""Reviews by command: what is listed, who decided what, which reference is meant."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from flows.cli import review
from flows.cli.entry import explain
from flows.errors import UsageError
from flows.review.deciding import (
    REVIEWER_VARIABLE,
    candidates_for,
    decide,
    find_done,
    find_one,
    find_reference,
    reviewed_output,
    reviewer_name,
)
from storage.database import Database, audit, colorizations, items, open_database, reviews, sqlite_url
from storage.database.records import MatchRecord
from storage.database.review_queue import (
    Filters,
    all_results,
    beside,
    count,
    count_before,
    decisions,
    earlier_results,
    first,
    results,
)
from tests.storage.database import samples
from tests.storage.database.conftest import (  # noqa: F401 - fixtures
    db,
    postgresql_server,
    postgresql_template,
    postgresql_url,
    sqlite_template,
    url,
)

Call = Callable[..., tuple[int, str, str]]

ALL = Filters("all")
NAMES = ("a/first.tif", "a/Second 50%.tif", "b/third_x.tif", "b/fourth.tif", "c/fifth.tif")
CONFIDENCES = (0.5, 0.25, None, 0.25, 0.75)


def fill(database: Database) -> list[int]:
    """Five pictures, done, and one that failed; their colorizations by the order of `NAMES`."""
    run = samples.start_run(database)
    references = samples.add_references(database, "rose.jpg", "sea.jpg", "tree.jpg")
    ids = samples.add_items(database, *NAMES, "b/broken.tif")
    matches = tuple(
        MatchRecord(reference_id=id_, rank=rank, score=0.9 / rank, chosen=rank == 1, confidence=0.5)
        for rank, id_ in enumerate(references, start=1)
    )
    done = [
        samples.done(id_, confidence=value, reference_id=references[0], reference_path="rose.jpg", matches=matches)
        for id_, value in zip(ids, CONFIDENCES, strict=False)
    ]
    colorizations.record(database, run, [*done, samples.failed(ids[-1])])
    return [found_id(database, name) for name in NAMES]


def found_id(database: Database, name: str) -> int:
    return colorizations.find(database, samples.OUTPUT, name)[0].id


def test_the_least_confident_come_first_and_each_has_its_neighbours(db: Database) -> None:  # noqa: F811
    one, two, three, four, five = fill(db)
    order = [three, two, four, one, five]
    assert [item.colorization_id for item in results(db, samples.OUTPUT, ALL, 10)] == order
    assert [item.colorization_id for item in results(db, samples.OUTPUT, ALL, 2, 2)] == [four, one]
    assert [item.colorization_id for item in all_results(db, samples.OUTPUT, ALL, None, 2)] == order
    assert [item.colorization_id for item in all_results(db, samples.OUTPUT, ALL, 3, 2)] == order[:3]
    rows = {row.id: row for row in colorizations.get(db, order)}
    for number, (id_, after) in enumerate(zip(order, [*order[1:], None], strict=True)):
        assert count_before(db, samples.OUTPUT, ALL, rows[id_]) == number
        assert beside(db, samples.OUTPUT, ALL, rows[id_], "next") == after
        if after is not None:
            assert beside(db, samples.OUTPUT, ALL, rows[after], "previous") == id_
    assert beside(db, samples.OUTPUT, ALL, rows[three], "previous") is None
    # one that was decided on is no more among the unreviewed, but what comes after it is still known
    reviews.decide(db, two, "approved", reviewer="reviewer 1")
    assert beside(db, samples.OUTPUT, Filters(), rows[two], "next") == four
    assert beside(db, samples.OUTPUT, Filters(), rows[two], "previous") == three
    assert first(db, samples.OUTPUT, Filters("reviewed")) == two


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (Filters(), {0, 2, 3}),
        (Filters("reviewed"), {1, 4}),
        (Filters("all", below=0.5), {1, 2, 3}),
        (Filters("all", text="SECOND 50%"), {1}),
        (Filters("all", text="_"), {2}),
        (Filters("all", text="b/"), {2, 3}),
        (Filters("all", run_id=1), {0, 1, 2, 3, 4}),
        (Filters("all", run_id=2), set()),
        (Filters("reviewed", below=0.3, text="a/"), {1}),
    ],
)
def test_filters(db: Database, filters: Filters, names: set[int]) -> None:  # noqa: F811
    ids = fill(db)
    for decision in ("rejected", "approved"):  # the second counts
        reviews.decide(db, ids[1], decision, reviewer="reviewer 1", reason=f"{decision} once")
    reviews.decide(db, ids[4], "rejected", reviewer="reviewer 2", reason="no sea")
    found = {item.colorization_id: item for item in results(db, samples.OUTPUT, filters, 100)}
    assert set(found) == {ids[number] for number in names}
    assert count(db, samples.OUTPUT, filters) == len(names)
    assert count(db, "/elsewhere", filters) == 0
    if ids[1] in found:
        assert (found[ids[1]].review, found[ids[1]].reason) == ("approved", "approved once")


def test_what_was_decided_about_earlier_results_stays_with_the_item(db: Database) -> None:  # noqa: F811
    ids = fill(db)
    old = colorizations.get(db, [ids[0]])[0]
    sea = candidates_for(old)[1].reference_id
    decide(db, [old], "rejected", reviewer="reviewer 1", reason=" grey sky ")
    reviews.decide(db, old.id, "replaced", reviewer="reviewer 2", reference_id=sea)
    again = samples.start_run(db, started_at=samples.at(100))
    colorizations.record(db, again, [samples.done(old.item_id, created_at=samples.at(110))])
    colorizations.keep(db, old.id, "kept/first.tif")
    new = find_one(db, samples.OUTPUT, "a/first.tif")
    assert new.id != old.id
    decide(db, [new], "approved", reviewer="reviewer 1")
    told = [(one.colorization_id, one.decision, one.reason) for one in decisions(db, samples.OUTPUT, old.item_id)]
    expected = [(new.id, "approved", None), (old.id, "replaced", None), (old.id, "rejected", "grey sky")]
    assert told == expected
    assert decisions(db, samples.OUTPUT, old.item_id)[1].other_reference_path == "sea.jpg"
    (kept,) = earlier_results(db, samples.OUTPUT, old.item_id)
    assert (kept.colorization_id, kept.kept_path) == (old.id, "kept/first.tif")
    assert decisions(db, "/elsewhere", old.item_id) == []


def test_the_output_is_that_of_the_run(db: Database) -> None:  # noqa: F811
    with pytest.raises(UsageError, match="no run in this database"):
        reviewed_output(db, None)
    fill(db)
    assert reviewed_output(db, None) == reviewed_output(db, Path(samples.OUTPUT)) == samples.OUTPUT
    assert reviewed_output(db, Path("/elsewhere"), run_id=1) == samples.OUTPUT
    with pytest.raises(UsageError, match=r"/elsewhere: no run .* wrote into .*farbig"):
        reviewed_output(db, Path("/elsewhere"))
    with pytest.raises(UsageError, match="no run 7"):
        reviewed_output(db, None, run_id=7)


def test_items_by_path_and_number(db: Database) -> None:  # noqa: F811
    fill(db)
    row = find_one(db, samples.OUTPUT, "b/fourth.tif")
    assert find_one(db, samples.OUTPUT, str(row.item_id)) == row
    for name in ("b/nowhere.tif", "999", "9" * 40, "٣" * 30):
        with pytest.raises(UsageError, match="no such item"):
            find_done(db, samples.OUTPUT, name)
    with pytest.raises(UsageError, match=r"b/broken.tif was not colorized \(failed: the file ends too early"):
        find_done(db, samples.OUTPUT, "b/broken.tif")
    with pytest.raises(UsageError, match="say why"):
        decide(db, [row], "rejected", reviewer="reviewer 1", reason="  ")
    assert audit.rows(db, "audit_review") == []


def test_pages_of_a_document(db: Database) -> None:  # noqa: F811
    run = samples.start_run(db)
    pages = [samples.item("book.tif", kind="page", page=number) for number in (1, 2)]
    ids = items.upsert(db, pages)
    colorizations.record(db, run, [samples.done(ids["book.tif", page], output_path="book.tif") for page in (1, 2)])
    assert [row.page for row in find_done(db, samples.OUTPUT, "book.tif")] == [1, 2]
    assert find_one(db, samples.OUTPUT, "book.tif", 2).page == 2
    with pytest.raises(UsageError, match=r"several pages \(1, 2\)"):
        find_one(db, samples.OUTPUT, "book.tif")
    with pytest.raises(UsageError, match=r"book\.tif, page 3: no such item"):
        find_one(db, samples.OUTPUT, "book.tif", 3)


def test_a_path_in_two_archives_is_not_enough(db: Database) -> None:  # noqa: F811
    archives = ("/one", "/two")
    ids = [items.upsert(db, [samples.item("same.tif", archive=archive)])["same.tif", 1] for archive in archives]
    for number, (archive, id_) in enumerate(zip(archives, ids, strict=True)):
        run = samples.start_run(db, archive=archive, started_at=samples.at(number))
        colorizations.record(db, run, [samples.done(id_)])
    with pytest.raises(UsageError, match=rf"several archives.*{ids[0]} in /one, {ids[1]} in /two"):
        find_done(db, samples.OUTPUT, "same.tif")
    assert find_one(db, samples.OUTPUT, str(ids[1])).archive == "/two"


def test_references_by_rank_path_and_id(db: Database) -> None:  # noqa: F811
    ids = fill(db)
    (other,) = samples.add_references(db, "whale.jpg")
    row = colorizations.get(db, [ids[0]])[0]
    rose, sea, tree = (candidate.reference_id for candidate in row.candidates)
    expected = {
        "#1": rose,
        "#3": tree,
        "sea.jpg": sea,
        f"{samples.LIBRARY}/tree.jpg": tree,
        str(sea): sea,
        "whale.jpg": other,
        f"{samples.LIBRARY}/whale.jpg": other,
        str(other): other,
    }
    assert {text: find_reference(db, row, text) for text in expected} == expected
    for text, words in {
        "#4": "no candidate #4; there are #1 to #3",
        "#": "no candidate #",
        "no.jpg": "no reference on record",
        "99999": "no reference on record",
        "9" * 30: "no reference on record",
        "odd\\name": "no reference on record",
    }.items():
        with pytest.raises(UsageError, match=words):
            find_reference(db, row, text)
    with pytest.raises(UsageError, match="no film"):
        find_reference(db, row, "#1", shot=1)


def test_references_of_a_film_are_those_of_its_shots(db: Database) -> None:  # noqa: F811
    run = samples.start_run(db)
    rose, sea = samples.add_references(db, "rose.jpg", "sea.jpg")
    film = items.upsert(db, [samples.item("film.mkv", kind="film")])["film.mkv", 1]
    matches = tuple(
        MatchRecord(reference_id=id_, rank=rank, score=0.5, shot=shot)
        for shot, ids in ((1, (rose, sea)), (2, (sea, rose)))
        for rank, id_ in enumerate(ids, start=1)
    )
    shots = (samples.shot(1, 0, 9, reference_id=rose), samples.shot(2, 10, 19, reference_id=sea))
    colorizations.record(db, run, [samples.done(film, matches=matches, shots=shots, frames=20)])
    row = find_one(db, samples.OUTPUT, "film.mkv")
    assert [find_reference(db, row, "#1", shot) for shot in (1, 2)] == [rose, sea]
    assert find_reference(db, row, "sea.jpg") == sea
    with pytest.raises(UsageError, match="for each of its shots"):
        find_reference(db, row, "#1")
    with pytest.raises(UsageError, match="no shot 3; it has 2"):
        find_reference(db, row, "#1", 3)
    assert [one.reference_id for one in candidates_for(row, 2)] == [sea, rose]
    assert candidates_for(replace(row, candidates=()), 2) == []


def test_who_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REVIEWER_VARIABLE, "reviewer 2")
    assert reviewer_name(" reviewer\n1 ") == "reviewer 1"
    assert reviewer_name(None) == "reviewer 2"
    monkeypatch.delenv(REVIEWER_VARIABLE)
    monkeypatch.setenv("LOGNAME", "login")
    assert reviewer_name("  ") == "login"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """The commands as the shell calls them: exit code, what was printed, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code, message = 0, ""
        try:
            command = typer.main.get_command(review.app)
            code = int(command.main([*map(str, arguments)], prog_name="review", standalone_mode=False) or 0)
        except Exception as error:
            code, message = explain(error)
        printed = capsys.readouterr()
        return int(code), printed.out, printed.err + message

    return run


def test_commands(tmp_path: Path, call: Call) -> None:
    address = sqlite_url(tmp_path / "provenance.db")
    with open_database(address) as database:
        fill(database)
    at = ("--database", address)

    code, out, _ = call("list", *at, "--format", "json")
    assert code == 0
    assert [row["path"] for row in json.loads(out)] == [NAMES[number] for number in (2, 1, 3, 0, 4)]
    assert call("approve", "a/first.tif", "--reviewer", "reviewer 1", "--reason", "as it was", *at)[:2] == (
        0,
        "a/first.tif: approved\n",
    )
    assert call("reject", "c/fifth.tif", "--reason", "red sky", "--reviewer", "reviewer 2", *at)[0] == 0
    code, out, _ = call("list", "--reviewed", *at, "--format", "csv")
    told = [(row["path"], row["review"], row["reviewer"], row["reason"]) for row in csv.DictReader(io.StringIO(out))]
    assert told == [
        ("a/first.tif", "approved", "reviewer 1", "as it was"),
        ("c/fifth.tif", "rejected", "reviewer 2", "red sky"),
    ]
    code, out, _ = call("list", "--unreviewed", "--below", "0.3", "--limit", "2", "--run", "1", *at, "--format", "json")
    assert [row["path"] for row in json.loads(out)] == ["b/third_x.tif", "a/Second 50%.tif"]
    assert json.loads(call("list", "--text", "FOURTH", *at, "--format", "json")[1])[0]["path"] == "b/fourth.tif"

    for arguments, words in {
        ("reject", "c/fifth.tif"): "--reason",
        ("reject", "c/fifth.tif", "--reason", " "): "say why",
        ("approve", "nothing.tif"): "no such item",
        ("reference", "a/first.tif", "#7"): "no candidate #7",
        ("list", "--below", "2"): "--below",
        ("serve", "--port", "70000"): "--port",
    }.items():
        code, _, error = call(*arguments, *at)
        assert (code, words in error) == (1, True), error
    with open_database(address) as database:
        assert len(audit.rows(database, "audit_review")) == 2
