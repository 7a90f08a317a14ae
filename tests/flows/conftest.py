"""Archives, references and a command line for the tests of the run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from storage.decoding import Decoder

PICTURES = Path(skimage.__file__).parent / "data"
ROOT = Path(__file__).parents[2]

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


def picture(name: str, long_side: int = 256) -> Image.Image:
    """A photograph of scikit-image's own data, made smaller."""
    image = Image.open(PICTURES / name).convert("RGB")
    image.thumbnail((long_side, long_side))
    return image


def grey16(image: Image.Image) -> np.ndarray:
    """Luma with real 16-bit steps: three channels averaged at full precision."""
    values = np.asarray(image, np.float64) @ [0.299, 0.587, 0.114]
    return (values * 257).round().astype(np.uint16)


@pytest.fixture(scope="session")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour photographs, among them one that is broken and a text."""
    folder = tmp_path_factory.mktemp("references")
    for name in ("coffee.png", "chelsea.png", "rocket.jpg"):
        picture(name, 320).save(folder / f"{Path(name).stem}.jpg", quality=92)
    (folder / "broken.jpg").write_bytes((folder / "coffee.jpg").read_bytes()[:2000])
    (folder / "readme.txt").write_text("Colour photographs.\n")
    return folder


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    """Reads masters in a process of its own."""
    with Decoder() as opened:
        yield opened


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three good photographs in two folders."""
    folder = tmp_path / "archive"
    (folder / "album").mkdir(parents=True)
    picture("astronaut.png", 200).convert("L").save(folder / "album" / "portrait.jpg")
    picture("coffee.png", 200).convert("L").save(folder / "cup.png")
    picture("chelsea.png", 200).convert("L").save(folder / "cat.tif")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a command: ours, with Prefect's records in the test's folder and no setting of the user's."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ARCHIVE_COLORIZER_", "PREFECT_"))
    }
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {
        "PYTHONPATH": os.pathsep.join(paths),
        "XDG_DATA_HOME": str(tmp_path / "xdg"),
        "COLUMNS": "200",
    }


@pytest.fixture
def command(environment: Mapping[str, str], tmp_path: Path) -> CommandLine:
    """Run the command line as the shell does."""

    def run(*arguments: object, timeout: float = 240, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env={**environment, **extra},
            check=False,
        )

    return run


def tree_digests(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def needs_program(name: str) -> str:
    """Path of a program from Debian; the test is skipped where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"the program {name} is not installed")
    return found
