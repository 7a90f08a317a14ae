"""Every command has help, and every ending its exit code and one clear line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.benchmark.archive import ArchiveFigures
from flows.benchmark.first_frame import ClipFigures
from flows.cli.entry import run_command
from flows.listing import PRETTY_ROWS
from flows.summary import RunSummary
from storage.database import open_database, runs
from storage.database.records import RunRecord
from tests.flows.conftest import ROOT, CommandLine, picture

RECORD = RunRecord(
    archive="/archive",
    output_root="/output",
    references_root="/references",
    code_version="1",
    weights_sha256="0" * 64,
    device="cpu",
    precision="float32",
)
COMMANDS = [
    "demo",
    "run",
    "colorize",
    "references",
    "references add",
    "references list",
    "references search",
    "references remove",
    "references rebuild",
    "audit",
    "audit runs",
    "audit items",
    "audit shots",
    "audit failures",
    "audit references",
    "audit runtimes",
    "database",
    "database upgrade",
    "database check",
    "database backup",
    "database restore",
    "database grant-auditor",
    "verify",
    "reproduce",
    "review",
    "review list",
    "review approve",
    "review reject",
    "review reference",
    "review serve",
    "export",
    "export bag",
    "export premis",
    "export iiif",
    "export table",
    "export c2pa",
    "report",
    "benchmark",
    "evaluate",
    "evaluate retrieval",
    "serve",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*name.split(), "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


def test_help_lists_every_command(command: CommandLine) -> None:
    answer = command("--help")
    assert answer.returncode == 0
    assert all(f" {name} " in answer.stdout for name in COMMANDS if " " not in name)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, flows.cli.app; print([n for n in ('torch', 'prefect', 'sqlalchemy', 'numpy') if n in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert answer.stdout == "[]\n"


def test_version(command: CommandLine) -> None:
    answer = command("--version")
    assert (answer.returncode, answer.stdout.split()[0]) == (0, "archive-colorizer")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("run --bogus", "No such option: --bogus"),
        ("bogus", "No such command 'bogus'."),
        ("run", "ARCHIVE is missing; give it on the command line or set ARCHIVE_COLORIZER_ARCHIVE"),
        ("run nowhere --references . --output out", "does not exist; check the path"),
        ("run . --references . --output out", "lies inside the archive; choose an output folder elsewhere"),
        ("run . --size small", "Invalid value for '--size'"),
        ("audit runs", "there is no database"),
        ("audit runs --format xml", "Invalid value for '--format'"),
        ("report 7", "there is no database"),
        ("report", "Missing argument 'RUN'"),
        ("verify --output nowhere", "there is no database"),
        ("references list --library nowhere", "there is no reference library in nowhere"),
        ("references search gone.jpg --library .", "the photograph gone.jpg does not exist"),
        ("references add gone --library new", "gone does not exist; check the path"),
        ("colorize gone.jpg --reference gone.png --output x.tif --format png", "x.tif is named as tiff but"),
        ("benchmark first-frame --device cuda:x", "--device: 'cuda:x' is not known; use auto, cpu, cuda or cuda:N"),
        ("database upgrade", "there is no database"),
        ("colorize gone.jpg --reference gone.png --output x.tif", "the master gone.jpg does not exist"),
    ],
)
def test_wrong_usage_is_exit_code_1_with_one_line(
    arguments: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(arguments.split()) == 1
    printed = capsys.readouterr()
    assert line in printed.err
    assert printed.err.startswith("archive-colorizer: ")
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert not (tmp_path / "new").exists()


def test_exit_code_reaches_the_shell(command: CommandLine) -> None:
    answer = command("run", "--quux")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "archive-colorizer: No such option: --quux (see archive-colorizer --help)\n"


def test_debug_prints_the_traceback(command: CommandLine) -> None:
    answer = command("audit", "runs", "--debug")
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr


def test_database_that_is_none_is_exit_code_3(command: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "provenance.db").write_text("this is no database, but it has some length\n" * 100)
    answer = command("audit", "runs")
    assert answer.returncode == 3, answer.stderr
    assert "is not a database file" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder whose listing is more than a pipe holds (64 KB), and few enough rows for a pretty table."""
    folder = tmp_path_factory.mktemp("many-runs")
    with open_database(f"sqlite:///{folder / 'provenance.db'}") as database:
        for _ in range(PRETTY_ROWS):
            runs.start(database, RECORD)
    return folder


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_reader_that_has_seen_enough_is_not_an_error(form: str, many_runs: Path, environment: dict[str, str]) -> None:
    line = [sys.executable, "-m", "flows.cli", "audit", "runs", "--format", form]
    environment.pop("PYTHONUNBUFFERED", None)  # with it Python itself overlooks that a long write was cut short
    with subprocess.Popen(
        line, env=environment, cwd=many_runs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.read(100)
        listing.stdout.close()
        said = listing.stderr.read()
    assert said == b""
    assert listing.returncode == 141  # as coreutils answer


def test_database_upgrade_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_database("sqlite:///provenance.db") as database:
        runs.start(database, RECORD)
    assert run_command(["database", "upgrade"]) == 0
    assert capsys.readouterr().out.startswith("nothing to do: the database ")
    monkeypatch.setattr("storage.database.schema.judge", lambda version, *_: "older" if version else "empty")
    assert run_command(["audit", "runs"]) == 3
    assert "archive-colorizer database upgrade" in capsys.readouterr().err
    assert run_command(["database", "upgrade"]) == 0
    backup, upgraded = capsys.readouterr().out.splitlines()
    assert backup.startswith(f"backup {tmp_path / 'provenance.before-0005.db'}: 1 runs, ")
    assert upgraded.startswith(f"upgraded the database {tmp_path / 'provenance.db'} ")


def test_benchmark_without_a_subcommand_is_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = ArchiveFigures(16, 1.5, 0.1, 3.0, 10**9, {"network": 0.5})
    monkeypatch.setattr("flows.benchmark.archive.measure_archive", lambda *_: figures)  # minutes of work each
    clips = [ClipFigures("bikes", 20.0, 30.0, 0.5)]
    monkeypatch.setattr("flows.benchmark.first_frame.measure_first_frame", lambda *_: clips)
    assert run_command(["benchmark", "--format", "json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["archive"][0]["value"] == 16
    assert read["first_frame"][0]["clip"] == "bikes"
    assert run_command(["benchmark", "--format", "csv", "first-frame"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "clip,psnr_grey,psnr,confidence"


def test_damaged_weights_are_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture("chelsea.png", 64).save(tmp_path / "cat.png")
    monkeypatch.setattr("sscn.weights.WEIGHTS_FOLDER", tmp_path)
    line = ["colorize", tmp_path / "cat.png", "--reference", tmp_path / "cat.png", "--output", tmp_path / "x.tif"]
    assert run_command([*map(str, line), "--device", "cpu"]) == 3
    printed = capsys.readouterr()
    assert "weights" in printed.err


def test_options_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_database("sqlite:///provenance.db") as database:
        for _ in range(2):
            runs.start(database, RECORD)
    monkeypatch.setenv("ARCHIVE_COLORIZER_RUN", "2")
    assert run_command(["audit", "runs", "--format", "json"]) == 0
    assert [row["run_id"] for row in json.loads(capsys.readouterr().out)] == [2]
    monkeypatch.setenv("ARCHIVE_COLORIZER_OUTPUT", "x.gif")
    picture("chelsea.png", 64).save(tmp_path / "cat.png")
    assert run_command(["colorize", "cat.png", "--reference", "cat.png"]) == 1
    assert "x.gif needs a name that ends in .tif" in capsys.readouterr().err


def test_the_demo_is_never_recorded_in_the_real_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("flows.launch.launch", lambda settings: asked.append(settings) or RunSummary(0))
    for name in ("DATABASE", "ARCHIVE", "REFERENCES", "OUTPUT"):
        monkeypatch.setenv(f"ARCHIVE_COLORIZER_{name}", str(tmp_path / name.lower()))
    assert run_command(["demo"]) == 0
    (settings,) = asked
    assert settings.output == tmp_path / "output"
    assert settings.database_url == f"sqlite:///{tmp_path / 'output' / 'provenance.db'}"
    assert settings.archive.parent.name == settings.references.parent.name == "demo"


def test_references_are_listed_without_networks(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'library.db'}").close()
    code = (
        "import sys; from flows.cli.entry import run_command;"
        f"run_command(['references', 'list', '--library', {str(tmp_path)!r}, '--format', 'json']);"
        "print([n for n in ('torch', 'faiss') if n in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert answer.stdout == "[]\n[]\n"
