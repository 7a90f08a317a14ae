"""Seconds spent by one item in each stage, and the process's peak memory."""

import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from storage.database.records import StageTiming

STAGES = (
    "analyse",
    "read",
    "content",
    "embed",
    "search",
    "rerank",
    "reference",
    "network",
    "motion",
    "chroma",
    "write",
    "join",
    "thumbnail",
)


@dataclass(slots=True)
class Stopwatch:
    """Wall-clock seconds of the stages of one item."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block; a stage entered twice adds up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: time.perf_counter() - start})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds measured elsewhere."""
        for name, value in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value

    @property
    def total(self) -> float:
        """Seconds over all stages."""
        return sum(self.seconds.values())

    def timings(self) -> tuple[StageTiming, ...]:
        """The stages as rows for the database."""
        return tuple(StageTiming(stage=name, seconds=value) for name, value in self.seconds.items())


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far, in bytes (getrusage(2), Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
