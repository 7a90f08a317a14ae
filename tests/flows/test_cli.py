"""Every command has help, and every ending its exit code and one clear line."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.cli.entry import run_command
from tests.flows.conftest import ROOT, CommandLine

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
    "audit failures",
    "audit references",
    "audit runtimes",
    "verify",
    "report",
    "serve",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*name.split(), "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


def test_help_lists_every_command_and_is_fast(command: CommandLine) -> None:
    command("--help")  # compiled by now
    start = time.monotonic()
    answer = command("--help")
    assert answer.returncode == 0
    assert all(f" {name} " in answer.stdout for name in COMMANDS if " " not in name)
    assert time.monotonic() - start < 5  # some 0.5 s; a heavy import would show even on a busy machine


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
        ("colorize gone.jpg --reference gone.png --output x.tif", "the photograph gone.jpg does not exist"),
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


def test_exit_code_reaches_the_shell(command: CommandLine) -> None:
    answer = command("run", "--bogus")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "archive-colorizer: No such option: --bogus (see archive-colorizer --help)\n"


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
