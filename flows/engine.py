"""The networks in memory: the colorizer, its smaller stand-by for scarce memory, and the embedder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import EnvironmentProblem, UsageError
from flows.filters import reference_filter
from flows.settings import RunSettings

if TYPE_CHECKING:  # torch takes seconds to import: only when a network is loaded
    from retrieval import Embedder, ReferenceFilter
    from sscn import Colorizer

SMALLEST_SIZE = 64  # pixels, long side
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")  # as in flows.settings


def resolve_device(device: str) -> str:
    """`auto` becomes cuda where there is one, else cpu.

    Raises:
        UsageError: there is no such name of a device.
        EnvironmentProblem: the named CUDA device is not there.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"--device: {device!r} is not known; use auto, cpu, cuda or cuda:N")
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        number = int(device.partition(":")[2] or 0)
        if number >= count:
            found = f"this machine has {count} CUDA device(s)" if count else "this machine has no CUDA device"
            raise EnvironmentProblem(f"the device {device} is not there: {found}; use --device cpu or auto")
    return device


@contextmanager
def loading_networks() -> Iterator[None]:
    """Around what loads weights: that they are missing or damaged is the machine's fault, not the user's.

    Raises:
        EnvironmentProblem: they are.
    """
    from retrieval import RetrievalError
    from sscn import SscnError

    try:
        yield
    except (SscnError, RetrievalError) as error:
        raise EnvironmentProblem(str(error)) from error


def load_colorizer(settings: RunSettings, device: str, size: int) -> "Colorizer":
    """The colorizer that a run's settings ask for, at `size` pixels."""
    from sscn import Colorizer

    with loading_networks():
        return Colorizer.from_pretrained("default", device=device, attention=settings.attention, size=size)


@dataclass(slots=True)
class Engine:
    """What a batch computes with; loaded once for a process."""

    settings: RunSettings
    device: str
    colorizer: "Colorizer"
    where: "ReferenceFilter | None" = None
    """Which references may be used; None for all."""
    _embedder: "Embedder | None" = None
    _smaller: "Colorizer | None" = field(default=None, repr=False)

    @classmethod
    def load(cls, settings: RunSettings) -> "Engine":
        """Load the colorizer; the embedder follows when it is first needed."""
        device = resolve_device(settings.device)
        where = reference_filter(settings, settings.references)
        return cls(settings, device, load_colorizer(settings, device, settings.size), where)

    @property
    def embedder(self) -> "Embedder":
        """Turns a picture's luminance into the vector by which references are found."""
        if self._embedder is None:
            from retrieval import Embedder

            weights: Path | None = self.settings.vgg_weights
            with loading_networks():
                self._embedder = Embedder.from_pretrained(device=self.device, vgg_weights=weights)
        return self._embedder

    @property
    def smaller(self) -> "Colorizer":
        """The colorizer at half the size, for a picture that did not fit into memory."""
        if self._smaller is None:
            size = max(SMALLEST_SIZE, self.settings.size // 2)
            self._smaller = load_colorizer(self.settings, self.device, size)
        return self._smaller

    @property
    def threads(self) -> int:
        """How many threads compute on the CPU: sums are cut up among them, so that the last bits hang on it."""
        import torch

        return torch.get_num_threads()

    def free_memory(self) -> None:
        """Give back what the device keeps in reserve."""
        import gc

        import torch

        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()


@contextmanager
def with_threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads on the CPU within the block; None: with as many as anyway."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the device had too little memory; torch says so in several ways."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
