"""Plan: which items are pending, which stand failed or are left out, and how the pending ones are cut into batches."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flows.ingest import IngestedItem
from flows.naming import find_conflicts, output_paths
from storage.database.records import CurrentColorization, ItemOutcome, Kind

# decoded masters held in memory at once, in bytes; a bigger picture is worked on alone
CHUNK_BYTES = 192 * 1024 * 1024

# failures that may be gone without the master having changed: the next run tries again by itself
PASSING = frozenset(
    {"changed", "in_the_way", "no_reference", "not_written", "out_of_memory", "outside_output"}
    | {"reference_changed", "unreadable", "unwritable"}
)


@dataclass(frozen=True, slots=True)
class PendingItem:
    """One master to be colorized.

    Its copies go to `output_paths`, one in each of `output_formats`, the main one first (relative to the output folder,
    as text).
    """

    item_id: int
    path: str
    kind: Kind
    sha256: str
    output_formats: tuple[str, ...]
    output_paths: tuple[str, ...]
    request_key: str
    decoded_bytes: int

    @property
    def output_path(self) -> str:
        """Of the main copy."""
        return self.output_paths[0]


@dataclass(frozen=True, slots=True)
class StandingFailure:
    """An item that fails without being tried: it failed in an earlier run, or there is no use in trying."""

    path: str
    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    `to_record` are outcomes that are known before any picture is decoded (damaged, clashing or left out) and not yet
    in the database, `refused` those of them that failed. `standing` failed earlier and still does; `finished` is what
    is done already, by path with the id of the reference.
    """

    items: int
    pending: tuple[PendingItem, ...]
    to_record: tuple[ItemOutcome, ...]
    refused: tuple[StandingFailure, ...]
    standing: tuple[StandingFailure, ...]
    finished: Mapping[str, int | None]
    skipped: int

    @property
    def has_work(self) -> bool:
        """Whether a run would change anything."""
        return bool(self.pending or self.to_record)


@dataclass(frozen=True, slots=True)
class Request:
    """What decides the pixels of every copy of one kind of items, apart from the master."""

    reference_choice: str
    weights_sha256: str
    parameters: Mapping[str, str | int | float]
    output_formats: tuple[str, ...]

    def key(self, source_sha256: str, pinned: str = "") -> str:
        """One digest for a master, and for what is pinned to it: equal key, equal output."""
        parts = [
            source_sha256,
            self.reference_choice,
            self.weights_sha256,
            json.dumps(dict(self.parameters), sort_keys=True),
            ",".join(self.output_formats),
            *([f"pinned {pinned}"] if pinned else []),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def make_plan(
    found: Sequence[IngestedItem],
    current: Mapping[int, CurrentColorization],
    requests: Mapping[Kind, Request],
    *,
    retry_failed: bool = False,
    output_is_there: Callable[[str, int | None], bool],
    pinned: Callable[[str], str] = lambda path: "",
) -> Plan:
    """Compare what lies in the archive with what the database says about this output folder.

    Args:
        found: the items of the archive.
        current: newest colorization of each item in this output folder.
        requests: what is asked for, for each kind of items that can be colorized.
        output_is_there: tells for an output path and its recorded size in bytes whether the file is there.
        pinned: what is pinned to the item with this path (`flows.pins.Pins.state`).
    """
    colorizable = [item for item in found if item.is_colorizable]
    conflicts = find_conflicts((item.path, requests[item.record.kind].output_formats) for item in colorizable)
    pending: list[PendingItem] = []
    to_record: list[ItemOutcome] = []
    refused: list[StandingFailure] = []
    standing: list[StandingFailure] = []
    finished: dict[str, int | None] = {}
    skipped = 0
    for item in found:
        earlier = current.get(item.item_id) if item.item_id is not None else None
        known = _known_outcome(item, conflicts)
        if known is not None:
            skipped += known.state == "skipped"
            if earlier is None or not _says_the_same(earlier, known):
                to_record.append(known)
                if known.state == "failed":
                    refused.append(StandingFailure(item.path, known.stage or "", known.message or ""))
            elif known.state == "failed":
                standing.append(_standing(item, earlier))
            continue
        request = requests[item.record.kind]
        key = request.key(item.record.sha256 or "", pinned(item.path))
        if earlier and earlier.request_key == key:
            if earlier.state == "failed" and not retry_failed and earlier.error_type not in PASSING:
                standing.append(_standing(item, earlier))
                continue
            if earlier.state == "done" and _all_there(earlier, output_is_there):
                finished[item.path] = earlier.reference_id
                continue
        pending.append(_pending(item, key, request.output_formats))
    return Plan(len(found), tuple(pending), tuple(to_record), tuple(refused), tuple(standing), finished, skipped)


def _known_outcome(item: IngestedItem, conflicts: Mapping[str, str]) -> ItemOutcome | None:
    """The outcome of an item that goes into no batch; None for one that does."""
    outcome = ItemOutcome(item_id=item.item_id or 0, state="skipped", source_sha256=item.record.sha256, stage="ingest")
    if item.problem is not None:
        error_type, message = item.problem
        return replace(outcome, state="failed", error_type=error_type, message=message)
    if item.skip is not None:
        return replace(outcome, error_type="not_a_photograph", message=item.skip)
    if item.path in conflicts:
        message = (
            f"{item.path}: the copy would have the same name as that of {conflicts[item.path]}; rename one of the two"
        )
        return replace(outcome, state="failed", stage="plan", error_type="same_output", message=message)
    return None


def _says_the_same(earlier: CurrentColorization, known: ItemOutcome) -> bool:
    names = ("state", "error_type", "message", "source_sha256")
    return all(getattr(earlier, name) == getattr(known, name) for name in names)


def _standing(item: IngestedItem, earlier: CurrentColorization) -> StandingFailure:
    return StandingFailure(item.path, earlier.stage or "", earlier.message or "failed in an earlier run")


def _all_there(earlier: CurrentColorization, output_is_there: Callable[[str, int | None], bool]) -> bool:
    files = [(earlier.output_path, earlier.output_bytes)]
    files += [(copy.output_path, copy.output_bytes) for copy in earlier.copies]
    return all(path is not None and output_is_there(path, size) for path, size in files)


def _pending(item: IngestedItem, key: str, output_formats: tuple[str, ...]) -> PendingItem:
    return PendingItem(
        item_id=item.item_id or 0,
        path=item.path,
        kind=item.record.kind,
        sha256=item.record.sha256 or "",
        output_formats=output_formats,
        output_paths=output_paths(item.path, output_formats),
        request_key=key,
        decoded_bytes=item.decoded_bytes,
    )


def cut_into_batches(pending: Sequence[PendingItem], batch_size: int) -> list[tuple[PendingItem, ...]]:
    """Batches of `batch_size` neighbours: pictures of one folder often share their reference."""
    return [tuple(pending[start : start + batch_size]) for start in range(0, len(pending), batch_size)]


def cut_into_chunks(batch: Iterable[PendingItem], limit: int = CHUNK_BYTES) -> list[list[PendingItem]]:
    """Neighbours of a batch whose decoded masters fit into memory together; at least one in each chunk."""
    chunks: list[list[PendingItem]] = []
    room = 0
    for item in batch:
        if not chunks or item.decoded_bytes > room:
            chunks.append([])
            room = limit
        chunks[-1].append(item)
        room -= item.decoded_bytes
    return chunks
