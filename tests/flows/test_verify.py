"""verify finds every file that is not what the database has on record."""

import json
import os
from pathlib import Path

from tests.flows.conftest import CommandLine


def flip_byte(path: Path) -> None:
    """Change one byte in the middle, and neither size nor times."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_verify(tmp_path: Path, archive: Path, references: Path, command: CommandLine) -> None:
    output = tmp_path / "out"
    ran = command("run", archive, "--references", references, "--output", output, "--size", 64, "--no-prefect")
    assert ran.returncode == 0, ran.stderr
    clean = command("verify", "--output", output, "--format", "json")
    assert (clean.returncode, json.loads(clean.stdout)) == (0, [])

    flip_byte(output / "cup.png.tif")
    flip_byte(archive / "cat.tif")
    (output / "album" / "portrait.jpg.tif").unlink()
    answer = command("verify", "--output", output, "--format", "json")
    assert answer.returncode == 2
    found = {(row["what"], row["finding"], Path(row["path"]).name) for row in json.loads(answer.stdout)}
    assert found == {
        ("output", "changed", "cup.png.tif"),
        ("source", "changed", "cat.tif"),
        ("output", "missing", "portrait.jpg.tif"),
    }
    assert "3 changed or missing" in answer.stderr
