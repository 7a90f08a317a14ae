"""demo: the bundled archive, end to end."""

import json
from pathlib import Path

from tests.flows.conftest import CommandLine


def test_demo(tmp_path: Path, command: CommandLine) -> None:
    answer = command("demo", "--size", 128, "--no-prefect")
    assert answer.returncode == 0, answer.stderr
    output = tmp_path / "demo-output"
    gallery = output / "gallery" / "run-1" / "index.html"
    assert f"gallery: {gallery}" in answer.stdout
    assert gallery.is_file()
    items = json.loads(command("audit", "items", "--output", output, "--format", "json").stdout)
    assert len(items) >= 4
    assert {item["state"] for item in items} == {"done"}
    assert all((output / item["output_path"]).is_file() for item in items)
    again = command("demo", "--size", 128, "--no-prefect")
    assert "nothing to do" in again.stdout
