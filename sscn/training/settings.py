"""What a training is asked to do, and what it tells while it works."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainSettings:
    """One training. All but the last group shape the weights and must stay the same when it is resumed."""

    photographs: Path
    """Folder of colour photographs."""
    output: Path
    """Folder for checkpoint, weights and TensorBoard's log."""
    preset: str = "default"
    steps: int = 2000
    batch: int = 8
    size: int = 256
    """Pixels; training pictures are square."""
    learning_rate: float = 1e-3
    warm_up: int = 50
    """Steps over which the learning rate rises."""
    matching_steps: int = 500
    """Steps in which the matching learns too; then it rests. On a few hundred photographs it gets worse beyond."""
    averaging: float = 0.995
    """Decay of the running mean of the weights, which is what is kept in the end."""
    seed: int = 1
    precision: str = "bf16"
    """bf16 (autocast) or float32."""

    device: str = "cpu"
    workers: int = 0
    """Processes that prepare pairs; 0 for none."""
    checkpoint_every: int = 100


@dataclass(frozen=True)
class TrainProgress:
    """What a progress bar and a log want to know after each step."""

    step: int
    steps: int
    losses: Mapping[str, float]
    learning_rate: float
