"""colorize: one pair, no database, no Prefect; the master is never overwritten."""

from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.pair import PairFailed, PairSettings, colorize_pair
from storage.images import read_master
from tests.flows.conftest import CommandLine, tree_digests


def test_colorize(tmp_path: Path, archive: Path, references: Path, command: CommandLine) -> None:
    before = tree_digests(archive)
    output = tmp_path / "new" / "cup.tif"
    answer = command("colorize", archive / "cup.png", "--reference", references / "coffee.jpg", "--output", output)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == str(output)
    copy = read_master(output)
    assert copy.pixels.shape == (*read_master(archive / "cup.png").pixels.shape[:2], 3)
    assert b"DigitalSourceType" in output.read_bytes()
    assert tree_digests(archive) == before
    assert not list(tmp_path.rglob("*.db"))
    assert not (tmp_path / "xdg").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "archive/cup.png"}, "is the master itself; masters are never overwritten"),
        ({"output": "archive/../archive/cup.png"}, "masters are never overwritten"),
        ({"output": "copy.bmp"}, r"needs a name that ends in .tif, .png, .jp2 or .jpg"),
        ({"output": "archive"}, "is a folder; name a file"),
        ({"target": "gone.jpg"}, "the master .* does not exist"),
        ({"reference": "gone.jpg"}, "the reference .* does not exist"),
    ],
)
def test_refusals(tmp_path: Path, archive: Path, change: dict[str, str], message: str) -> None:
    given = {"target": archive / "cup.png", "reference": archive / "cat.tif", "output": tmp_path / "copy.tif"}
    given |= {name: tmp_path / value for name, value in change.items()}
    with pytest.raises(UsageError, match=message):
        colorize_pair(PairSettings(**given))


def test_a_broken_photograph_is_named(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    settings = PairSettings(target=tmp_path / "broken.jpg", reference=archive / "cat.tif", output=tmp_path / "x.tif")
    with pytest.raises(PairFailed, match=r"broken\.jpg") as failed:
        colorize_pair(settings)
    assert failed.value.exit_code == 2
