"""`archive-colorizer train`: the network's learned parts, from any folder of colour photographs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Precision(StrEnum):
    """Number format of the training's convolutions."""

    BF16 = "bf16"
    FLOAT32 = "float32"


class Preset(StrEnum):
    """Networks that can be trained."""

    DEFAULT = "default"
    PAPER = "paper"


def train(
    photographs: Annotated[Path, typer.Argument(metavar="PHOTOGRAPHS", help="Folder of colour photographs.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Folder for checkpoint, weights and TensorBoard's log.")
    ],
    preset: Annotated[Preset, typer.Option("--preset", help="Which network.")] = Preset.DEFAULT,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Batches to learn from.")] = 20000,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Pairs in a batch.")] = 8,
    size: Annotated[int, typer.Option("--size", metavar="N", min=64, help="Side of a training picture.")] = 256,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", metavar="RATE", min=0, help="At its highest.")
    ] = 1e-3,
    matching_steps: Annotated[
        int, typer.Option("--matching-steps", metavar="N", min=0, help="Steps in which the matching learns too.")
    ] = 500,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same weights.")] = 1,
    precision: Annotated[Precision, typer.Option("--precision", help="bf16 is for GPUs.")] = Precision.FLOAT32,
    device: Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=0, help="Processes that prepare pairs; 0 for none.")
    ] = 0,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", metavar="N", min=1, help="Steps between checkpoints.")
    ] = 100,
) -> None:
    """Train the network; a training that was stopped goes on where its last checkpoint is.

    Several GPUs: torchrun --nproc-per-node N -m flows.cli train ...
    """
    from flows.engine import resolve_device
    from flows.training import speaks_for_all, train_and_report
    from sscn.training.settings import TrainSettings

    settings = TrainSettings(
        photographs=photographs,
        output=output,
        preset=preset.value,
        steps=steps,
        batch=batch,
        size=size,
        learning_rate=learning_rate,
        matching_steps=matching_steps,
        seed=seed,
        precision=precision.value,
        device=resolve_device(device),
        workers=workers,
        checkpoint_every=checkpoint_every,
    )
    weights = train_and_report(settings)
    if speaks_for_all():
        print(weights)
