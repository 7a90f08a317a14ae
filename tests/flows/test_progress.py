"""Progress in plain lines, for logs and pipes."""

import io

import pytest

from flows import progress
from flows.progress import LineProgress


def test_nothing_through_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A film whose references take long to choose: the first word comes before the first frame."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    stream = io.StringIO()
    lines = LineProgress(stream)
    lines.begin(10, "frames")
    lines.advance(0)
    lines.advance(10)
    first, last = stream.getvalue().splitlines()
    assert first == "0/10 frames, 0.00/s, unknown time left"
    assert last.startswith("10/10 frames, ")
    assert last.endswith("/s, 0:00 left")


def test_what_was_there_already_does_not_count_for_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    stream = io.StringIO()
    lines = LineProgress(stream)
    lines.begin(2_000_000_000, "frames")
    lines.pass_over(1_999_999_990)
    lines.advance(1)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("1999999991/2000000000 frames, ")
    rate = float(line.split(", ")[1].removesuffix("/s"))
    assert rate < 1_000_000  # with those passed over it would be billions
