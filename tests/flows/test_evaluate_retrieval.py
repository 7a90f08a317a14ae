"""`archive-colorizer evaluate retrieval`: one table of what is found and what colours it gives."""

import json
from pathlib import Path

import pytest

from flows.cli.entry import run_command
from tests.flows.conftest import picture

pytest.importorskip("skimage")

NAMES = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png")


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    folder = tmp_path / "held-out"
    folder.mkdir()
    for name in NAMES:
        picture(name, 160).save(folder / name)
    picture("coffee.png", 160).convert("L").save(folder / "grey.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return folder


def test_recall_precision_and_colours(held_out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = tmp_path / "kinds"
    for kind, names in (("cats", NAMES[:1]), ("things", NAMES[1:2])):
        (kinds / kind).mkdir(parents=True)
        for name in names:
            for angle in (0, 5):
                picture(name, 128).rotate(angle).save(kinds / kind / f"{angle} {name}")
    line = ["evaluate", "retrieval", "--data", held_out, "--kinds", kinds, "--limit", 2, "--size", 64]
    assert run_command([*map(str, line), "--device", "cpu", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    figures = {(row["measure"], row["method"]): row for row in rows}
    for way in ("vgg", "embedding", "re-ranked"):
        halves, same = figures["other half", way], figures["same kind", way]
        assert halves["queries"] == 2 * len(NAMES)
        assert 0 <= halves["at_1"] <= halves["at_5"] == 1  # five candidates, so the right one is among five
        assert (same["queries"], same["at_1"]) == (4, 1)
        assert same["at_5"] == pytest.approx(1 / 3)  # of the three others
    assert figures["other half", "re-ranked"]["at_1"] >= 0.8
    colours = {method: row["ciede2000"] for (measure, method), row in figures.items() if measure == "colours"}
    assert set(colours) == {"grey", "vgg", "embedding", "re-ranked", "random", "best"}
    assert colours["best"] <= colours["re-ranked"] < colours["random"]
    steps = [row for row in rows if row["measure"] == "confidence"]
    assert 2 * 2 < sum(row["queries"] for row in steps) <= 2 * len(NAMES)
    for row in steps:
        low, high = (float(end) for end in row["method"].split(" to "))
        assert low <= row["confidence"] < high
        assert row["better"] * row["queries"] == pytest.approx(round(row["better"] * row["queries"]))


def test_nothing_is_colorized_when_not_asked(held_out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", "retrieval", "--data", str(held_out), "--limit", "0", "--device", "cpu", "--format", "csv"]
    assert run_command(line) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "measure,method,queries,at_1,at_5,ciede2000,confidence,better"
    assert [row.split(",")[:3] for row in printed[1:]] == [
        ["other half", way, str(2 * len(NAMES))] for way in ("vgg", "embedding", "re-ranked")
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--data", "nowhere"], "there is no folder nowhere; --data names a folder of colour photographs"),
        (["--data", "empty"], "empty has 0 usable colour photographs; --data needs 2 or more"),
        (["--data", "held-out", "--kinds", "nowhere"], "there is no folder nowhere; --kinds names a folder"),
        (["--data", "held-out", "--kinds", "held-out"], "held-out has pictures of 0 kinds; --kinds needs a folder"),
    ],
)
def test_wrong_folders_are_one_clear_line(
    held_out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    line: str,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run_command(["evaluate", "retrieval", *options, "--limit", "0", "--device", "cpu"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"archive-colorizer: {line}")
