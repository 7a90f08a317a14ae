"""Two runs never work in one output folder, and a killed run leaves nothing that would have to be cleared by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import EnvironmentProblem
from flows.output_lock import locked
from tests.flows.conftest import ROOT

HOLD = "import sys,time,pathlib; from flows.output_lock import locked\n"
HOLD += "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_second_holder_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with subprocess.Popen([sys.executable, "-c", HOLD, output], stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(EnvironmentProblem, match="another run is at work in the output folder"),
            locked(output),
        ):
            pass
        other.kill()
    with locked(output) as held:
        assert held
    assert list(output.iterdir()) == []


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot be used"), locked(tmp_path / "file" / "output"):
        pass
