"""The training loop: any folder of colour photographs in, weights of the learned parts out.

Everything random hangs on (seed, step) alone and a checkpoint holds all that moves, so a training that was killed goes
on to the same weights as one that was not. Several GPUs: started by ``torchrun``, each process takes its share of every
batch (DistributedDataParallel).
"""

import math
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

from sscn.efficientnet import load_efficientnet
from sscn.errors import SscnError
from sscn.training.neighbours import nearest_photographs
from sscn.training.pairs import PairDataset, TrainingPair
from sscn.training.photographs import Photographs
from sscn.training.recipes import Recipe, make_recipe
from sscn.training.settings import TrainProgress, TrainSettings
from sscn.weights import learned_state

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


def train(settings: TrainSettings, report: Callable[[TrainProgress], None]) -> Path:
    """Train, or go on with the training whose checkpoint lies in the output folder.

    Returns:
        The weights file: safetensors, half precision, the running mean of the learned parts.

    Raises:
        SscnError: no usable photographs, a checkpoint of another training, a precision that does not exist.
    """
    if settings.precision not in ("bf16", "float32"):
        raise SscnError(f"there is no precision called {settings.precision}; choose bf16 or float32")
    rank, world = _join_processes(settings.device)
    own = int(os.environ.get("LOCAL_RANK", rank))  # among the GPUs of this machine
    device = torch.device(f"cuda:{own}" if world > 1 and settings.device != "cpu" else settings.device)
    settings.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    recipe = make_recipe(settings.preset, settings.matching_steps)
    recipe.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    photographs = Photographs(settings.photographs)
    pairs = PairDataset(
        photographs,
        seed=settings.seed,
        size=settings.size,
        length=settings.steps * settings.batch,
        neighbours=nearest_photographs(photographs, load_efficientnet(str(device))),
    )
    training = _Training(recipe, settings)
    done = training.resume(settings.output / CHECKPOINT)
    if done == 0:
        recipe.begin([pairs[n].clean_luminance[None].to(device) for n in range(min(64, len(pairs)))])
        training.begin_average()
    share = [n for n in range(done * settings.batch, len(pairs)) if n % world == rank]
    loader = DataLoader(
        Subset(pairs, share),
        batch_size=settings.batch // world,
        num_workers=settings.workers,
        pin_memory=device.type == "cuda",
    )
    stepper = _Stepper(recipe)
    parallel = DistributedDataParallel(stepper) if world > 1 else stepper
    for step, batch in enumerate(loader, start=done):
        pair = TrainingPair(*[field.to(device, non_blocking=True) for field in batch])
        losses = training.step(parallel, pair, step)
        if rank == 0:
            report(TrainProgress(step + 1, settings.steps, losses, training.rate(step)))
            if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                training.save(settings.output / CHECKPOINT, step + 1)
    if rank == 0:
        training.export(settings.output / WEIGHTS)
    if world > 1:
        torch.distributed.destroy_process_group()
    return settings.output / WEIGHTS


class _Stepper(nn.Module):
    """The loss as a module, so that DistributedDataParallel can watch its gradients."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.network = recipe.network
        self.recipe = recipe

    def forward(self, pair: TrainingPair, seed: int, step: int) -> Tensor:
        """A batch -> the parts of its loss."""
        return self.recipe.losses(pair, torch.Generator().manual_seed(seed), step)


class _Training:
    """All that moves while training: weights, their running mean, the optimiser."""

    def __init__(self, recipe: Recipe, settings: TrainSettings) -> None:
        self.recipe = recipe
        self.network = recipe.network
        self.settings = settings
        self.learned = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(self.learned, lr=settings.learning_rate, weight_decay=1e-4)
        self.average: dict[str, Tensor] = {}
        self.begin_average()

    def begin_average(self) -> None:
        """The running mean begins with the weights as they are."""
        self.average = {name: value.detach().clone() for name, value in learned_state(self.network).items()}

    def rate(self, step: int) -> float:
        """Learning rate of a step: a linear rise, then a cosine to nearly nothing."""
        rise = min(1.0, (step + 1) / self.settings.warm_up)
        return self.settings.learning_rate * rise * (0.51 + 0.49 * math.cos(math.pi * step / self.settings.steps))

    def step(self, stepper: nn.Module, pair: TrainingPair, step: int) -> dict[str, float]:
        """One step; the parts of the loss by name."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(step)
        with torch.autocast(pair.truth.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            parts = stepper(pair, self.settings.seed * 1_000_003 + step, step)
        self.optimiser.zero_grad(set_to_none=True)
        parts.sum().backward()
        for weight in self.recipe.resting(step):
            weight.grad = None
        nn.utils.clip_grad_norm_(self.learned, 5.0)
        self.optimiser.step()
        with torch.no_grad():
            for name, value in learned_state(self.network).items():
                self.average[name].lerp_(value, 1 - self.settings.averaging)
        return dict(zip(self.recipe.names, parts.tolist(), strict=True))

    def _identity(self) -> dict[str, Any]:
        own = asdict(self.settings)
        return {k: str(v) for k, v in own.items() if k not in ("output", "device", "workers", "checkpoint_every")}

    def save(self, path: Path, step: int) -> None:
        """Write the checkpoint, all at once or not at all."""
        state = {
            "identity": self._identity(),
            "step": step,
            "network": learned_state(self.network),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        partial = path.with_name(f".{path.name}.partial")
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path) -> int:
        """Steps already done, 0 without a checkpoint.

        Raises:
            SscnError: the checkpoint belongs to another training or is damaged.
        """
        if not path.exists():
            return 0
        try:
            state = torch.load(path, map_location=self.learned[0].device, weights_only=True)
        except Exception as error:  # zip, pickle and io errors share no base class
            raise SscnError(f"{path}: the checkpoint is damaged; remove it to begin anew") from error
        if state["identity"] != self._identity():
            changed = [k for k, v in self._identity().items() if state["identity"].get(k) != v]
            raise SscnError(
                f"{path}: this checkpoint is of a training with another {', '.join(changed)}; "
                "choose another output folder or the same settings"
            )
        self.network.load_state_dict(state["network"], strict=False)
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])

    def export(self, path: Path) -> None:
        """Write the running mean of the weights as safetensors, half precision."""
        partial = path.with_name(f".{path.name}.partial")
        halves = {name: value.to("cpu", torch.float16).contiguous() for name, value in self.average.items()}
        save_file(halves, partial, metadata={"format": "pt"})
        partial.replace(path)


def _join_processes(device: str) -> tuple[int, int]:
    """(rank, world size); processes that ``torchrun`` started find each other first, if they have not yet."""
    if not torch.distributed.is_initialized():
        if "WORLD_SIZE" not in os.environ:
            return 0, 1
        torch.distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
