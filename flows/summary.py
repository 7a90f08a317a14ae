"""What a run came to: counts, seconds, failures, and the exit code that follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from flows.errors import ExitCode
from flows.stopwatch import STAGES
from storage.database.records import ItemOutcome


@dataclass(frozen=True, slots=True)
class FailedItem:
    """A file that stands failed, with the step and one line for people."""

    path: str
    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    `done`, `failed` and `left_out` count this run's outcomes, `low_matches` those done with a doubtful reference,
    `finished_before` what was there already, `failures` also those that stand from earlier runs. `run_id` and `gallery`
    are None where there was nothing to do.
    """

    items: int
    done: int = 0
    failed: int = 0
    left_out: int = 0
    low_matches: int = 0
    finished_before: int = 0
    pending: int = 0
    seconds: float = 0.0
    run_id: int | None = None
    gallery: Path | None = None
    stage_medians: Mapping[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    failures: tuple[FailedItem, ...] = ()
    dry_run: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """0 only if nothing in the archive stands failed."""
        return ExitCode.ITEMS_FAILED if self.failures else ExitCode.DONE


@dataclass(slots=True)
class Tally:
    """Counts outcomes while a run goes on."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    low_matches: int = 0
    """Of those done."""
    left_out: int = 0
    """Of those skipped, for what the work showed: their content, or that no reference fits."""
    stages: dict[str, list[float]] = field(default_factory=dict)
    failures: list[FailedItem] = field(default_factory=list)

    def add(self, outcome: ItemOutcome, path: str) -> None:
        """Count one outcome."""
        if outcome.state == "done":
            self.done += 1
            self.low_matches += bool(outcome.low_match)
        elif outcome.state == "failed":
            self.failed += 1
            self.failures.append(FailedItem(path, outcome.stage or "", outcome.message or ""))
        else:
            self.skipped += 1
            self.left_out += outcome.stage != "ingest"
        for timing in outcome.timings:
            self.stages.setdefault(timing.stage, []).append(timing.seconds)

    def stage_medians(self) -> dict[str, float]:
        """Median seconds of an item in each stage, in the order of the work."""
        known = [stage for stage in STAGES if stage in self.stages]
        return {stage: median(self.stages[stage]) for stage in known}
