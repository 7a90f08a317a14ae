"""Which references may be used: described by a table, listed, searched, and asked of a run."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli.entry import run_command
from flows.errors import UsageError
from flows.filters import FilterSettings, reference_filter
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import filter_settings, run_settings
from retrieval import RetrievalError

Answer = tuple[int, str, str]
Ask = Callable[..., Answer]

TABLE = """path,caption,rights,creator,date,tags
coffee.jpg,"A cup, full",CC0,M. Keller,c. 1905,cup; table
chelsea.jpg,,© Museum,,1936-05-02,animal
gone.jpg,,CC0,,,
"""


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """A command's exit code, output and messages."""
    for name in [name for name in os.environ if name.startswith("ARCHIVE_COLORIZER_")]:
        monkeypatch.delenv(name)

    def run(*arguments: object) -> Answer:
        code = run_command([*map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def library(tmp_path: Path, references: Path, ask: Ask) -> Path:
    (tmp_path / "table.csv").write_text(TABLE)
    folder = tmp_path / "library"
    code, out, err = ask("references", "add", references, "--library", folder, "--metadata", tmp_path / "table.csv")
    assert code == 2
    assert out == "3 added, 0 unchanged, 1 left out\n2 described, 2 of them anew, 1 problems\n"
    assert f"line 4 of {tmp_path / 'table.csv'}: 'gone.jpg' is no reference in use" in err
    return folder


def names(output: str) -> list[str]:
    return [Path(row["path"]).stem for row in json.loads(output)]


def test_from_the_table_to_the_listing_and_back(library: Path, tmp_path: Path, references: Path, ask: Ask) -> None:
    listing = ["references", "list", "--library", library]
    _, out, _ = ask(*listing, "--format", "json")
    (cup,) = [row for row in json.loads(out) if "coffee" in row["path"]]
    assert {
        name: cup[name] for name in ("caption", "rights", "creator", "date", "year_first", "year_last", "tags")
    } == {
        "caption": "A cup, full",
        "rights": "CC0",
        "creator": "M. Keller",
        "date": "c. 1905",
        "year_first": 1900,
        "year_last": 1910,
        "tags": ["cup", "table"],
    }
    _, out, _ = ask(*listing)
    line = next(line for line in out.splitlines() if "coffee" in line)
    assert [part in line for part in ("A cup, full", "CC0", "1900-1910", "cup; table")] == [True] * 4

    # the listing is itself a table that can be given again
    _, out, _ = ask(*listing, "--format", "csv")
    (tmp_path / "listed.csv").write_text(out.replace("CC0", "public domain"))
    again = ask("references", "add", references, "--library", library, "--metadata", tmp_path / "listed.csv")
    assert again[1] == "0 added, 3 unchanged, 1 left out\n3 described, 1 of them anew, 0 problems\n"
    _, out, _ = ask(*listing, "--rights", "Public  Domain", "--format", "json")
    assert names(out) == ["coffee"]


def test_listings_and_searches_keep_to_the_conditions(library: Path, archive: Path, tmp_path: Path, ask: Ask) -> None:
    ends = ("--library", library, "--format", "json")
    assert names(ask("references", "list", *ends, "--tag", "TABLE", "--tag", "cup")[1]) == ["coffee"]
    assert names(ask("references", "list", *ends, "--years", "1910-1940")[1]) == ["chelsea", "coffee"]
    assert names(ask("references", "list", *ends, "--rights", "cc0", "--rights", "© museum")[1]) == [
        "chelsea",
        "coffee",
    ]
    assert ask("references", "list", *ends, "--tag", "sea")[:2] == (0, "[]\n")

    search = ("references", "search", archive / "cup.png", *ends)
    assert names(ask(*search)[1])[0] == "coffee"
    assert names(ask(*search, "--years", "1936")[1]) == ["chelsea"]
    paths = [row["path"] for row in json.loads(ask("references", "list", *ends)[1]) if "rocket" not in row["path"]]
    (tmp_path / "list.txt").write_text("\n".join(paths))
    assert names(ask(*search, "--never-references", tmp_path / "list.txt")[1]) == ["rocket"]
    assert ask(*search, "--tag", "sea", "--years", "1936") == (
        1,
        "",
        f"archive-colorizer: no reference in {library} passes --tag, --years; loosen that\n",
    )
    (tmp_path / "list.txt").write_text("elsewhere.jpg\n")
    code, _, err = ask(*search, "--only-references", tmp_path / "list.txt")
    assert (code, "elsewhere.jpg is not in the reference library; check the path in the list" in err) == (1, True)


def test_a_run_uses_what_passes_and_another_filter_is_another_choice(
    library: Path, archive: Path, tmp_path: Path
) -> None:
    given = {"archive": archive, "references": library, "output": tmp_path / "out", "size": 64}

    def used(**changes: object) -> tuple[int, set[str]]:
        summary = run_archive(run_settings({**given, **changes}), SilentProgress())
        with sqlite3.connect(tmp_path / "out" / "provenance.db") as database:
            query = "SELECT reference_path FROM colorization WHERE superseded_at IS NULL"
            return summary.done, {Path(path).stem for (path,) in database.execute(query)}

    assert used(tags=["animal"]) == (3, {"chelsea"})
    assert used(tags=["Animal"]) == (0, {"chelsea"})
    assert used(years="1900-1905") == (3, {"coffee"})
    (tmp_path / "never.txt").write_text("coffee.jpg\n\nchelsea.jpg\n")
    with pytest.raises(RetrievalError, match=r"coffee\.jpg is not in the reference library"):
        used(never_references=tmp_path / "never.txt")  # neither beside the list nor in the library's own folder
    with sqlite3.connect(tmp_path / "out" / "provenance.db") as database:
        query = "SELECT json_extract(parameters, '$.tags[0]'), state FROM audit_run ORDER BY run_id"
        assert database.execute(query).fetchall() == [("animal", "completed"), (None, "completed"), (None, "failed")]


def test_a_filter_that_leaves_nothing_ends_a_run_with_one_line(archive: Path, references: Path, tmp_path: Path) -> None:
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64, "rights": ["CC0"]}
    with pytest.raises(UsageError, match=r"no reference in .* passes --rights; loosen that, or describe") as ended:
        run_archive(run_settings(given), SilentProgress())
    assert "\n" not in str(ended.value)
    assert not list((tmp_path / "out").rglob("*.tif"))


def test_lists_name_pictures_in_several_ways(tmp_path: Path, references: Path) -> None:
    odd = os.fsdecode(b"\xe4.jpg")
    (tmp_path / "beside.jpg").touch()
    lines = ["beside.jpg", "coffee.jpg", str(references / "rocket.jpg"), odd, "\\xe4.jpg", r"a\b.jpg"]
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + os.fsencode("\r\n".join(lines)))
    settings = filter_settings({"only_references": tmp_path / "list.txt"})
    where = reference_filter(settings, references)
    assert where is not None
    assert where.only == (
        tmp_path / "beside.jpg",
        references / "coffee.jpg",
        references / "rocket.jpg",
        references / odd,
        references / odd,
        references / r"a\b.jpg",
    )
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(UsageError, match="is empty; write one path a line"):
        reference_filter(settings, references)
    assert reference_filter(FilterSettings(), references) is None
