"""An interrupted verify ends with the files in hand."""

import time
from pathlib import Path

import pytest

from flows import fixity_check
from flows.progress import SilentProgress
from storage.database.records import OutputRecord
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

    monkeypatch.setattr(fixity_check, "sha256_file", slowly)
    records = []
    for number in range(200):
        path = tmp_path / f"{number:03}.tif"
        path.write_bytes(b"copy")
        records.append(output_record(path, number))
    with pytest.raises(KeyboardInterrupt):
        fixity_check.check_outputs(records, Impatient())
    assert len(looked_at) < 50
