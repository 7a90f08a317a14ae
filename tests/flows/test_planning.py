"""What is pending follows from the archive, the database and the output folder alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flows.ingest import IngestedItem
from flows.planning import Plan, Request, cut_into_batches, cut_into_chunks, make_plan
from storage.database.records import CopyRecord, CurrentColorization, ItemRecord

REQUEST = Request("automatic:/references", "w" * 64, {"size": 512, "attention": "sparse"}, ("tiff",))
FILMS = Request("automatic:/references", "w" * 64, {"size": 512, "film": 1}, ("ffv1", "h264"))
REQUESTS = {"photograph": REQUEST, "film": FILMS}


def item(number: int, **changes: object) -> IngestedItem:
    record = ItemRecord(
        archive="/archive",
        path=f"photo-{number}.jpg",
        kind="photograph",
        size_bytes=10,
        mtime_ns=1,
        width=100,
        height=50,
        channels=1,
        bit_depth=8,
        sha256=f"{number:064x}",
    )
    return replace(IngestedItem(record, number), **changes)  # type: ignore[arg-type]


def row(number: int, **changes: object) -> CurrentColorization:
    done = CurrentColorization(
        id=number,
        run_id=1,
        item_id=number,
        state="done",
        request_key=REQUEST.key(f"{number:064x}"),
        source_sha256=f"{number:064x}",
        output_path=f"photo-{number}.jpg.tif",
        output_sha256="0" * 64,
        output_bytes=1000,
        stage=None,
        error_type=None,
        message=None,
        created_at=datetime.now(UTC),
    )
    return replace(done, **changes)  # type: ignore[arg-type]


def plan(items: list[IngestedItem], rows: list[CurrentColorization], **options: object) -> Plan:
    settings = {"output_is_there": lambda path, size: True, **options}
    return make_plan(items, {one.item_id: one for one in rows}, REQUESTS, **settings)  # type: ignore[arg-type]


def test_new_items_are_pending() -> None:
    made = plan([item(1), item(2)], [])
    assert [one.output_path for one in made.pending] == ["photo-1.jpg.tif", "photo-2.jpg.tif"]
    assert made.has_work


def test_done_items_with_their_copy_are_left_alone() -> None:
    made = plan([item(1)], [row(1, reference_id=7)])
    assert not made.has_work
    assert made.finished == {"photo-1.jpg": 7}


def test_a_copy_that_is_gone_or_has_another_size_is_made_again() -> None:
    assert plan([item(1)], [row(1)], output_is_there=lambda path, size: size != 1000).pending


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, reference_choice="automatic:/others"),
        replace(REQUEST, weights_sha256="v" * 64),
        replace(REQUEST, parameters={"size": 768, "attention": "sparse"}),
        replace(REQUEST, output_formats=("png",)),
    ],
)
def test_whatever_changes_pixels_makes_items_pending(other: Request) -> None:
    made = make_plan([item(1)], {1: row(1)}, {**REQUESTS, "photograph": other}, output_is_there=lambda path, size: True)
    assert len(made.pending) == 1


def test_changed_source_is_pending() -> None:
    changed = item(1, record=replace(item(1).record, sha256="f" * 64))
    assert plan([changed], [row(1)]).pending


def test_failed_items_stand_until_retried_or_changed() -> None:
    failed = row(1, state="failed", stage="read", message="photo-1.jpg is cut off")
    made = plan([item(1)], [failed])
    assert not made.has_work
    assert [one.message for one in made.standing] == ["photo-1.jpg is cut off"]
    assert plan([item(1)], [failed], retry_failed=True).pending
    assert plan([item(1, record=replace(item(1).record, sha256="f" * 64))], [failed]).pending


@pytest.mark.parametrize(
    "error_type",
    ["reference_changed", "no_reference", "out_of_memory", "unwritable", "changed", "unreadable", "in_the_way"],
)
def test_failures_that_may_be_gone_are_tried_again_unasked(error_type: str) -> None:
    assert plan([item(1)], [row(1, state="failed", stage="read", error_type=error_type, message="m")]).pending


def test_problems_are_recorded_once() -> None:
    broken = item(1, problem=("empty", "photo-1.jpg is empty"))
    first = plan([broken], [])
    assert [(one.state, one.error_type, one.message) for one in first.to_record] == [
        ("failed", "empty", "photo-1.jpg is empty")
    ]
    recorded = row(1, state="failed", error_type="empty", message="photo-1.jpg is empty", stage="ingest")
    again = plan([broken], [recorded])
    assert not again.has_work
    assert len(again.standing) == 1


def test_pages_are_skipped_with_the_reason() -> None:
    made = plan([item(1, skip="this is a document")], [])
    assert [(one.state, one.message) for one in made.to_record] == [("skipped", "this is a document")]
    assert made.skipped == 1
    assert not made.standing


def test_clashing_copies_fail_with_both_names() -> None:
    clash = item(2, record=replace(item(2).record, path="photo-1.jpg.tif"))
    made = plan([item(1), clash], [])
    assert len(made.pending) == 1
    assert "photo-1.jpg; rename one of the two" in (made.to_record[0].message or "")


def film(number: int, path: str) -> IngestedItem:
    return item(number, record=replace(item(number).record, path=path, kind="film"))


def film_row(number: int, *copies: CopyRecord) -> CurrentColorization:
    key = FILMS.key(f"{number:064x}")
    return row(number, request_key=key, output_path="reel.mkv", copies=copies)


def test_a_film_has_a_request_and_formats_of_its_own() -> None:
    made = plan([film(1, "reel.avi"), item(2)], [])
    assert [(one.kind, one.output_formats) for one in made.pending] == [
        ("film", ("ffv1", "h264")),
        ("photograph", ("tiff",)),
    ]
    assert made.pending[0].output_paths == ("reel.avi.mkv", "reel.avi.mp4")
    assert made.pending[0].output_path == "reel.avi.mkv"
    assert made.pending[0].request_key == FILMS.key(f"{1:064x}") != REQUEST.key(f"{1:064x}")


def test_a_film_is_done_while_all_its_copies_are_there() -> None:
    copy = CopyRecord(output_path="reel.mp4", output_sha256="0" * 64, output_bytes=77, output_format="h264")
    there = {("reel.mkv", 1000), ("reel.mp4", 77)}

    def looked(*gone: str) -> Plan:
        answer = {"output_is_there": lambda path, size: path not in gone and (path, size) in there}
        return plan([film(1, "reel")], [film_row(1, copy)], **answer)

    assert len(looked().finished) == 1
    assert not looked().has_work
    assert looked("reel.mp4").pending
    assert looked("reel.mkv").pending


def test_films_clash_in_any_of_their_formats() -> None:
    made = plan([film(1, "reel"), film(2, "reel.mp4")], [])
    assert [one.path for one in made.pending] == ["reel"]
    assert "that of reel; rename one of the two" in (made.to_record[0].message or "")


def test_batches_and_chunks() -> None:
    pending = plan([item(number) for number in range(10)], []).pending
    assert [len(batch) for batch in cut_into_batches(pending, 4)] == [4, 4, 2]
    assert pending[0].decoded_bytes == 5000
    assert [len(chunk) for chunk in cut_into_chunks(pending, limit=12_000)] == [2, 2, 2, 2, 2]
    assert [len(chunk) for chunk in cut_into_chunks(pending, limit=10)] == [1] * 10
