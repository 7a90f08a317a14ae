"""What is pending follows from the archive, the database and the output folder alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flows.ingest import IngestedItem
from flows.planning import Plan, Request, cut_into_batches, cut_into_chunks, make_plan
from storage.database.records import CopyRecord, CurrentColorization, ItemRecord

REQUEST = Request("automatic:/references", "w" * 64, {"size": 512, "attention": "sparse"}, ("tiff",))
FILMS = Request("automatic:/references", "w" * 64, {"size": 512, "film": 1}, ("ffv1", "h264"))
PDF_PAGES = replace(REQUEST, output_formats=("pdf", "jpeg:500"))
PAGES = replace(REQUEST, output_formats=("tiff", "jpeg:500"), pdf=PDF_PAGES)
REQUESTS = {"photograph": REQUEST, "film": FILMS, "page": PAGES}


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
    assert made.finished == {("photo-1.jpg", 1): 7}


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


def page(number: int, path: str = "akte.tif", form: str = "tiff", **changes: object) -> IngestedItem:
    record = replace(item(number).record, path=path, kind="page", page=number, format=form, sha256="a" * 64)
    return item(number, record=record, **changes)


def page_row(number: int, **changes: object) -> CurrentColorization:
    done = {"request_key": PAGES.key("a" * 64), "source_sha256": "a" * 64, "output_path": "akte.tif"}
    return row(number, **(done | changes))


def test_the_pages_of_a_document_share_a_copy_and_have_access_copies_of_their_own() -> None:
    made = plan([page(1), page(2), page(3, "akte.pdf", "pdf")], [])
    assert [one.output_paths for one in made.pending] == [
        ("akte.tif", "akte.tif.page-0001.jpg"),
        ("akte.tif", "akte.tif.page-0002.jpg"),
        ("akte.pdf", "akte.pdf.page-0003.jpg"),
    ]
    assert [one.output_formats[0] for one in made.pending] == ["tiff", "tiff", "pdf"]
    assert [one.name for one in made.pending][1] == "akte.tif, page 2"
    assert made.pending[2].request_key == PDF_PAGES.key("a" * 64)


def test_a_document_is_made_as_a_whole() -> None:
    made = plan([page(1), page(2)], [page_row(1)])
    assert [one.page for one in made.pending] == [1, 2]
    assert not plan([page(1), page(2)], [page_row(1, reference_id=3), page_row(2, reference_id=4)]).has_work
    both = plan([page(1), page(2)], [page_row(1, reference_id=3), page_row(2, reference_id=4)]).finished
    assert both == {("akte.tif", 1): 3, ("akte.tif", 2): 4}


def test_a_document_with_a_page_that_failed_stands() -> None:
    failed = {"state": "failed", "stage": "read", "message": "cut off"}
    rows = [page_row(1, **failed, error_type="truncated"), page_row(2, **failed, error_type="other_page")]
    made = plan([page(1), page(2)], rows)
    assert not made.has_work
    assert [one.path for one in made.standing] == ["akte.tif, page 1", "akte.tif, page 2"]
    assert len(plan([page(1), page(2)], rows, retry_failed=True).pending) == 2


def test_a_page_without_a_scan_is_left_out_of_a_document_that_is_made() -> None:
    made = plan([page(1), page(2, skip="no scan")], [])
    assert [one.page for one in made.pending] == [1]
    assert [(one.state, one.error_type) for one in made.to_record] == [("skipped", "no_scan")]


@pytest.mark.parametrize("content", ["text", "blank", "colour", "negative"])
def test_what_was_left_out_for_its_content_stays_so_until_asked(content: str) -> None:
    left_out = row(1, state="skipped", error_type=content, message="it is text", output_path=None)
    assert not plan([item(1)], [left_out]).has_work
    assert plan([item(1)], [left_out]).skipped == 1
    assert plan([item(1)], [left_out], colorize_all=True).pending
    assert plan([item(1)], [left_out], retry_failed=True).pending
    assert plan([item(1, record=replace(item(1).record, sha256="f" * 64))], [left_out]).pending
    pages = [page_row(1, state="skipped", error_type=content, output_path=None), page_row(2, output_bytes=1)]
    made = plan([page(1), page(2)], pages, output_is_there=lambda path, size: False)
    assert [one.page for one in made.pending] == [2]


def test_batches_and_chunks() -> None:
    pending = plan([item(number) for number in range(10)], []).pending
    assert [len(batch) for batch in cut_into_batches(pending, 4)] == [4, 4, 2]
    assert pending[0].decoded_bytes == 5000
    assert [len(chunk) for chunk in cut_into_chunks(pending, limit=12_000)] == [2, 2, 2, 2, 2]
    assert [len(chunk) for chunk in cut_into_chunks(pending, limit=10)] == [1] * 10


def test_a_page_whose_reference_does_not_fit_is_tried_with_its_document() -> None:
    left_out = page_row(2, state="skipped", error_type="low_match", output_path=None)
    made = plan([page(1), page(2)], [page_row(1), left_out])
    assert (made.pending, made.skipped) == ((), 1)
    gone = plan([page(1), page(2)], [page_row(1), left_out], output_is_there=lambda path, size: False)
    assert [one.page for one in gone.pending] == [1, 2]
    assert [one.page for one in plan([page(1), page(2)], [page_row(1), left_out], retry_failed=True).pending] == [1, 2]
    nothing = [replace(left_out, id=number, item_id=number) for number in (1, 2)]
    assert [one.page for one in plan([page(1), page(2)], nothing).pending] == [1, 2]  # as photographs are
