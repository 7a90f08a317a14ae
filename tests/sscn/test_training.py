"""Training on real photographs: it learns, and a killed one ends as an unbroken one."""

import os
import signal
import subprocess
import sys
import time
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sscn import SscnError
from sscn.training.settings import TrainSettings
from sscn.training.trainer import CHECKPOINT, train

STEPS = 6


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    with as_file(files("flows") / "demo" / "references") as demo:
        for path in sorted(demo.glob("*.jpg"))[:4]:
            with Image.open(path) as opened:
                opened.thumbnail((200, 200))
                opened.save(folder / path.name)
    return folder


def _settings(photographs: Path, output: Path, **changes) -> TrainSettings:
    asked = {"steps": STEPS, "batch": 2, "size": 64, "precision": "float32", "checkpoint_every": 2}
    return TrainSettings(photographs, output, **{**asked, **changes})


def _train(settings: TrainSettings) -> tuple[dict[str, torch.Tensor], list[float]]:
    losses: list[float] = []
    weights = train(settings, lambda progress: losses.append(sum(progress.losses.values())))
    return load_file(weights), losses


def test_killed_and_resumed_ends_with_the_same_weights(photographs, tmp_path):
    """Killed with SIGKILL after a checkpoint, as a power cut would."""
    torch.set_num_threads(1)
    try:
        unbroken, _ = _train(_settings(photographs, tmp_path / "unbroken"))
    finally:
        torch.set_num_threads(os.cpu_count() or 1)
    command = [sys.executable, "-m", "flows.cli", "train", str(photographs), "--output", str(tmp_path / "broken")]
    command += ["--steps", str(STEPS), "--batch", "2", "--size", "64", "--checkpoint-every", "2", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "broken" / CHECKPOINT
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    done = torch.load(checkpoint, weights_only=True)["step"]
    assert 0 < done < STEPS
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    resumed = load_file(again.stdout.strip())
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_it_learns(photographs, tmp_path):
    _, losses = _train(_settings(photographs, tmp_path, steps=24, learning_rate=2e-3, batch=4))
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_every_learned_part_moves(photographs, tmp_path):
    from sscn.efficientnet import load_efficientnet
    from sscn.network import SSCN
    from sscn.presets import preset
    from sscn.weights import learned_state

    torch.manual_seed(1)
    before = learned_state(SSCN(preset("default"), "dense", load_efficientnet()))
    after, _ = _train(_settings(photographs, tmp_path, averaging=0.0, warm_up=1))
    still = [name for name in before if torch.equal(before[name].half(), after[name])]
    assert still == []


def test_what_cannot_be_trained_is_said(photographs, tmp_path):
    with pytest.raises(SscnError, match="precision"):
        _train(_settings(photographs, tmp_path, precision="fp8"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SscnError, match="empty"):
        _train(_settings(tmp_path / "empty", tmp_path / "out"))
    _train(_settings(photographs, tmp_path / "done", steps=2))
    with pytest.raises(SscnError, match="seed"):
        _train(_settings(photographs, tmp_path / "done", steps=2, seed=5))
    (tmp_path / "done" / CHECKPOINT).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(SscnError, match="damaged"):
        _train(_settings(photographs, tmp_path / "done", steps=2))
