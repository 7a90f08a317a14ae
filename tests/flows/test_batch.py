"""A batch that is cut off has on record what lies in the output folder; thumbnails never cost a photograph."""

import errno
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import flows.batch
from flows.copies import write_copies
from flows.errors import EnvironmentProblem, Interrupted
from flows.progress import SilentProgress
from flows.running import run_archive
from flows.settings import RunSettings, run_settings
from sscn import Colorizer
from storage.images import WrittenDerivative


@pytest.fixture
def settings(archive: Path, references: Path, tmp_path: Path) -> RunSettings:
    return run_settings({"archive": archive, "references": references, "output": tmp_path / "out", "size": 64})


def recorded(settings: RunSettings, state: str = "done") -> dict[str, str | None]:
    """Output path -> message."""
    with sqlite3.connect(settings.output / "provenance.db") as database:
        query = "SELECT COALESCE(output_path, ''), message FROM colorization WHERE state = ? AND superseded_at IS NULL"
        return dict(database.execute(query, (state,)).fetchall())


def copies(settings: RunSettings) -> set[str]:
    return {str(path.relative_to(settings.output)) for path in settings.output.rglob("*.tif")}


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_a_copy_in_the_writers_hands_is_recorded(
    settings: RunSettings, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """The interruption comes in the second photograph, while the first one's copy is being written."""
    real, calls = Colorizer.predict, []

    def predict(self: Colorizer, target, reference, **encoding):  # type: ignore[no-untyped-def]
        calls.append(target)
        if len(calls) == 2:
            raise error
        return real(self, target, reference, **encoding)

    def write(*arguments: object) -> list[WrittenDerivative]:
        time.sleep(0.3)
        return write_copies(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Colorizer, "predict", predict)
    monkeypatch.setattr(flows.batch, "write_copies", write)
    with pytest.raises(error):
        run_archive(settings, SilentProgress())
    assert len(copies(settings)) == 1
    assert set(recorded(settings)) == copies(settings)


def failing(number: int, part: str) -> Callable[..., None]:
    """In place of `write_thumbnail`: fails for the thumbnails with `part` in their names."""
    real = flows.batch.write_thumbnail

    def write(path: Path, pixels) -> None:  # type: ignore[no-untyped-def]
        if part in path.name:
            raise OSError(number, "no such luck")
        real(path, pixels)

    return write


@pytest.mark.parametrize("part", ["reference", "colour"])
def test_a_thumbnail_that_fails_costs_no_photograph(
    settings: RunSettings, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(flows.batch, "write_thumbnail", failing(errno.EACCES, part))
    summary = run_archive(settings, SilentProgress())
    assert (summary.done, summary.failures) == (3, ())
    assert any("could not be written (no such luck)" in (message or "") for message in recorded(settings).values())


@pytest.mark.parametrize(("part", "copied"), [("reference", 0), ("colour", 1)])
def test_a_full_disk_ends_the_run_at_the_thumbnails_too(
    settings: RunSettings, monkeypatch: pytest.MonkeyPatch, part: str, copied: int
) -> None:
    monkeypatch.setattr(flows.batch, "write_thumbnail", failing(errno.ENOSPC, part))
    with pytest.raises(EnvironmentProblem, match="the disk is full"):
        run_archive(settings, SilentProgress())
    assert len(copies(settings)) >= copied
    assert set(recorded(settings)) == copies(settings)
    assert not recorded(settings, "failed")
