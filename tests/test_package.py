"""What is installed is whole: the wheel carries pictures, weights and migrations, and nothing that is too big."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder, source = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")
    for path in _tracked():  # a copy, so that no build folder is left in the project, or taken from it
        if path.is_file():
            copy = source / path.relative_to(PROJECT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def _tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is no git checkout, so nothing tells which files are tracked")
    return [PROJECT / name for name in done.stdout.decode().split("\0") if name]


def test_the_wheel_carries_all_data(wheel):
    names = set(wheel.namelist())
    rooms = {"flows", "sscn", "retrieval", "storage"}
    ours = {name for path in _tracked() if (name := path.relative_to(PROJECT).as_posix()).partition("/")[0] in rooms}
    assert ours
    assert not ours - names
    licences = {name.rpartition("/")[2] for name in names if "dist-info/licenses" in name}
    assert {"LICENSE", "NOTICE"} <= licences


def test_tracked_files_stay_under_fifty_mebibytes():
    assert sum(path.stat().st_size for path in _tracked() if path.is_file()) < 50 * 2**20


def test_every_bundled_picture_has_its_source():
    demo = PROJECT / "flows" / "demo"
    sources = (demo / "SOURCES.md").read_text()
    for folder in ("archive", "references"):
        pictures = list((demo / folder).rglob("*.jpg"))
        assert pictures
        for picture in pictures:
            assert f"`{picture.relative_to(demo / folder).as_posix()}`" in sources
