"""An archive that was really colorized, for the tests of exports: photographs in two folders, and a PDF."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tifffile
from PIL import Image

from storage.database import Database, open_database, sqlite_url
from tests.flows.conftest import ROOT, grey16, picture
from tests.flows.documents import leaves, write_pdf

LICENCE = "https://creativecommons.org/licenses/by/4.0/"


@dataclass(frozen=True)
class Colorized:
    """Folders of a run that is over; `database` is for one test alone, the files are for all."""

    archive: Path
    output: Path
    references: Path
    database: Database

    @property
    def output_root(self) -> str:
        return str(self.output)


def make_archive(folder: Path) -> None:
    """Photographs of 8 and 16 bits, one with caption and licence, and a PDF of three scans and a page of text."""
    (folder / "album & more").mkdir(parents=True)
    described = Image.Exif()
    described[270], described[315], described[33432] = "A cup of coffee", "A photographer", f"Free to use: {LICENCE}"
    picture("coffee.png", 200).convert("L").save(folder / "album & more" / "Tässchen.jpg", exif=described)
    plate = grey16(picture("astronaut.png", 240))
    tifffile.imwrite(folder / "plate.tif", plate, rowsperstrip=16, resolution=(300, 300))
    write_pdf(folder / "letters.pdf", leaves())


@pytest.fixture(scope="session")
def colorized_folders(tmp_path_factory: pytest.TempPathFactory, references: Path) -> tuple[Path, Path]:
    """The archive and the output folder of a run that wrote TIFF, JPEG 2000 and JPEG."""
    folder = tmp_path_factory.mktemp("exported")
    archive, output = folder / "Glass plates", folder / "colorized"
    make_archive(archive)
    colorize(archive, references, output, "--format", "tiff,jp2", "--access", "jpeg")
    return archive, output


def colorize(archive: Path, references: Path, output: Path, *options: str) -> None:
    """Run the program on an archive, at a small size."""
    command = [sys.executable, "-m", "flows.cli", "run", archive, "--references", references, "--output", output]
    usual = ["--size", "64", "--device", "cpu"]
    done = subprocess.run(
        [*command, *usual, *options], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def colorized(colorized_folders: tuple[Path, Path], references: Path, tmp_path: Path) -> Iterator[Colorized]:
    """That run, with a database that only this test writes to."""
    archive, output = colorized_folders
    file = tmp_path / "provenance.db"
    shutil.copy(output / "provenance.db", file)
    with open_database(sqlite_url(file)) as database:
        yield Colorized(archive, output, references, database)
