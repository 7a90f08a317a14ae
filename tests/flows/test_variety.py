"""Variety: references of nearly the same score are taken in turn, folder by folder, also by a run that was cut off."""

import sqlite3
from pathlib import Path

import pytest

from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import RunSettings, run_settings
from flows.variety import Variety
from retrieval import Match, Reference
from tests.flows.conftest import picture

GOOD = ((1, 0.50, 0.9), (2, 0.48, 0.9), (3, 0.46, 0.9), (4, 0.30, 0.2))
"""Candidates: id, score, match confidence."""


def matches(*candidates: tuple[int, float, float]) -> list[Match]:
    return [
        Match(Reference(id_, Path(f"{id_}.jpg"), str(id_), 9, 9), score, rank, confidence)
        for rank, (id_, score, confidence) in enumerate(candidates, start=1)
    ]


def taken(variety: Variety, *paths: str, candidates: tuple[tuple[int, float, float], ...] = GOOD) -> list[int]:
    found = []
    for path in paths:
        match = variety.take(path, matches(*candidates))
        variety.count(path, match.reference.id)
        found.append(match.reference.id)
    return found


def test_without_variety_the_best_is_taken() -> None:
    assert taken(Variety(0, 0.5, {}), "a/1", "a/2", "a/3") == [1, 1, 1]


def test_references_are_taken_in_turn_within_the_share() -> None:
    assert taken(Variety(0.05, 0.5, {}), "a/1", "a/2", "a/3") == [1, 2, 1]
    assert taken(Variety(0.1, 0.5, {}), "a/1", "a/2", "a/3", "a/4") == [1, 2, 3, 1]


def test_a_doubtful_reference_is_not_taken_for_a_good_one() -> None:
    assert taken(Variety(1, 0.5, {}), "a/1", "a/2", "a/3", "a/4") == [1, 2, 3, 1]
    assert taken(Variety(1, 0.1, {}), "a/1", "a/2", "a/3", "a/4") == [1, 2, 3, 4]
    assert taken(Variety(1, 0.95, {}), "a/1", "a/2") == [1, 1]


def test_each_folder_has_its_own_turns() -> None:
    assert taken(Variety(0.05, 0.5, {}), "1", "a/1", "a/b/1", "2", "a/2") == [1, 1, 1, 2, 2]


def test_what_was_done_before_counts_if_it_lies_before() -> None:
    finished = {"a/1": 1, "a/2": 2, "a/5": 2, "b/1": 1}
    variety = Variety(0.05, 0.5, finished)
    assert taken(variety, "a/0", "a/3", "a/4") == [1, 2, 1]
    assert taken(variety, "a/6") == [1]  # a/5 comes before it


def test_equal_use_is_decided_by_rank() -> None:
    assert taken(Variety(0.1, 0.5, {"a/1": 3}), "a/2", "a/3", "a/4") == [1, 2, 1]


@pytest.fixture
def given(tmp_path: Path, references: Path) -> dict[str, object]:
    """Two albums of views of one cup."""
    cup = picture("coffee.png", 300).convert("L")
    for album, count in (("first", 5), ("second", 2)):
        (tmp_path / "archive" / album).mkdir(parents=True)
        for number in range(count):
            view = cup.crop((4 * number, 0, cup.width - 40 + 4 * number, cup.height))
            view.save(tmp_path / "archive" / album / f"{number}.png")
    return {
        "archive": tmp_path / "archive",
        "references": references,
        "output": tmp_path / "out",
        "size": 64,
        "batch_size": 2,
        "low_match": 0,
    }


def chosen(settings: RunSettings) -> dict[str, tuple[str, int, int, int]]:
    """By path: reference, rank, rank of the candidate marked as taken, low match."""
    query = """SELECT i.path, c.reference_path, c.reference_rank, m.rank, c.low_match FROM colorization c
               JOIN item i ON i.id = c.item_id
               JOIN match m ON m.run_id = c.run_id AND m.item_id = c.item_id AND m.chosen
               WHERE c.superseded_at IS NULL AND c.state = 'done'"""
    with sqlite3.connect(settings.output / "provenance.db") as database:
        return {path: tuple(rest) for path, *rest in database.execute(query)}


class CutOff(SilentProgress):
    """Interrupts the run at its third photograph."""

    def begin(self, total: int, unit: str) -> None:
        self.left = 3 if unit == "pictures" else 0

    def advance(self, count: int = 1, *, failed: bool = False) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_an_album_does_not_hang_on_one_picture(given: dict[str, object], tmp_path: Path) -> None:
    plain = run_settings(given)
    assert run_archive(plain, SilentProgress()).done == 7
    assert {reference for reference, *_ in chosen(plain).values()} == {"coffee.jpg"}

    varied = run_settings({**given, "variety": 1})
    assert run_archive(varied, SilentProgress()).done == 7  # asked for in another way, so all is made anew
    found = chosen(varied)
    used = [found[f"first/{number}.png"][0] for number in range(5)]
    assert used[0] == "coffee.jpg"
    assert set(used[:3]) == set(used[2:]) == {"coffee.jpg", "chelsea.jpg", "rocket.jpg"}
    assert len({found[f"second/{number}.png"][0] for number in range(2)}) == 2
    assert all(rank == marked for _, rank, marked, _ in found.values())
    assert {rank for _, rank, *_ in found.values()} == {1, 2, 3}
    assert run_archive(varied, SilentProgress()).done == 0

    cut_off = run_settings({**given, "variety": 1, "output": tmp_path / "cut off"})
    with pytest.raises(KeyboardInterrupt):
        run_archive(cut_off, CutOff())
    assert 0 < len(chosen(cut_off)) < 7
    run_archive(cut_off, SilentProgress())
    assert chosen(cut_off) == found
