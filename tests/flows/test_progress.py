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
