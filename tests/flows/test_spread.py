"""A run spread over worker processes: the same copies, each item once, whatever happens to a worker."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import run_settings
from storage.database import events, open_database, sqlite_url
from storage.fixity import PARTIAL_SUFFIX, sha256_file
from storage.images import read_master
from tests.flows.conftest import CommandLine, picture
from tests.flows.documents import leaves, write_pdf, write_tiff
from tests.flows.film.films import FOREST, SEA, encode, pan
from tests.flows.workers import alive, command_of, dask_cluster, deadly, descendants, running, wait_for, workers_of

ITEMS = 12


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs alone."""
    folder = tmp_path_factory.mktemp("many")
    names = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
    for number in range(ITEMS):
        (folder / f"box {number % 2}").mkdir(exist_ok=True)
        image = picture(names[number % 4], 300 + 10 * number).convert("L")
        image.save(folder / f"box {number % 2}" / f"{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, two documents, and a film of two shots."""
    folder = tmp_path_factory.mktemp("mixed")
    for number, name in enumerate(("astronaut.png", "coffee.png", "chelsea.png")):
        picture(name, 200).convert("L").save(folder / f"{number}.png")
    write_tiff(folder / "leaves.tif", leaves())
    write_pdf(folder / "book.pdf", leaves(), text_page=False)
    encode([*pan(FOREST, 8), *pan(SEA, 8)], folder / "film.mkv")
    return folder


def current(output: Path) -> list[tuple[str, int, str, str, str | None]]:
    """Path, page, state, reference and message of all that counts."""
    query = """SELECT i.path, i.page, c.state, c.reference_path, c.message FROM colorization c
               JOIN item i ON i.id = c.item_id WHERE c.superseded_at IS NULL ORDER BY i.path, i.page"""
    with sqlite3.connect(output / "provenance.db") as database:
        return database.execute(query).fetchall()


def check_complete(output: Path, items: int = ITEMS) -> None:
    """Each item exactly once done, in all runs together, each copy as recorded, the record unbroken."""
    with sqlite3.connect(output / "provenance.db") as database:
        rows = database.execute("SELECT item_id, state, output_path, output_sha256 FROM colorization").fetchall()
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    done = [row for row in rows if row[1] == "done"]
    assert len(done) == len({row[0] for row in done}) == items
    for _, _, path, sha256 in done:
        assert sha256_file(output / path) == sha256
        if path.endswith(".tif"):
            assert read_master(output / path).sha256 == sha256
    assert not [*output.rglob(f"*{PARTIAL_SUFFIX}")]
    with open_database(sqlite_url(output / "provenance.db")) as database:
        assert list(events.check(database)) == []


def check_gone(family: list[int]) -> None:
    """Nothing of a run is left, some seconds after its end: children notice it by themselves."""
    deadline = time.monotonic() + 20
    while alive(family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [command_of(pid) for pid in alive(family)]


def arguments(archive: Path, references: Path, output: Path, *more: object) -> list[object]:
    common = ["--references", references, "--output", output, "--size", 128, "--batch-size", 2, "--colorize-all"]
    return ["run", archive, *common, *more]


def test_the_same_pictures_films_and_documents_as_in_one_process(
    mixed: Path, references: Path, tmp_path: Path, command: CommandLine
) -> None:
    found, copies = {}, {}
    for workers in (1, 2):
        output = tmp_path / f"out {workers}"
        answer = command(
            *arguments(mixed, references, output, "--workers", workers, "--no-prefect"), OMP_NUM_THREADS="1"
        )
        assert answer.returncode == 0, answer.stderr
        assert "Traceback" not in answer.stderr
        found[workers] = current(output)
        check_complete(output, 10)
        copies[workers] = {
            path.relative_to(output): read_master(path).pixels.tobytes() for path in output.glob("*.png.tif")
        } | {"film": sha256_file(output / "film.mkv")}
    assert found[1] == found[2]
    assert len(found[1]) == 10
    assert copies[1] == copies[2]
    with sqlite3.connect(output / "provenance.db") as database:
        (shots,) = database.execute("SELECT count(*) FROM audit_shot").fetchone()
        stages = {row[0] for row in database.execute("SELECT DISTINCT stage FROM audit_runtime")}
        pids = database.execute("SELECT count(*) FROM stage_timing WHERE stage = 'analyse'").fetchone()
    assert shots == 2
    assert {"analyse", "search", "join", "network", "record", "orchestrate"} <= stages
    assert pids == (1,)  # a film is looked at once, whoever makes its shots


@pytest.mark.parametrize("prefect", ["--no-prefect", "--prefect"])
def test_a_worker_is_killed_in_the_middle(
    prefect: str, many: Path, references: Path, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    output = tmp_path / "out"
    with running(environment, *arguments(many, references, output, "--workers", 2, prefect)) as run:
        wait_for(lambda: len([*output.rglob("*.tif")]) >= 2, run)
        os.kill(workers_of(run.pid)[0], signal.SIGKILL)
        _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert "Traceback" not in said
    check_complete(output)
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("SELECT state, done, failed FROM audit_run").fetchall() == [("completed", ITEMS, 0)]


def test_an_item_that_kills_its_workers_fails_alone(
    many: Path, references: Path, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    archive, output = tmp_path / "archive", tmp_path / "out"
    shutil.copytree(many, archive)
    picture("rocket.jpg", 200).convert("L").save(archive / "box 0" / "deadly.png")
    line = arguments(archive, references, output, "--workers", 2, "--no-prefect")
    with running(deadly(environment, tmp_path / "site"), *line) as run:
        _, said = run.communicate(timeout=400)
    assert run.returncode == 2, said
    check_complete(output)
    failed = [row for row in current(output) if row[2] == "failed"]
    assert [row[0] for row in failed] == ["box 0/deadly.png"]
    assert "the worker process died of it" in (failed[0][4] or "")


def test_stopped_by_hand_nothing_is_left_and_the_next_run_goes_on(
    many: Path, references: Path, tmp_path: Path, environment: Mapping[str, str], command: CommandLine
) -> None:
    output = tmp_path / "out"
    line = arguments(many, references, output, "--workers", 2, "--no-prefect")
    with running(environment, *line) as run:
        wait_for(lambda: len([*output.rglob("*.tif")]) >= 2, run)
        family = descendants(run.pid)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
    assert run.returncode == 130
    check_gone(family)
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("SELECT state FROM audit_run").fetchall() == [("interrupted",)]
    assert not [*output.rglob(f"*{PARTIAL_SUFFIX}")]
    assert command(*line).returncode == 0
    check_complete(output)


def test_the_run_itself_is_killed_and_its_workers_end_with_it(
    many: Path, references: Path, tmp_path: Path, environment: Mapping[str, str], command: CommandLine
) -> None:
    output = tmp_path / "out"
    line = arguments(many, references, output, "--workers", 2, "--no-prefect")
    with running(environment, *line) as run:
        wait_for(lambda: len([*output.rglob("*.tif")]) >= 2, run)
        family = descendants(run.pid)
        run.kill()
        run.communicate()
    check_gone(family)
    assert command(*line).returncode == 0
    check_complete(output)


def test_a_cluster_of_its_own(
    mixed: Path, references: Path, tmp_path: Path, environment: Mapping[str, str], command: CommandLine
) -> None:
    output = tmp_path / "out"
    with dask_cluster(environment, tmp_path, 2) as address:
        for _ in range(2):
            line = arguments(mixed, references, output, "--cluster", address, "--no-prefect")
            answer = command(*line)
            assert answer.returncode == 0, answer.stderr
            (output / "0.png.tif").unlink()  # the second run has something to do; workers are there for it, too
        assert "Traceback" not in answer.stderr
    with sqlite3.connect(output / "provenance.db") as database:
        assert database.execute("SELECT done FROM audit_run ORDER BY run_id").fetchall() == [(10,), (1,)]
    answer = command(*line)
    assert answer.returncode == 3
    assert f"there is no Dask cluster at {address}" in answer.stderr


def test_a_film_that_does_not_fit_is_made_smaller_as_a_whole(
    tmp_path: Path, references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory gives out in the second group of its shots."""
    from sscn import Colorizer

    (tmp_path / "archive").mkdir()
    encode([*pan(FOREST, 8), *pan(SEA, 8)], tmp_path / "archive" / "film.mkv")
    monkeypatch.setattr("flows.film.job.GROUP_FRAMES", 8)
    real = Colorizer.film
    calls: list[int] = []

    def film(self: Colorizer, *given, **more):  # type: ignore[no-untyped-def]
        calls.append(int(self.parameters["size"]))
        if len(calls) == 2:
            raise MemoryError
        return real(self, *given, **more)

    monkeypatch.setattr(Colorizer, "film", film)
    given = {"archive": tmp_path / "archive", "references": references, "output": tmp_path / "out", "size": 128}
    summary = run_archive(run_settings(given), SilentProgress())
    assert (summary.done, summary.failed) == (1, 0)
    assert calls == [128, 128, 64, 64]
    ((_, _, state, _, message),) = current(tmp_path / "out")
    assert (state, "half the size" in (message or "")) == ("done", True)
    with sqlite3.connect(tmp_path / "out" / "provenance.db") as database:
        assert database.execute("SELECT network_size FROM colorization").fetchall() == [(64,)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cluster": "scheduler:8786"}, "an address like tcp://"),
        ({"cluster": "tcp://127.0.0.1:8786", "workers": 2}, "give one of the two"),
        ({"cluster": "tcp://far.example:8786"}, "give a PostgreSQL --database"),
        ({"workers": 0}, "--workers"),
    ],
)
def test_what_cannot_be_spread_is_refused(
    change: dict[str, object], message: str, archive: Path, references: Path, tmp_path: Path
) -> None:
    given = {"archive": archive, "references": references, "output": tmp_path / "out"}
    with pytest.raises(UsageError, match=message):
        run_settings({**given, **change})
