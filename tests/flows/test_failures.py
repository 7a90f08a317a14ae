"""What is one item's fault, and what ends the run; scarce memory is met with half the size, else aloud."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import EnvironmentProblem
from flows.failures import ItemFailure, describe_failure
from flows.progress import SilentProgress
from flows.running import execute, open_run, run_archive
from flows.settings import run_settings
from storage.database import DatabaseError, colorizations
from storage.decoding import Decoder
from storage.errors import UnreadableImage
from storage.images import Master
from tests.flows.conftest import ROOT


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_takes_nothing_more_ends_the_run(number: int) -> None:
    with pytest.raises(EnvironmentProblem, match=r"a\.jpg: the copy cannot be written: .* and run again"):
        describe_failure(OSError(number, "no"), "write", "a.jpg")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOTCONN, errno.ENOSPC])
@pytest.mark.parametrize("stage", ["read", "reference"])
def test_a_share_that_is_gone_ends_the_run(number: int, stage: str) -> None:
    hidden = UnreadableImage("a.jpg could not be read to its end", "unreadable")
    hidden.__cause__ = OSError(number, "no")
    with pytest.raises(EnvironmentProblem, match=r"a\.jpg: cannot be read: .* and run again"):
        describe_failure(hidden, stage, "a.jpg")


def test_a_bad_sector_under_one_master_is_that_items_failure() -> None:
    hidden = UnreadableImage("a.jpg could not be read to its end", "unreadable")
    hidden.__cause__ = OSError(errno.EIO, "Input/output error")
    assert describe_failure(hidden, "read", "a.jpg").error_type == "unreadable"
    with pytest.raises(EnvironmentProblem, match="the disk does not answer"):
        describe_failure(OSError(errno.EIO, "Input/output error"), "write", "a.jpg")


def test_the_database_is_never_an_items_fault() -> None:
    with pytest.raises(DatabaseError):
        describe_failure(DatabaseError("away"), "write", "a.jpg")


@pytest.mark.parametrize(
    ("error", "stage", "error_type", "message"),
    [
        (UnreadableImage("a.jpg is cut off", "truncated"), "read", "truncated", "a.jpg is cut off"),
        (PermissionError(errno.EACCES, "Permission denied"), "read", "unreadable", "a.jpg: cannot be read"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "write", "unwritable", "a.jpg: the copy cannot be written"),
        (ItemFailure("changed", "a.jpg changed"), "read", "changed", "a.jpg changed"),
        (RuntimeError("odd\nsecond line"), "network", "unexpected", "a.jpg could not be colorized: odd"),
    ],
)
def test_failures_of_one_item(error: Exception, stage: str, error_type: str, message: str) -> None:
    failure = describe_failure(error, stage, "a.jpg")
    assert (failure.stage, failure.error_type) == (stage, error_type)
    assert failure.message.startswith(message)
    assert "\n" not in failure.message


def test_full_disk_stops_the_run_with_exit_code_3(
    tmp_path: Path, archive: Path, references: Path, environment: dict[str, str]
) -> None:
    """On a real file system of 400 kB, in a mount namespace of our own; the database lies elsewhere."""
    output = tmp_path / "small"
    output.mkdir()
    mount = f"mount -t tmpfs -o size=400k none {output}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets no user mount a file system")
    line = f"{sys.executable} -m flows.cli run {archive} --references {references} --output {output} --size 64"
    line += f" --database sqlite:///{tmp_path}/elsewhere.db --no-prefect"
    answer = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{mount} && head -c 330000 /dev/zero > {output}/filler && {line}"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
        timeout=240,
    )
    assert answer.returncode == 3, answer.stderr
    assert "the disk is full; free some space and run again" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_scarce_memory(tmp_path: Path, archive: Path, references: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network runs out of memory at full size for one photograph, and at any size for another."""
    from sscn import Colorizer

    real = Colorizer.predict

    def predict(self: Colorizer, target, reference, **encoding):  # type: ignore[no-untyped-def]
        if target.shape == (200, 200) and self.parameters["size"] == 128:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")
        if target.shape == (133, 200):
            raise MemoryError
        return real(self, target, reference, **encoding)

    monkeypatch.setattr(Colorizer, "predict", predict)
    settings = run_settings({"archive": archive, "references": references, "output": tmp_path / "out", "size": 128})
    with open_run(settings, SilentProgress()) as run:
        run.prepare()
        run.index_references()
        summary = execute(run)
        (row,) = [one for one in colorizations.of_run(run.database, 1) if one.state == "done"]
    assert (summary.done, summary.failed) == (1, 2)
    assert row.path == "album/portrait.jpg"
    assert row.message == "colorized at half the size, since the memory did not suffice for the full one"
    assert (row.width, row.height) == (200, 200)
    assert all("not enough memory, also at half the size" in item.message for item in summary.failures)


def test_what_was_finished_before_the_share_went_is_recorded(
    tmp_path: Path, archive: Path, references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Decoder.read

    def read(self: Decoder, path: Path, **options: int) -> Master:
        if path.name == "cup.png":
            raise UnreadableImage("cup.png cannot be read") from OSError(errno.ESTALE, "Stale file handle")
        return real(self, path, **options)

    monkeypatch.setattr(Decoder, "read", read)
    given = {"archive": archive, "references": references, "output": tmp_path / "out", "size": 64, "batch_size": 1}
    with pytest.raises(EnvironmentProblem, match="the network share is gone"):
        run_archive(run_settings(given), SilentProgress())
    monkeypatch.undo()
    again = run_archive(run_settings(given), SilentProgress())
    assert (again.finished_before, again.done, again.failures) == (2, 1, ())
