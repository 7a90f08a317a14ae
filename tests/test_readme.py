"""The README's commands, word for word, in a folder with scans and colour photographs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()
DEMO = PROJECT / "flows" / "demo"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "scans").mkdir()
    (folder / "colour-photographs").mkdir()
    shutil.copy(next(DEMO.rglob("abandoned dust bowl home.jpg")), folder / "scans" / "home.jpg")
    shutil.copy(DEMO / "references" / "mountain-pasture-aitzgorri.jpg", folder / "colour-photographs" / "pasture.jpg")
    (folder / "films").mkdir()
    shutil.copy(next(DEMO.rglob("big buck bunny.mp4")), folder / "films" / "bunny.mp4")
    shutil.copy(DEMO / "references" / "beach-sky-and-cables.jpg", folder / "colour-photographs" / "beach.jpg")
    for name, table in zip(("about.csv", "pins.csv"), _blocks("csv"), strict=True):
        (folder / name).write_text(table)
    return folder


def _environment(folder: Path) -> dict[str, str]:
    """The installed command first in PATH, and a Prefect home of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ARCHIVE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean.get('PATH', '')}"
    return clean | {"PATH": path, "PREFECT_HOME": str(folder / "prefect")}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_commands_work_as_they_are_written(workplace: Path):
    if shutil.which("archive-colorizer", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("the package is not installed here, so there is no command archive-colorizer")
    commands = [block for block in _blocks("sh") if block.startswith("archive-colorizer")]
    assert len(commands) == 12
    for block in commands:
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=workplace,
            env=_environment(workplace),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    readers = ("for-readers/home.jpg.tif", "for-readers/home.jpg.jp2", "for-readers/home.jpg")
    for output in (
        *readers,
        "colorized/home.jpg.tif",
        "colorized-from-library/home.jpg.tif",
        "home-in-colour.tif",
        "items.csv",
    ):
        assert (workplace / output).stat().st_size > 0
    assert (workplace / "colorized-as-told" / "home.jpg.tif").stat().st_size > 0
    for output in ("colorized-films/bunny.mp4.mkv", "colorized-films/bunny.mp4", "bunny-in-colour.mp4"):
        assert (workplace / output).stat().st_size > 0


def test_the_python_example_works_as_it_is_written(workplace: Path):
    (example,) = _blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=workplace,
        env=_environment(workplace) | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("confidence 0.")


def test_make_targets_of_the_readme_exist():
    makefile = (PROJECT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_files_that_the_readme_points_to_exist():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (PROJECT / target).exists(), target
