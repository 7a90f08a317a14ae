"""Films in a run over an archive: what becomes of every kind, and that nothing is done twice."""

import json
import re
import shutil
import sqlite3
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import av
import pytest
from PIL import Image

from flows.cli.entry import run_command
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from flows.summary import RunSummary
from storage.film import film_sha256, probe, survey
from storage.fixity import PARTIAL_SUFFIX, sha256_file
from tests.flows.conftest import picture, tree_digests
from tests.flows.film.films import EVERYTHING, FOLDERS, check_film_is_kept, make_films
from tests.storage.film.clips import packets
from tests.storage.film.test_streams import chapters


@dataclass(frozen=True)
class Archive:
    """An archive that has been colorized once."""

    archive: Path
    references: Path
    output: Path
    films: tuple[str, ...]
    summary: RunSummary
    before: dict[str, bytes]

    def run(self, **changes: object) -> RunSummary:
        given = {"archive": self.archive, "references": self.references, "output": self.output, "size": 64}
        return run_archive(run_settings({**given, **changes}), SilentProgress())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What an auditor's plain SQL answers."""
        with sqlite3.connect(self.output / "provenance.db") as database:
            return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def colorized(tmp_path_factory: pytest.TempPathFactory, references: Path) -> Archive:
    root = tmp_path_factory.mktemp("films")
    films = make_films(root / "archive")
    picture("coffee.png", 120).convert("L").save(root / "archive" / "cup.png")
    before = tree_digests(root / "archive")
    given = {"archive": root / "archive", "references": references, "output": root / "output", "size": 64}
    summary = run_archive(run_settings(given), SilentProgress())
    return Archive(root / "archive", references, root / "output", tuple(films), summary, before)


def test_every_film_and_the_photograph_are_done(colorized: Archive) -> None:
    assert [failure.message for failure in colorized.summary.failures] == []
    assert colorized.summary.exit_code == 0
    assert (colorized.summary.done, colorized.summary.items) == (len(colorized.films) + 1,) * 2
    assert tree_digests(colorized.archive) == colorized.before
    kinds = dict(colorized.rows("SELECT path, kind FROM audit_item"))
    assert kinds == dict.fromkeys(colorized.films, "film") | {"cup.png": "photograph"}


def copy_of(film: str) -> str:
    return film if film.endswith(".mkv") else f"{film}.mkv"


def test_each_copy_keeps_frames_luma_times_and_sound(colorized: Archive) -> None:
    for film in colorized.films:
        check_film_is_kept(colorized.archive / film, colorized.output / copy_of(film))


def test_the_copies_are_in_colour(colorized: Archive) -> None:
    for film in colorized.films:
        with av.open(str(colorized.output / copy_of(film))) as container:
            frame = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
        assert abs(frame[..., 0] - frame[..., 2]).mean() > 1, film


def test_streams_beside_the_picture(colorized: Archive) -> None:
    source, copy = colorized.archive / EVERYTHING, colorized.output / EVERYTHING
    assert len(packets(copy, "audio")) == 2
    assert packets(copy, "subtitle") == packets(source, "subtitle")
    assert chapters(copy) == chapters(source)
    languages = [stream.language for stream in probe(copy).streams if stream.kind in ("audio", "subtitle")]
    assert languages == ["deu", "fra", "eng"]


def test_what_lies_in_the_output_folder(colorized: Archive) -> None:
    found = {
        path
        for path in tree_digests(colorized.output)
        if not path.startswith(("gallery/", "provenance.db", ".archive-colorizer/index/"))
    }
    assert found == {copy_of(film) for film in colorized.films} | {"cup.png.tif"}
    assert not list(colorized.output.rglob(f"*{PARTIAL_SUFFIX}"))


def test_audit_of_items_and_shots(colorized: Archive) -> None:
    items = colorized.rows(
        "SELECT path, state, output_path, source_sha256, output_sha256, reference_path, confidence, seconds "
        "FROM audit_item WHERE kind = 'film'"
    )
    assert sorted(str(row[0]) for row in items) == list(colorized.films)
    for path, state, output_path, source, output, reference, confidence, seconds in items:
        assert (state, output_path) == ("done", copy_of(str(path)))
        assert source == film_sha256(colorized.archive / str(path))
        assert output == sha256_file(colorized.output / str(output_path))
        assert (colorized.references / str(reference)).is_file()
        assert 0 <= float(str(confidence)) <= 1
        assert float(str(seconds)) > 0
    for film in colorized.films:
        facts = probe(colorized.archive / film)
        frames = len(survey(facts.path, facts).frames)
        shots = colorized.rows(
            "SELECT shot, first_frame, last_frame, frames, reference_choice, reference_rank, reference_score, fps, "
            f"seconds_read, seconds_network, seconds_chroma, seconds_write, output_path FROM audit_shot "
            f"WHERE path = '{film}' ORDER BY shot"
        )
        assert [row[0] for row in shots] == list(range(1, len(shots) + 1))
        covered = [frame for row in shots for frame in range(int(str(row[1])), int(str(row[2])) + 1)]
        assert covered == list(range(frames))
        for row in shots:
            assert (row[4], row[5], row[12]) == ("retrieved", 1, copy_of(film))
            assert all(float(str(value)) > 0 for value in row[6:12] if value is not None)
            assert None not in row[6:12]
    stages = {str(stage) for (stage,) in colorized.rows("SELECT stage FROM audit_runtime")}
    assert {"analyse", "search", "network", "motion", "chroma", "write", "join", "thumbnail"} <= stages
    frames = dict(colorized.rows("SELECT i.path, c.frames FROM colorization c JOIN item i ON i.id = c.item_id"))
    assert frames["dpx"] == 12
    assert frames["cup.png"] is None


class _Pictures(HTMLParser):
    """The addresses of the pictures of each section "shot", and of all links."""

    def __init__(self) -> None:
        super().__init__()
        self.shots: list[list[str]] = []
        self.links: list[str] = []
        self._is_in_shot = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if tag == "section":
            self._is_in_shot = named.get("class") == "shot"
            if self._is_in_shot:
                self.shots.append([])
        if tag == "img" and self._is_in_shot:
            self.shots[-1].append(str(named["src"]))
        if tag == "a":
            self.links.append(str(named["href"]))

    def handle_endtag(self, tag: str) -> None:
        self._is_in_shot = self._is_in_shot and tag != "section"


def test_the_gallery_shows_three_pictures_of_every_shot(colorized: Archive) -> None:
    page = colorized.output / "gallery" / "run-1" / "index.html"
    assert colorized.summary.gallery == page
    parser = _Pictures()
    parser.feed(page.read_text())
    ((count,),) = colorized.rows("SELECT COUNT(*) FROM shot")
    assert len(parser.shots) == count
    for sources in parser.shots:
        assert [re.sub(r".*-", "", source) for source in sources[:2]] == ["grey.jpg", "colour.jpg"]
        assert len(sources) == 3
        assert "reference-" in sources[2]
        for source in sources:
            with Image.open(page.parent / unquote(source)) as image:
                assert min(image.size) > 20
        with Image.open(page.parent / unquote(sources[0])) as grey:
            assert grey.mode == "L"
    for link in parser.links:
        assert (page.parent / unquote(link)).is_file()


def test_copies_say_what_they_are(colorized: Archive) -> None:
    for film in ("aac.mp4", "dpx"):
        with av.open(str(colorized.output / copy_of(film))) as container:
            tags = {name.upper(): value for name, value in container.metadata.items()}
        assert tags["SOFTWARE_AGENT"].startswith("archive-colorizer ")
        assert tags["DIGITAL_SOURCE_TYPE"].endswith("compositeWithTrainedAlgorithmicMedia")
        assert tags["DERIVED_FROM_SHA256"] == film_sha256(colorized.archive / film)
        ((weights,),) = colorized.rows("SELECT weights_sha256 FROM audit_run")
        assert tags["AI_SYSTEM_VERSION_USED"] == weights
        assert "size=64" in tags["AI_PARAMETERS"]


def states(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in output.rglob("*") if not path.name.startswith("provenance.db")}


def test_a_second_run_has_nothing_to_do(colorized: Archive) -> None:
    before = states(colorized.output)
    again = colorized.run()
    assert again.run_id is None
    assert again.finished_before == len(colorized.films) + 1
    assert states(colorized.output) == before


def verify(output: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, str]]]:
    capsys.readouterr()
    code = run_command(["verify", "--output", str(output), "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_verify_finds_a_changed_frame(colorized: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(colorized.output, capsys) == (0, [])
    frame = sorted((colorized.archive / FOLDERS[1]).iterdir())[5]
    whole = frame.read_bytes()
    try:
        data = bytearray(whole)
        data[-1] ^= 1
        frame.write_bytes(data)
        code, found = verify(colorized.output, capsys)
        assert code == 2
        assert [(one["what"], one["finding"]) for one in found] == [("source", "changed")]
        assert found[0]["path"].endswith(FOLDERS[1])
        frame.rename(frame.with_suffix(".bak"))
        code, found = verify(colorized.output, capsys)
        assert [(one["what"], one["finding"]) for one in found] == [("source", "changed")]
    finally:
        frame.with_suffix(".bak").unlink(missing_ok=True)
        frame.write_bytes(whole)
    assert verify(colorized.output, capsys) == (0, [])


@pytest.fixture
def small(colorized: Archive, tmp_path: Path) -> Archive:
    """One film of its own."""
    (tmp_path / "archive").mkdir()
    shutil.copy(colorized.archive / "aac.mp4", tmp_path / "archive" / "aac.mp4")
    return Archive(tmp_path / "archive", colorized.references, tmp_path / "output", ("aac.mp4",), colorized.summary, {})


def test_two_formats_at_once_and_what_makes_them_again(small: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert small.run(film_format="h264,ffv1").done == 1
    main, further = small.output / "aac.mp4", small.output / "aac.mp4.mkv"
    check_film_is_kept(small.archive / "aac.mp4", further)
    ((path, kind),) = small.rows("SELECT output_path, output_format FROM colorization")
    assert (path, kind) == ("aac.mp4", "h264")
    ((path, sha256, size, kind),) = small.rows(
        "SELECT output_path, output_sha256, output_bytes, output_format FROM copy"
    )
    assert (path, sha256, size, kind) == ("aac.mp4.mkv", sha256_file(further), further.stat().st_size, "ffv1")
    found = probe(main)
    assert (found.codec, len(survey(main, found).frames)) == ("h264", 12)
    assert packets(main, "audio") == packets(small.archive / "aac.mp4", "audio")
    bytes_of_both = (main.read_bytes(), further.read_bytes())
    assert verify(small.output, capsys) == (0, [])

    assert small.run(film_format="h264,ffv1").run_id is None
    further.unlink()
    assert small.run(film_format="h264,ffv1").done == 1
    assert (main.read_bytes(), further.read_bytes()) == bytes_of_both
    main.unlink()
    assert small.run(film_format="h264,ffv1").done == 1
    assert (main.read_bytes(), further.read_bytes()) == bytes_of_both

    assert small.run(film_format="ffv1").done == 1
    ((path,),) = small.rows("SELECT output_path FROM colorization WHERE superseded_at IS NULL")
    assert path == "aac.mp4.mkv"
    assert further.read_bytes() == bytes_of_both[1]
    assert small.run(film_format="ffv1").run_id is None
    further.write_bytes(further.read_bytes()[:-1])
    code, found_files = verify(small.output, capsys)
    assert (code, {one["what"] for one in found_files}) == (2, {"output"})
    assert small.run(film_format="ffv1").done == 1
    assert further.read_bytes() == bytes_of_both[1]


def test_a_film_of_somebody_else_in_its_place_is_left_alone(small: Archive) -> None:
    small.output.mkdir()
    shutil.copy(small.archive / "aac.mp4", small.output / "aac.mp4.mkv")
    before = (small.output / "aac.mp4.mkv").read_bytes()
    summary = small.run()
    assert summary.exit_code == 2
    assert ["that is not a copy made here" in failure.message for failure in summary.failures] == [True]
    assert (small.output / "aac.mp4.mkv").read_bytes() == before
    (small.output / "aac.mp4.mkv").unlink()
    assert small.run().done == 1


def test_report_makes_the_pictures_of_shots_again(colorized: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    folder = colorized.output / "gallery" / "run-1"
    before = {path.name for path in folder.rglob("*.jpg")}
    page = (folder / "index.html").read_text()
    shutil.rmtree(folder)
    assert run_command(["report", "1", "--output", str(colorized.output)]) == 0
    assert {path.name for path in folder.rglob("*.jpg")} == before
    assert (folder / "index.html").read_text() == page
