"""One photograph or page on its way through a batch, and what is recorded of it when that ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from flows.chosen import ChosenReference
from flows.failures import describe_failure
from flows.planning import PendingItem
from flows.stopwatch import Stopwatch, peak_memory_bytes
from storage.database.records import CopyRecord, ItemOutcome, MatchRecord, StageTiming
from storage.images import Master, WrittenDerivative

if TYPE_CHECKING:  # see flows.engine
    from sscn import ColorizedPicture, Colorizer


class _CommonFields(TypedDict):
    """What every outcome tells, done or not."""

    item_id: int
    request_key: str
    source_sha256: str
    index_version: str
    started_at: datetime
    created_at: datetime
    seconds: float
    peak_memory_bytes: int
    timings: tuple[StageTiming, ...]
    matches: tuple[MatchRecord, ...]


@dataclass(slots=True)
class Photograph:
    """What is known so far. `held` is its master while that is in memory, `stage` what is being done with it."""

    item: PendingItem
    colorizer: "Colorizer"
    index_version: str
    started_at: datetime
    watch: Stopwatch = field(default_factory=Stopwatch)
    held: Master | None = None
    found: ChosenReference | None = None
    stage: str = "read"
    notes: list[str] = field(default_factory=list)

    @property
    def master(self) -> Master:
        """The master, which is in memory."""
        if self.held is None:
            raise RuntimeError(f"the master of {self.item.name} is not in memory")
        return self.held

    @property
    def chosen(self) -> ChosenReference:
        """The reference, which has been chosen."""
        if self.found is None:
            raise RuntimeError(f"no reference was chosen for {self.item.name}")
        return self.found

    def done(self, result: "ColorizedPicture", copies: Sequence[WrittenDerivative]) -> ItemOutcome:
        """The outcome of one whose copies, the main one first, are in their places."""
        chosen = self.chosen
        written, *further = copies
        return ItemOutcome(
            **self._common(),
            state="done",
            reference_id=chosen.reference.id,
            reference_path=chosen.path_text,
            reference_sha256=chosen.reference.sha256,
            reference_score=chosen.score,
            reference_rank=chosen.rank,
            reference_choice="pinned" if chosen.choice == "pinned" else "retrieved",
            output_path=self.item.output_path,
            output_sha256=written.sha256,
            output_bytes=written.size_bytes,
            output_format=written.format,
            width=written.width,
            height=written.height,
            bit_depth=written.bit_depth,
            network_size=int(self.colorizer.parameters["size"]),
            confidence=result.mean_confidence,
            match_confidence=chosen.match_confidence,
            low_match=chosen.low_match,
            message="; ".join(self.notes) or None,
            copies=tuple(
                CopyRecord(
                    output_path=path,
                    output_sha256=copy.sha256,
                    output_bytes=copy.size_bytes,
                    output_format=copy.format,
                )
                for path, copy in zip(self.item.output_paths[1:], further, strict=True)
            ),
        )

    def failed(self, error: Exception) -> ItemOutcome:
        """The outcome of one that an error stopped, or that is left out; ends the run if the surroundings failed.

        Raises:
            EnvironmentProblem: the disk is full or gone.
            DatabaseError: the database is away.
        """
        failure = describe_failure(error, self.stage, self.item.name)
        return ItemOutcome(
            **self._common(),
            state=failure.state,
            stage=failure.stage,
            error_type=failure.error_type,
            message=failure.message,
            match_confidence=failure.match_confidence,
            low_match=failure.low_match,
        )

    def _common(self) -> _CommonFields:
        return {
            "item_id": self.item.item_id,
            "request_key": self.item.request_key,
            "source_sha256": self.item.sha256,
            "index_version": self.index_version,
            "started_at": self.started_at,
            "created_at": datetime.now(UTC),
            "seconds": self.watch.total,
            "peak_memory_bytes": peak_memory_bytes(),
            "timings": self.watch.timings(),
            "matches": () if self.found is None else tuple(self.found.match_records()),
        }
