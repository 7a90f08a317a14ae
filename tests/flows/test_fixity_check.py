"""Verify: an interrupted one ends with the files in hand; of films it looks at the references of all shots."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from flows import fixity_check
from flows.progress import SilentProgress
from storage.database.records import OutputRecord, ReferenceFile
from storage.fixity import sha256_file


def output_record(path: Path, number: int) -> OutputRecord:
    return OutputRecord(
        colorization_id=number,
        run_id=1,
        archive="/archive",
        path=path.name,
        page=0,
        source_sha256=None,
        output_root=str(path.parent),
        output_path=path.name,
        output_sha256="0" * 64,
        output_bytes=4,
        reference_library=None,
        reference_path=None,
        reference_sha256=None,
    )


class Impatient(SilentProgress):
    """Presses Ctrl-C at the first file."""

    def advance(self, *, failed: bool = False) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_does_not_wait_for_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def slowly(path: Path) -> str:
        looked_at.append(path)
        time.sleep(0.02)
        return sha256_file(path)

    monkeypatch.setattr(fixity_check, "film_sha256", slowly)
    records = []
    for number in range(200):
        path = tmp_path / f"{number:03}.tif"
        path.write_bytes(b"copy")
        records.append(output_record(path, number))
    with pytest.raises(KeyboardInterrupt):
        fixity_check.check_outputs(records, Impatient())
    assert len(looked_at) < 50


def test_references_of_all_shots_are_looked_at(tmp_path: Path) -> None:
    for name in ("film.mkv", "film.mp4", "forest.jpg", "sea.jpg", "given.png"):
        (tmp_path / name).write_bytes(name.encode())
    digests = {path.name: sha256_file(path) for path in tmp_path.iterdir()}
    film = replace(
        output_record(tmp_path / "film.mkv", 1),
        output_sha256=digests["film.mkv"],
        reference_library=str(tmp_path),
        reference_path="forest.jpg",
        reference_sha256=digests["forest.jpg"],
        shot_references=(
            ReferenceFile(str(tmp_path), "forest.jpg", digests["forest.jpg"]),
            ReferenceFile(str(tmp_path), "sea.jpg", digests["sea.jpg"]),
            ReferenceFile(None, str(tmp_path / "given.png"), digests["given.png"]),
            ReferenceFile(None, "nobody knows where.png", digests["given.png"]),
        ),
    )
    copy = replace(film, output_path="film.mp4", output_sha256=digests["film.mp4"])
    assert fixity_check.check_outputs([film, copy], SilentProgress()) == ([], 5)

    (tmp_path / "sea.jpg").write_bytes(b"another sea")
    (tmp_path / "given.png").unlink()
    (tmp_path / "film.mp4").write_bytes(b"cut")
    findings, _ = fixity_check.check_outputs([film, copy], SilentProgress())
    assert [(found.what, found.finding, Path(found.path).name) for found in findings] == [
        ("output", "changed", "film.mp4"),
        ("reference", "missing", "given.png"),
        ("reference", "changed", "sea.jpg"),
    ]
