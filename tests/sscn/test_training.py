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
from torch.utils.data import default_collate

from sscn import SscnError
from sscn.fusion import FusedChroma
from sscn.local_detail import LocalMatch
from sscn.matching import resize
from sscn.training.losses import Losses, answer_losses
from sscn.training.pairs import PairDataset, TrainingPair
from sscn.training.photographs import Photographs
from sscn.training.recipes import make_recipe
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
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        unbroken, _ = _train(_settings(photographs, tmp_path / "unbroken"))
    finally:
        torch.set_num_threads(before)
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


def _one_of(rank: int, processes: int, settings: TrainSettings, meeting_place: Path) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)  # in another order of sums the alignment may choose another place
    torch.distributed.init_process_group("gloo", meeting_place.as_uri(), rank=rank, world_size=processes)
    train(settings, lambda _: None)


def test_two_processes_learn_what_one_does(photographs, tmp_path):
    """Each takes half of every batch; the gradients are the whole batch's."""
    checkpoints = []
    for processes in (1, 2):
        settings = _settings(photographs, tmp_path / str(processes), steps=2, matching_steps=0)
        meeting_place = tmp_path / f"meeting of {processes}"
        torch.multiprocessing.spawn(_one_of, (processes, settings, meeting_place), nprocs=processes)
        checkpoints.append(torch.load(settings.output / CHECKPOINT, weights_only=True))
    one, two = checkpoints
    ours, theirs = (
        torch.cat([state["exp_avg"].flatten() for state in checkpoint["optimiser"]["state"].values()])
        for checkpoint in (one, two)
    )
    assert ours.norm() > 0
    assert (ours - theirs).norm() < 1e-4 * ours.norm()
    assert all(torch.allclose(one["network"][name], two["network"][name], atol=1e-6) for name in one["network"])


def test_it_learns(photographs):
    """The same four pairs again and again: every part of the loss that can fall together does."""
    torch.manual_seed(0)
    recipe = make_recipe("default", matching_steps=1)
    pairs = PairDataset(Photographs(photographs), seed=3, size=64, mix={"thin_plate": 1, "motion": 1})
    batch = TrainingPair(*default_collate([pairs[number] for number in range(4)]))
    learned = [parameter for parameter in recipe.network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=2e-3)
    totals = []
    for _ in range(20):
        losses = recipe.losses(batch, torch.Generator().manual_seed(0), step=0)
        optimiser.zero_grad()
        losses.sum().backward()
        optimiser.step()
        totals.append(float(losses.detach().sum()))
    assert totals[-1] < 0.8 * totals[0]


def test_a_wrong_hue_costs_no_strength_and_grey_does(photographs):
    pairs = PairDataset(Photographs(photographs), seed=3, size=64, mix={"thin_plate": 1})
    pair = TrainingPair(*default_collate([pairs[0]]))
    match = LocalMatch(resize(pair.truth, (16, 16)), *[torch.zeros(1, n, 16, 16) for n in (1, 1, 1, 2, 1)])

    def strength(ab: torch.Tensor) -> float:
        fused = FusedChroma(resize(ab, (32, 32)), resize(ab, (16, 16)), torch.full((1, 1, 16, 16), 0.5))
        named = dict(zip(Losses._fields[2:], answer_losses(fused, match.ab, match, pair), strict=True))
        return float(named["strength"])

    turned = torch.stack([-pair.truth[:, 1], pair.truth[:, 0]], dim=1)
    assert strength(pair.truth) == pytest.approx(0, abs=1e-5)
    assert strength(turned) == pytest.approx(0, abs=1e-5)
    assert strength(0 * turned) > 1


def test_every_learned_part_moves(photographs, tmp_path):
    from sscn.efficientnet import load_efficientnet
    from sscn.network import SSCN
    from sscn.presets import DEFAULT
    from sscn.weights import learned_state

    torch.manual_seed(1)
    before = learned_state(SSCN(DEFAULT, "dense", load_efficientnet()))
    after, _ = _train(_settings(photographs, tmp_path, averaging=0.0, warm_up=1))
    still = [name for name in before if torch.equal(before[name].half(), after[name])]
    assert still == []


@pytest.mark.parametrize("matching_steps", [0, STEPS])
def test_the_matching_rests_after_its_steps(photographs, tmp_path, matching_steps):
    after, _ = _train(_settings(photographs, tmp_path, averaging=0.0, warm_up=1, matching_steps=matching_steps))
    assert after["extract.fine.between.bias"].any() == (matching_steps > 0)  # which is zero at first
    assert after["decode.answer.bias"].any()


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


def test_the_papers_network_learns_too_and_its_weights_colorize(photographs, tmp_path):
    from sscn import Colorizer

    _train(_settings(photographs, tmp_path, preset="paper", steps=2, learning_rate=1e-4))
    colorizer = Colorizer.from_pretrained("paper", weights=tmp_path / "weights.safetensors", size=96)
    with Image.open(next(photographs.iterdir())) as picture:
        result = colorizer.colorize(picture, colorizer.encode_reference(picture))
        assert result.rgb.shape == (picture.height, picture.width, 3)
        other = Colorizer.from_pretrained(size=96)
        with pytest.raises(SscnError, match="another preset"):
            other.colorize(picture, colorizer.encode_reference(picture))


def test_the_paper_is_shipped_without_weights():
    from sscn import Colorizer

    with pytest.raises(SscnError, match="without weights"):
        Colorizer.from_pretrained("paper")
