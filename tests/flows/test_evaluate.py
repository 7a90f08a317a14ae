"""`archive-colorizer evaluate`: a table, the files asked for, and one clear line where it fails."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from flows.cli.entry import run_command
from sscn.evaluation import film
from tests.flows.conftest import picture

pytest.importorskip("color_matcher")


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    folder = tmp_path / "held-out"
    folder.mkdir()
    for name in ("chelsea.png", "coffee.png"):
        picture(name, 128).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return folder


def test_table_json_and_sheets(
    held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(film, "CLIPS", ("bikes",))  # a few frames say as much here as all
    monkeypatch.setattr(film, "LATER_FRAMES", (5, 20))
    monkeypatch.setattr(film, "RUN", tuple(range(20, 25)))
    output, sheets = tmp_path / "figures.json", tmp_path / "sheets"
    line = ["evaluate", "--data", held_out, "--limit", 1, "--size", 64, "--device", "cpu", "--rows", "grey, sparse"]
    assert run_command([*map(str, line), "--output", str(output), "--sheets", str(sheets)]) == 0

    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert ["kind", "method", "pictures", "psnr", "ssim", "ciede2000"] in [row[:6] for row in rows]
    assert ["film", "sparse", "2"] in [row[:3] for row in rows]
    assert "13/13 pictures" in printed.err
    assert "not used: 1 file(s), for instance broken.jpg: it cannot be read as a picture" in printed.err

    document = json.loads(output.read_text())
    assert [method["name"] for method in document["methods"]] == ["grey", "sparse"]
    assert len(document["methods"][1]["weights_sha256"]) == 64
    assert (document["photographs"], len(document["unused"])) == (2, 1)
    means = {(mean["kind"], mean["method"]): mean for mean in document["means"]}
    assert means["film", "sparse"]["psnr"] > means["film", "grey"]["psnr"]
    warped = [case for case in document["cases"] if (case["kind"], case["method"]) == ("warped", "sparse")]
    assert warped[0]["ciede2000"] == means["warped", "sparse"]["ciede2000"]
    with Image.open(sheets / "halves-01.png") as sheet:
        assert sheet.width == 4 * 160


@pytest.mark.parametrize(
    ("options", "code", "line"),
    [
        (["--data", "nowhere"], 1, "there is no folder nowhere"),
        (["--data", "empty"], 1, "empty has no usable colour photographs; name a folder with JPEG or PNG files"),
        (["--weights", "lost.safetensors"], 1, "there is no file lost.safetensors"),
        (["--compare", "lost.safetensors"], 1, "there is no file lost.safetensors"),
        (["--rows", "grey,sepia"], 1, "there is no row called sepia; choose among grey, histogram"),
        (["--output", "empty"], 1, "empty is a folder; --output names a JSON file"),
        (["--data", "empty", "--sheets", "empty/sheets"], 1, "empty/sheets lies among the photographs of --data"),
        (["--device", "abacus"], 1, "--device: 'abacus' is not known"),
    ],
)
def test_wrong_usage_is_one_line(
    options: list[str],
    code: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert run_command(["evaluate", "--rows", "grey", "--device", "cpu", *options]) == code
    errors = capsys.readouterr().err.splitlines()
    assert line in errors[-1]
    assert "Traceback" not in "".join(errors)


@pytest.mark.parametrize("package", ["skimage", "color_matcher", "skvideo"])
def test_a_missing_package_names_the_extra(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith((package, "sscn.evaluation"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    assert run_command(["evaluate", "--rows", "histogram", "--device", "cpu"]) == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert 'is not installed; install it with: pip install "archive-colorizer[evaluate]"' in error
