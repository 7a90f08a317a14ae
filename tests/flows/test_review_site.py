"""The review's web application: who may use it, what it shows, what it refuses. The browser is in test_review_page."""

import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from flows.failures import ItemFailure
from flows.progress import Progress
from flows.review.deciding import find_one
from flows.review.guard import TOKEN_HEADER, Keys
from flows.review.pictures import LARGE, SMALL, Pictures
from flows.review.site import Desk, make_site
from storage.database import Database, audit, colorizations, items, open_database, references, reviews, sqlite_url
from storage.database.records import ItemRecord, MatchRecord
from storage.decoding import Decoder
from storage.fixity import sha256_file
from storage.paths import path_to_text
from tests.flows.conftest import picture
from tests.storage.database import samples

HOSTILE = "<script>alert('1')</script> \"&\n%00.tif"
NAMES = (HOSTILE, "quiet.tif", "sunk.tif")
PORT = 8123


class SlowNetwork:
    """Makes a result when it is told to go on, and puts it on record."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.may_go_on = threading.Event()
        self.error: Exception | None = None

    def colorize_again(
        self, row: Any, reference_id: int, *, reviewer: str, reason: str | None, shot: int | None, progress: Progress
    ) -> Any:
        progress.begin(3, "pictures")
        progress.advance()
        assert self.may_go_on.wait(60)
        if self.error is not None:
            raise self.error
        reviews.decide(
            self.database, row.id, "replaced", reviewer=reviewer, reason=reason, reference_id=reference_id, shot=shot
        )
        run = samples.start_run(self.database, output_root=row.output_root, started_at=samples.at(50))
        done = samples.done(row.item_id, output_path=row.output_path, reference_id=reference_id)
        colorizations.record(self.database, run, [done])
        return find_one(self.database, row.output_root, str(row.item_id))

    def confidence_map(self, row: Any) -> NDArray[np.float32]:
        return np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(sqlite_url(tmp_path / "provenance.db")) as opened:
        yield opened


@pytest.fixture
def network(database: Database) -> SlowNetwork:
    return SlowNetwork(database)


@pytest.fixture
def desk(tmp_path: Path, database: Database, decoder: Decoder, network: SlowNetwork) -> Desk:
    """Three pictures with their copies and two references, all of them real files."""
    archive, output, library = (tmp_path / name for name in ("archive", "out", "references"))
    for folder in (archive, output, library):
        folder.mkdir()
    for name in ("rose.jpg", "sea.jpg"):
        picture("coffee.png" if name == "rose.jpg" else "rocket.jpg", 600).save(library / name)
    digests = {name: sha256_file(library / name) for name in ("rose.jpg", "sea.jpg")}
    ids = references.upsert(
        database, [samples.reference(name, library=str(library), sha256=digests[name]) for name in digests]
    )
    run = samples.start_run(database, archive=str(archive), output_root=str(output), references_root=str(library))
    matches = tuple(
        MatchRecord(reference_id=ids[name], rank=rank, score=0.5, chosen=rank == 1)
        for rank, name in enumerate(digests, start=1)
    )
    for number, name in enumerate(NAMES):
        large = number == 0
        colour = picture("coffee.png", 2000).resize((2000, 1400)) if large else picture("chelsea.png", 200)
        for folder in (archive, output):
            (folder / name).parent.mkdir(exist_ok=True)
        colour.convert("L").save(archive / name, "TIFF")
        colour.save(output / name, "TIFF")
        record = ItemRecord(
            archive=str(archive), path=path_to_text(name), kind="photograph", size_bytes=1, mtime_ns=1, sha256="0" * 64
        )
        item_id = items.upsert(database, [record])[path_to_text(name), 1]
        outcome = samples.done(
            item_id,
            source_sha256=sha256_file(archive / name),
            output_path=path_to_text(name),
            output_sha256=sha256_file(output / name),
            reference_id=ids["rose.jpg"],
            reference_path="rose.jpg",
            reference_sha256=digests["rose.jpg"],
            confidence=0.2 + 0.1 * number,
            matches=matches,
        )
        colorizations.record(database, run, [outcome])
    return Desk(
        database=database,
        output_root=str(output),
        reviewer="reviewer <1>",
        pictures=Pictures(database, decoder),
        network=network,
        keys=Keys(PORT),
        stop=threading.Event().set,
    )


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    """A browser that has opened the printed address."""
    with TestClient(make_site(desk), base_url=f"http://127.0.0.1:{PORT}") as opened:
        assert opened.get(desk.keys.address).status_code == 200
        opened.headers[TOKEN_HEADER] = desk.keys.token
        yield opened


def result(desk: Desk, number: int) -> int:
    return find_one(desk.database, desk.output_root, path_to_text(NAMES[number])).id


def jpeg_of(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_only_who_has_the_key_gets_in(desk: Desk) -> None:
    with TestClient(make_site(desk), base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False) as stranger:
        for address in ("/", "/item/1", "/picture/grey/1", "/job", "/review.js", "/?key=", "/?key=wrong"):
            answer = stranger.get(address)
            assert answer.status_code == 403
            assert desk.keys.token not in answer.text
        welcome = stranger.get("//evil.example/x", params={"key": desk.keys.access, "below": "0.5"})
        assert welcome.status_code == 303
        assert welcome.headers["location"].startswith("/evil.example/x") or welcome.headers["location"][1] != "/"
        cookie = welcome.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert desk.keys.access not in welcome.headers["location"]
        assert stranger.get("/?below=0.5").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", ""])
def test_other_hosts_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421
    assert client.post("/stop", json={}, headers={"host": host}).status_code == 421
    assert client.get("/", headers={"host": f"LOCALHOST:{PORT}"}).status_code == 200


def test_changes_need_the_token_and_our_own_origin(client: TestClient, desk: Desk) -> None:
    address, body = f"/item/{result(desk, 0)}/decision", {"decision": "approved"}
    assert client.post(address, json=body, headers={TOKEN_HEADER: "wrong"}).status_code == 403
    assert client.post(address, json=body, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post(address, json=body, headers={"origin": "null"}).status_code == 403
    del client.headers[TOKEN_HEADER]
    assert client.post(address, json=body).status_code == 403
    assert client.post(address, data=body, headers={TOKEN_HEADER: desk.keys.token}).status_code == 400
    long = {"decision": "approved", "reason": "x" * 70_000}
    assert client.post(address, json=long, headers={TOKEN_HEADER: desk.keys.token}).status_code == 413
    assert audit.rows(desk.database, "audit_review") == []
    own = {TOKEN_HEADER: desk.keys.token, "origin": f"http://127.0.0.1:{PORT}"}
    assert client.post(address, json=body, headers=own).status_code == 200
    assert [row["decision"] for row in audit.rows(desk.database, "audit_review")] == ["approved"]


def test_pages_are_strict_and_escaped(client: TestClient, desk: Desk) -> None:
    for address in ("/", f"/item/{result(desk, 0)}", "/?text=%3Cscript%3Ealert(2)%3C/script%3E", "/item/999"):
        answer = client.get(address)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
        assert answer.text.count("<script") == 1  # our own, by its address
        assert "alert(" not in answer.text.replace("&lt;script&gt;alert(", "")
    page = client.get(f"/item/{result(desk, 0)}").text
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &#34;&amp;\\x0a%00.tif" in page
    assert "reviewer &lt;1&gt;" in page


def test_the_list_is_filtered(client: TestClient, desk: Desk) -> None:
    reviews.decide(desk.database, result(desk, 1), "rejected", reviewer="reviewer 2", reason="too <red>")
    assert ">quiet.tif<" not in client.get("/").text
    page = client.get("/?show=reviewed").text
    assert ">quiet.tif<" in page
    assert 'title="reviewer 2: too &lt;red&gt;"' in page
    assert client.get("/?show=all&text=SUNK").text.count('<li class="card">') == 1
    assert client.get("/?show=all&below=0,25").text.count('<li class="card">') == 1
    assert "Nothing passes" in client.get("/?run=9").text
    assert client.get("/?below=&run=&text=&page=99").status_code == 200
    for wrong in ("below=much", "below=nan", "run=-1", "run=" + "9" * 40, "show=none", "page=0", "text=" + "x" * 501):
        answer = client.get(f"/?{wrong}")
        assert answer.status_code == 400
        assert 'class="message"' in answer.text


def test_decisions_lead_to_the_next_unreviewed(client: TestClient, desk: Desk) -> None:
    one, two, three = (result(desk, number) for number in range(3))

    def say(id_: int, query: str = "", **body: str) -> Any:
        return client.post(f"/item/{id_}/decision{query}", json=body)

    assert say(two, decision="approved").json() == {"next": f"/item/{three}"}
    assert (
        say(three, "?below=0.9&text=s", decision="rejected", reason=" red ").json()["next"].startswith(f"/item/{one}?")
    )
    assert say(one, decision="rejected").status_code == 400
    assert say(one, decision="rejected", reason="x" * 4001).status_code == 400
    assert say(one, decision="perhaps").status_code == 400
    assert say(one, decision="approved").json() == {"next": "/"}
    assert say(999, decision="approved").status_code == 404
    assert client.post(f"/item/{10**30}/decision", json={"decision": "approved"}).status_code == 400
    told = [
        (row["colorization_id"], row["decision"], row["reason"]) for row in audit.rows(desk.database, "audit_review")
    ]
    assert told == [(one, "approved", None), (three, "rejected", "red"), (two, "approved", None)]
    assert {row["reviewer"] for row in audit.rows(desk.database, "audit_review")} == {"reviewer <1>"}
    assert "Everything has been reviewed" in client.get("/").text


def test_pictures_are_made_from_the_files(client: TestClient, desk: Desk) -> None:
    one, two = result(desk, 0), result(desk, 1)
    sea = find_one(desk.database, desk.output_root, "quiet.tif").candidates[1].reference_id
    colour, grey = (jpeg_of(client.get(f"/picture/{kind}/{one}")) for kind in ("colour", "grey"))
    assert colour.size == grey.size == (LARGE, round(LARGE * 0.7))
    assert (colour.mode, grey.mode) == ("RGB", "L")
    assert jpeg_of(client.get(f"/picture/colour/{two}")).size == picture("chelsea.png", 200).size  # not enlarged
    assert max(jpeg_of(client.get(f"/picture/small/{one}")).size) == SMALL
    assert max(jpeg_of(client.get(f"/picture/reference/{one}/0")).size) == 600  # as large as it is
    assert max(jpeg_of(client.get(f"/picture/reference/{one}/{sea}")).size) == SMALL
    assert client.get(f"/picture/reference/{one}/77").status_code == 404
    assert client.get("/picture/colour/999").status_code == 404
    assert client.get(f"/picture/other/{one}").status_code == 400

    overlay = client.get(f"/picture/confidence/of/{one}")
    pixels = np.asarray(Image.open(io.BytesIO(overlay.content)))
    assert pixels[0, 0, 3] > 150  # unsure
    assert pixels[-1, -1, 3] == 0


def test_a_tiff_of_a_pdf_has_only_the_pages_that_were_colorized(desk: Desk) -> None:
    output = Path(desk.output_root)
    colours = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    colours[0].save(output / "book.pdf.tif", save_all=True, append_images=colours[1:])
    run = samples.start_run(desk.database, output_root=desk.output_root, started_at=samples.at(9))
    pages = [samples.item("book.pdf", kind="page", page=number) for number in (1, 2, 3)]
    ids = items.upsert(desk.database, pages)
    digest = sha256_file(output / "book.pdf.tif")
    done = [samples.done(ids["book.pdf", page], output_path="book.pdf.tif", output_sha256=digest) for page in (2, 3)]
    colorizations.record(desk.database, run, [samples.failed(ids["book.pdf", 1]), *done])
    for page, channel in ((2, 0), (3, 2)):
        row = find_one(desk.database, desk.output_root, "book.pdf", page)
        made = np.asarray(Image.open(io.BytesIO(desk.pictures.of_result(row, "colour"))))
        assert int(made[20, 30].argmax()) == channel


def test_files_that_are_not_those_on_record_are_not_shown(client: TestClient, desk: Desk) -> None:
    one, two, three = (result(desk, number) for number in range(3))
    output = Path(desk.output_root)
    assert client.get(f"/picture/colour/{two}").status_code == 200
    picture("rocket.jpg", 200).save(output / "quiet.tif")
    (output / "sunk.tif").unlink()
    (output.parent / "archive" / "sunk.tif").write_bytes(b"II*\0 no picture")
    for address, words in {
        f"/picture/colour/{two}": "is not the file that is on record",
        f"/picture/small/{two}": "is not the file that is on record",
        f"/picture/colour/{three}": "sunk.tif",
        f"/picture/grey/{three}": "sunk.tif",
    }.items():
        answer = client.get(address)
        assert answer.status_code == 422
        assert words in answer.json()["error"]
    assert client.get(f"/picture/colour/{one}").status_code == 200


def test_a_long_job_blocks_nothing(client: TestClient, desk: Desk, network: SlowNetwork) -> None:
    one, two = result(desk, 0), result(desk, 1)
    rose, sea = (candidate.reference_id for candidate in desk.row(one).candidates)
    assert client.get("/job").json() == {"job": None}
    assert client.post(f"/item/{one}/reference", json={"reference_id": 99}).status_code == 400
    assert client.post(f"/item/{one}/reference", json={"reference_id": sea, "shot": 2}).status_code == 400
    started = client.post(f"/item/{one}/reference", json={"reference_id": sea, "reason": "sea"})
    assert started.status_code == 202
    # meanwhile everything else goes on, but nothing else that needs the networks, and nobody stops the server
    assert client.get("/").status_code == 200
    assert client.get(f"/picture/colour/{one}").status_code == 200
    assert client.post(f"/item/{two}/decision", json={"decision": "approved"}).status_code == 200
    state = client.get("/job").json()["job"]
    assert (state["state"], state["through"], state["total"]) == ("running", 1, 3)
    for busy in (
        client.post(f"/item/{two}/reference", json={"reference_id": rose}),
        client.get(f"/picture/confidence/of/{one}"),
        client.post("/stop", json={}),
    ):
        assert busy.status_code == 409
    network.may_go_on.set()
    state = finished(client)
    assert state["state"] == "done"
    # the old address leads to the new result, on which alone can be decided
    moved = client.get(f"/item/{one}?below=0.9", follow_redirects=False)
    assert moved.headers["location"] == f"/item/{state['result']}?below=0.9"
    assert client.post(f"/item/{one}/decision", json={"decision": "approved"}).status_code == 409
    page = client.get(f"/item/{state['result']}").text
    assert "replaced" in page
    assert "Earlier results" in page
    assert client.post("/stop", json={}).json() == {"stopped": True}


def test_a_job_that_fails_says_why_and_the_next_can_begin(client: TestClient, desk: Desk, network: SlowNetwork) -> None:
    one = result(desk, 0)
    sea = desk.row(one).candidates[1].reference_id
    network.may_go_on.set()
    for error, words in (
        (ItemFailure("changed", "quiet.tif is another picture now"), "quiet.tif is another picture now"),
        (RuntimeError("odd\nsecond line"), "unexpected error: odd"),
    ):
        network.error = error
        assert client.post(f"/item/{one}/reference", json={"reference_id": sea}).status_code == 202
        state = finished(client)
        assert (state["state"], state["error"]) == ("failed", words)


def finished(client: TestClient) -> Any:
    deadline = time.monotonic() + 60
    while True:
        state = client.get("/job").json()["job"]
        if state["state"] != "running":
            return state
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_results_of_other_folders_are_not_there(client: TestClient, desk: Desk) -> None:
    other = samples.start_run(desk.database)
    (item_id,) = samples.add_items(desk.database, "elsewhere.tif")
    colorizations.record(desk.database, other, [samples.done(item_id)])
    foreign = find_one(desk.database, samples.OUTPUT, "elsewhere.tif").id
    for address in (f"/item/{foreign}", f"/picture/colour/{foreign}"):
        assert client.get(address).status_code == 404
    assert "elsewhere" not in client.get("/?show=all").text


def test_superseded_pictures_come_from_where_they_were_kept(desk: Desk) -> None:
    row = find_one(desk.database, desk.output_root, "quiet.tif")
    output = Path(desk.output_root)
    (output / "quiet.tif").rename(output / "kept.tif")
    kept = replace(row, superseded_at=samples.NOON, kept_path="kept.tif")
    assert len(desk.pictures.of_result(kept, "colour")) > 1000
