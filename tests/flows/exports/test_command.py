"""The commands of `export`."""

import json
import sys
from pathlib import Path

import bagit
import pytest
import typer

from flows.cli import entry
from flows.cli.export import app
from flows.errors import ExitCode
from tests.flows.exports.exported_archive import Colorized
from tests.storage.exports.schemas import read_premis


def export(*arguments: object) -> int:
    """What the shell sees of `archive-colorizer export ...`."""
    command = typer.main.get_command(app)
    try:
        return int(command.main([str(one) for one in arguments], prog_name="export", standalone_mode=False) or 0)
    except Exception as error:
        code, line = entry.explain(error)
        print(line, file=sys.stderr)
        return int(code)


def test_bag(colorized: Colorized, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "bag"
    where = ("--output", colorized.output, "--database", colorized.database.url)
    assert export("bag", target, *where, "--organization", "Archive of glass", "--with-sources") == ExitCode.DONE
    answer = capsys.readouterr()
    assert answer.out == ""
    assert f"bytes in {target}" in answer.err
    bag = bagit.Bag(str(target))
    bag.validate()
    assert bag.info["Source-Organization"] == "Archive of glass"
    assert export("bag", target, *where) == ExitCode.USAGE
    assert "is not empty" in capsys.readouterr().err


def test_what_is_missing_is_listed(colorized: Colorized, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = colorized.output / "letters.pdf"
    away = copy.rename(copy.with_name("away"))
    where = ("--output", colorized.output, "--database", colorized.database.url)
    try:
        assert export("bag", tmp_path / "bag", *where, "--format", "json") == ExitCode.ITEMS_FAILED
    finally:
        away.rename(copy)
    assert json.loads(capsys.readouterr().out) == [{"file": str(copy), "reason": "it is missing"}]


def test_premis(colorized: Colorized, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "premis.xml"
    where = ("--output", colorized.output, "--database", colorized.database.url)
    assert export("premis", target, *where, "--run", 1) == ExitCode.DONE
    read_premis(target)
    assert f"agents in {target}" in capsys.readouterr().err
    assert export("premis", target, *where, "--run", 5) == ExitCode.USAGE
    assert "by run 5" in capsys.readouterr().err


def test_table_is_named_by_its_suffix(colorized: Colorized, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--output", colorized.output, "--database", colorized.database.url)
    assert export("table", "item", tmp_path / "items.csv", *where) == ExitCode.DONE
    assert (tmp_path / "items.csv").read_text(encoding="utf-8").startswith("run_id,path,")
    assert export("table", "item", tmp_path / "items.xlsx", *where) == ExitCode.USAGE
    assert "end it with .csv or .parquet" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["bag", "premis", "iiif", "table", "c2pa"])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(name, "--help") == 0
    assert "--output" in capsys.readouterr().out


def test_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("premis", tmp_path / "premis.xml", "--output", tmp_path) == ExitCode.USAGE
    assert "there is no database" in capsys.readouterr().err
