"""Peak memory does not grow with the length of a film.

FILM_MEMORY_FRAMES sets how long the long one is (20,000 frames take a quarter of an hour).
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.flows.film.films import SEA
from tests.storage.film.clips import ffmpeg, lavfi

SHORT, LONG = 500, int(os.environ.get("FILM_MEMORY_FRAMES", "20000"))
PROGRAM = """
import re, resource, sys
from pathlib import Path
from flows.running import run_archive
from flows.progress import SilentProgress
from flows.settings import run_settings

archive, references, output, frames = sys.argv[1:]
given = {"archive": archive, "references": references, "output": output, "size": 64}
summary = run_archive(run_settings(given), SilentProgress())
assert summary.done == 1, summary.failures
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peaks(frames: int, root: Path, environment: Mapping[str, str]) -> tuple[int, int]:
    """The peak resident memory of a process that colorizes a film of so many frames, and of its children, in kB."""
    folder = root / str(frames)
    (folder / "archive").mkdir(parents=True)
    picture = f"testsrc2=size=64x48:rate=25:duration={frames / 25},format=gray"
    ffmpeg(*lavfi(picture), "-c:v", "ffv1", "-g", "1", str(folder / "archive" / "film.mkv"))
    line = [sys.executable, "-c", PROGRAM, folder / "archive", root / "references", folder / "output", frames]
    answer = subprocess.run(
        [str(part) for part in line], env=environment, capture_output=True, text=True, timeout=3600, check=False
    )
    assert answer.returncode == 0, answer.stderr
    own, children = answer.stdout.split()
    return int(own), int(children)


@pytest.mark.slow
@pytest.mark.timeout(4000)
def test_a_long_film_needs_no_more_memory_than_a_short_one(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "references").mkdir()
    (tmp_path / "references" / SEA.name).write_bytes(SEA.read_bytes())
    settings = environment | {"OMP_WAIT_POLICY": "PASSIVE"}
    short, long = peaks(SHORT, tmp_path, settings), peaks(LONG, tmp_path, settings)
    print(f"{SHORT} frames: {short[0] / 1024:.0f} MB, {LONG} frames: {long[0] / 1024:.0f} MB (ffmpeg {short}, {long})")
    assert long[0] <= 1.1 * short[0]
    assert long[1] <= 1.1 * short[1]
