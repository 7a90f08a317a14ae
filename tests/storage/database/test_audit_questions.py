"""deploy/audit.sql: every question, on both databases, on records of which the answer is known."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from storage.database import Database, open_database
from storage.database.types import to_json
from tests.storage.database.audited import HARBOUR, OLD_WEIGHTS, WEIGHTS, Question, day, fill, questions
from tests.storage.database.postgresql import fresh_database
from tests.storage.database.samples import ARCHIVE, OUTPUT, digest

PARAMETERS = '{"attention": "sparse", "size": 512}'


def _told(month: int, day_: int, hour: int = 12) -> str:
    return day(month, day_, hour).isoformat(timespec="microseconds")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with those records, which no test changes."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('questions') / 'provenance.db'}"
    else:
        url = request.getfixturevalue("postgresql_of_module")
    with open_database(url) as db:
        fill(db)
        yield db


@pytest.fixture(scope="module")
def postgresql_of_module(postgresql_server: str, postgresql_template: str) -> Iterator[str]:
    with fresh_database(postgresql_server, "test_questions", postgresql_template) as url:
        yield url


def _machine_coloured(path: str, page: int, output: str, letter: str, ended: str, of: tuple[Any, ...]) -> Any:
    return (ARCHIVE, path, page, digest("a"), OUTPUT, output, digest(letter), *of, PARAMETERS, ended)


_OLD = ("harbour.jpg", HARBOUR, "retrieved", None, OLD_WEIGHTS, "0.3.0")
_NEW = ("harbour.jpg", HARBOUR, "pinned", None, WEIGHTS, "0.5.0")
_GIVEN = ("given.jpg", digest("7"), "pinned", None, WEIGHTS, "0.5.0")
_OF_FIRST = [
    ("album.pdf", 1, "album.pdf"),
    ("films/reel.mkv", 1, "films/reel.mkv"),
    ("films/reel.mkv", 1, "films/reel.mp4"),
    ("plates/mill.tif", 1, "plates/mill.tif"),
    ("plates/quay.tif", 1, "plates/quay.tif"),
]
ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "How did the runs end?": [
        (2, _told(3, 2), None, "running", 3, 2, 0, 1, None),
        (1, _told(2, 27), None, "running", 6, 4, 2, 0, None),
    ],
    "Which pictures are coloured by machine, and from what were they made?": [
        (*_machine_coloured("album.pdf", 1, "album.pdf", "3", _told(2, 27), _OLD), "rejected"),
        (*_machine_coloured("films/reel.mkv", 1, "films/reel.mkv", "4", _told(2, 27), _OLD), None),
        (*_machine_coloured("films/reel.mkv", 1, "films/reel.mp4", "c", _told(2, 27), _OLD), None),
        (*_machine_coloured("plates/gate.tif", 1, "plates/gate.tif", "6", _told(3, 2), _GIVEN), None),
        (*_machine_coloured("plates/mill.tif", 1, "plates/mill.tif", "5", _told(3, 2), _NEW), None),
        (*_machine_coloured("plates/quay.tif", 1, "plates/quay.tif", "2", _told(2, 27), _OLD), "approved"),
    ],
    "Which results rest on a given reference, films by any of their shots?": [
        ("films/reel.mkv", 1, "films/reel.mkv", 2),
    ],
    "Which results have a reference without a statement of rights?": [
        (name, "harbour.jpg", "Frei")
        for name in ("album.pdf", "films/reel.mkv", "films/reel.mp4", "plates/mill.tif", "plates/quay.tif")
    ],
    "Was any picture coloured from a reference that is on record under another digest now?": [
        ("plates/gate.tif", "given.jpg")
    ],
    "Which references were used most (superseded results included), and how confident are the results?": [
        # quay, page 1, the film by its first shot, and mill of the second run
        ("harbour.jpg", 4, 0.5, (0.75 + 0.5 + 0.875 + 0.875) / 4),
        ("meadow.jpg", 2, 0.5, (0.25 + 0.375) / 2),
    ],
    "Which references were never chosen?": [("alley.jpg",)],
    "Which results were kept though their reference hardly matched?": [
        ("plates/quay.tif", 1, "harbour.jpg", 0.125, 0.75, "approved")
    ],
    "Which results should a curator look at first: of little confidence, and reviewed by nobody?": [
        ("plates/gate.tif", 1, "plates/gate.tif", 0.375, "given.jpg")
    ],
    "Which shots of films should a curator look at first?": [
        ("films/reel.mkv", 2, 30, 49, "meadow.jpg", 0.375, 0.25),
        ("films/reel.mkv", 1, 0, 29, "harbour.jpg", 0.875, 0.25),
    ],
    "What was rejected or replaced, by whom, and why?": [
        *[("plates/mill.tif", 1, None, "replaced", "sky too green", "reviewer 1", _told(3, 1, 9), "harbour.jpg")],
        *[("album.pdf", 1, None, "rejected", "faces are grey", "reviewer 2", _told(3, 3), None)],
    ],
    "Which results are superseded, where were they put, and what counts instead?": [
        (
            *("plates/mill.tif", 1, 1, digest("1"), "SUPERSEDED", "replaced/mill.tif"),
            *(2, "done", digest("5"), "harbour.jpg"),
        )
    ],
    "Which masters could not be coloured, and why?": [
        (1, "album.pdf", "network", "memory", "too large"),
        (1, "plates/dark.tif", "read", "truncated", "the file ends too early: copy it again"),
    ],
    "How often did what fail?": [
        ("network", "memory", 1, _told(2, 28), _told(2, 28)),
        ("read", "truncated", 1, _told(2, 27), _told(2, 27)),
    ],
    "Which files are not as they were made, or gone?": [
        ("source", f"{ARCHIVE}/plates/quay.tif", "changed", digest("a"), digest("8"), _told(3, 5)),
        ("output", f"{OUTPUT}/album.pdf", "missing", digest("3"), None, _told(3, 5)),
        ("output", f"{OUTPUT}/films/reel.mkv", "changed", digest("4"), digest("0"), _told(3, 5)),
    ],
    "Which results have not been verified since a given day, or never?": [
        (OUTPUT, "films/reel.mp4", None),
        (OUTPUT, "plates/gate.tif", None),
        (OUTPUT, "plates/mill.tif", _told(3, 5).replace("2026", "2025")),
    ],
    "Which results were made from masters that have changed since?": [
        (ARCHIVE, "plates/quay.tif", 1, "plates/quay.tif", digest("a"), digest("8"), _told(3, 5))
    ],
    "What was made by given weights, a given version of the program, or of a library?": [
        (1, *one, OLD_WEIGHTS, "0.3.0") for one in _OF_FIRST
    ],
    "Were different weights used for different results?": [
        (OLD_WEIGHTS, 4, _told(2, 27), _told(2, 27)),
        (WEIGHTS, 2, _told(3, 2), _told(3, 2)),
    ],
    "Where did the time of a run go?": [("write", 2, 4.5, 2.25, 4.0), ("network", 2, 3.0, 1.5, 2.0)],
    "Which items of a run took longest, and in which stage?": [
        ("plates/quay.tif", 1, "write", 4.0),
        ("plates/mill.tif", 1, "network", 2.0),
        ("plates/quay.tif", 1, "network", 1.0),
        ("plates/mill.tif", 1, "write", 0.5),
    ],
    "Which outputs are larger than a gigabyte?": [(OUTPUT, "plates/quay.tif", "tiff", 2_000_000_000)],
    "Which documents are coloured, and how many of their pages?": [(ARCHIVE, "album.pdf", 2, 1, 1)],
    "What happened to one picture?": [
        (_told(2, 27), "colorization", "done", "run 1", "plates/mill.tif"),
        (_told(3, 1, 9), "reviewed", "replaced", "reviewer 1", "sky too green"),
        (_told(3, 2), "colorization", "done", "run 2", "plates/mill.tif"),
        ("SUPERSEDED", "superseded", "done", "run 1", "plates/mill.tif"),
    ],
    "What was done on a given day?": [
        (_told(3, 1, 9), "reviewed", "replaced", "reviewer 1", 1, "plates/mill.tif", "sky too green"),
        (_told(3, 1, 10), "reviewed", "approved", "reviewer 2", 1, "plates/quay.tif", None),
    ],
}


def _plain(value: object) -> object:
    """As SQLite says it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return to_json(value) if isinstance(value, dict) else value


def _asked(db: Database, question: Question) -> list[tuple[object, ...]]:
    """The answer; in place of the moment at which the first result was superseded there is a word."""
    with db.read() as session:
        rows = [tuple(_plain(value) for value in row) for row in session.execute(sa.text(question.sql))]
        moment = _plain(
            session.scalar(sa.text("SELECT superseded_at FROM audit_output WHERE run_id = 1 AND path LIKE '%mill%'"))
        )
    assert moment is not None
    return [tuple("SUPERSEDED" if value == moment else value for value in row) for row in rows]


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.text[:40])
def test_the_answer(library: Database, question: Question) -> None:
    assert _asked(library, question) == ANSWERS[question.text]


def test_there_are_twenty_questions_and_every_answer_belongs_to_one() -> None:
    assert len(questions()) >= 20
    assert {question.text for question in questions()} == set(ANSWERS)
    assert all(ANSWERS.values())


ABOUT_RUNS = [question for question in questions() if "/*" in question.sql]


@pytest.mark.parametrize("question", ABOUT_RUNS, ids=lambda question: question.text[:40])
def test_of_one_run_after_the_other_the_answers_are_the_whole(library: Database, question: Question) -> None:
    first, second = (_asked(library, question.of_run(run_id)) for run_id in (1, 2))
    assert sorted(first + second, key=repr) == sorted(ANSWERS[question.text], key=repr)
    assert "/*" not in question.of_run(1).sql
