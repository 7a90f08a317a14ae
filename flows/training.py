"""Training as its user sees it: a progress bar, and a log for TensorBoard."""

import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.errors import EnvironmentProblem, UsageError
from sscn import SscnError
from sscn.training.settings import TrainProgress, TrainSettings
from sscn.training.trainer import train


def speaks_for_all() -> bool:
    """Whether this process is the only one, or the first of those that ``torchrun`` started."""
    return os.environ.get("RANK", "0") == "0"


def train_and_report(settings: TrainSettings) -> Path:
    """Train with a progress bar on stderr; the weights file.

    Raises:
        UsageError: the photographs, the settings or a checkpoint cannot be trained with.
        EnvironmentProblem: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise EnvironmentProblem(
            'TensorBoard is not installed; install it with: pip install "archive-colorizer[train]"'
        ) from error
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not speaks_for_all(),
    )
    # a resumed training writes its steps anew from its checkpoint on
    with bar, SummaryWriter(settings.output / "tensorboard") as log:
        task = bar.add_task("training", total=settings.steps)
        smooth: float | None = None

        def report(progress: TrainProgress) -> None:
            nonlocal smooth
            total = sum(progress.losses.values())
            smooth = total if smooth is None else 0.98 * smooth + 0.02 * total
            bar.update(task, completed=progress.step, description=f"training, loss {smooth:.3f}")
            for name, value in (("loss", total), ("learning rate", progress.learning_rate), *progress.losses.items()):
                log.add_scalar(name, value, progress.step)

        try:
            return train(settings, report)
        except SscnError as error:
            raise UsageError(str(error)) from error
