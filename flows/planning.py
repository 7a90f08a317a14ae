"""Plan: which items are pending, which stand failed or are left out, and how the pending ones are cut into batches.

The pages of a document have one copy together, so that they are pending together.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Literal

from flows.content import LEFT_OUT
from flows.ingest import IngestedItem
from flows.known_items import Key
from flows.naming import find_conflicts, output_paths, page_path
from storage.database.records import CurrentColorization, ItemOutcome, ItemRecord, Kind
from storage.paths import text_to_path

# decoded masters held in memory at once, in bytes; a bigger picture is worked on alone
CHUNK_BYTES = 192 * 1024 * 1024

# failures that may be gone without the master having changed: the next run tries again by itself
PASSING = frozenset(
    {"changed", "in_the_way", "no_reference", "not_written", "out_of_memory", "outside_output"}
    | {"reference_changed", "unreadable", "unwritable", "worker_died"}
)


@dataclass(frozen=True, slots=True)
class PendingItem:
    """One master to be colorized.

    Its copies go to `output_paths`, one in each of `output_formats`, the main one first (relative to the output folder,
    as text). The main copy of a page is that of its whole document.
    """

    item_id: int
    path: str
    kind: Kind
    sha256: str
    output_formats: tuple[str, ...]
    output_paths: tuple[str, ...]
    request_key: str
    decoded_bytes: int
    page: int = 1
    started_at: datetime | None = None
    """When the work began, of what is made again as it was once; None: now."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return named(self.path, self.page, self.kind)

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
    is done already, by path and page with the id of the reference; `skipped` counts what is left out.
    """

    items: int
    pending: tuple[PendingItem, ...]
    to_record: tuple[ItemOutcome, ...]
    refused: tuple[StandingFailure, ...]
    standing: tuple[StandingFailure, ...]
    finished: Mapping[Key, int | None]
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
    pdf: "Request | None" = None
    """For pages of a PDF, where that is another one."""

    def of(self, record: ItemRecord) -> "Request":
        """What is asked for an item of this kind."""
        return self.pdf if self.pdf is not None and record.format == "pdf" else self

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


def named(path: str, page: int, kind: Kind) -> str:
    """What messages call an item."""
    return f"{path}, page {page}" if kind == "page" else path


State = Literal["pending", "finished", "standing", "skipped", "waiting"]
"""`waiting`: no reference fitted a page; it is tried again when something else asks for its document."""


@dataclass(slots=True)
class _Making:
    """A plan in the making."""

    pending: list[PendingItem] = field(default_factory=list)
    to_record: list[ItemOutcome] = field(default_factory=list)
    refused: list[StandingFailure] = field(default_factory=list)
    standing: list[StandingFailure] = field(default_factory=list)
    finished: dict[Key, int | None] = field(default_factory=dict)
    skipped: int = 0

    def add_known(self, item: IngestedItem, known: ItemOutcome, earlier: CurrentColorization | None) -> None:
        """An item whose outcome needs no work."""
        self.skipped += known.state == "skipped"
        if earlier is None or not _says_the_same(earlier, known):
            self.to_record.append(known)
            if known.state == "failed":
                self.refused.append(StandingFailure(name_of(item), known.stage or "", known.message or ""))
        elif known.state == "failed":
            self.standing.append(_standing(item, earlier))

    def add(self, state: State, item: PendingItem, of: IngestedItem, earlier: CurrentColorization | None) -> None:
        """An item that can be colorized."""
        if state == "pending" or earlier is None:
            self.pending.append(item)
        elif state == "finished":
            self.finished[of.key] = earlier.reference_id
        elif state == "standing":
            self.standing.append(_standing(of, earlier))
        else:
            self.skipped += 1


def make_plan(
    found: Sequence[IngestedItem],
    current: Mapping[int, CurrentColorization],
    requests: Mapping[Kind, Request],
    *,
    retry_failed: bool = False,
    colorize_all: bool = False,
    output_is_there: Callable[[str, int | None], bool],
    pinned: Callable[[str], str] = lambda path: "",
) -> Plan:
    """Compare what lies in the archive with what the database says about this output folder.

    Args:
        found: the items of the archive, the pages of a document beside each other.
        current: newest colorization of each item in this output folder.
        requests: what is asked for, for each kind of items that can be colorized.
        retry_failed: try again what failed, and look again at what was left out for its content.
        colorize_all: nothing is left out for its content.
        output_is_there: tells for an output path and its recorded size in bytes whether the file is there.
        pinned: what is pinned to the item with this path (`flows.pins.Pins.state`).
    """
    colorizable = [item for item in found if item.is_colorizable]
    conflicts = find_conflicts(_copies(colorizable, requests).items())
    making = _Making()

    def state_of(item: IngestedItem, key: str) -> State:
        earlier = current.get(item.item_id or 0)
        if earlier is None:
            return "pending"
        if earlier.state == "skipped" and earlier.error_type in LEFT_OUT and not (colorize_all or retry_failed):
            return "skipped" if earlier.source_sha256 == item.record.sha256 else "pending"
        if earlier.request_key != key:
            return "pending"
        if earlier.state == "failed" and not retry_failed and earlier.error_type not in PASSING:
            return "standing"
        if item.record.kind == "page" and earlier.error_type == "low_match" and not retry_failed:
            return "waiting"
        return "finished" if earlier.state == "done" and _all_there(earlier, output_is_there) else "pending"

    for path, group in groupby(found, key=lambda item: item.path):
        states: list[tuple[State, PendingItem, IngestedItem]] = []
        for item in group:
            known = _known_outcome(item, conflicts)
            if known is not None:
                making.add_known(item, known, current.get(item.item_id or 0))
                continue
            request = requests[item.record.kind].of(item.record)
            key = request.key(item.record.sha256 or "", pinned(path))
            states.append((state_of(item, key), _pending(item, key, request), item))
        found_states = {state for state, _, _ in states}
        # a document is made as a whole; only what is left out of it stays so
        is_made = "pending" in found_states or ("waiting" in found_states and "finished" not in found_states)
        for state, pending, item in states:
            state = "pending" if is_made and state != "skipped" else state
            making.add(state, pending, item, current.get(item.item_id or 0))
    return Plan(
        len(found),
        tuple(making.pending),
        tuple(making.to_record),
        tuple(making.refused),
        tuple(making.standing),
        making.finished,
        making.skipped,
    )


def _copies(items: Iterable[IngestedItem], requests: Mapping[Kind, Request]) -> dict[str, list[str]]:
    """The paths of the copies of every file, with those of all its pages."""
    copies: dict[str, list[str]] = {}
    for item in items:
        paths = copies.setdefault(item.path, [])
        paths += (
            path for path in _output_paths(item, requests[item.record.kind].of(item.record)) if path not in paths[:1]
        )
    return copies


def _output_paths(item: IngestedItem, request: Request) -> tuple[str, ...]:
    formats = request.output_formats
    if item.record.kind != "page":
        return output_paths(item.path, formats)
    access = (page_path(item.path, item.record.page, one) for one in formats[1:])
    return (*output_paths(item.path, formats[:1]), *access)


def _known_outcome(item: IngestedItem, conflicts: Mapping[str, str]) -> ItemOutcome | None:
    """The outcome of an item that goes into no batch; None for one that does."""
    outcome = ItemOutcome(item_id=item.item_id or 0, state="skipped", source_sha256=item.record.sha256, stage="ingest")
    if item.problem is not None:
        error_type, message = item.problem
        return replace(outcome, state="failed", error_type=error_type, message=message)
    if item.skip is not None:
        return replace(outcome, error_type="no_scan", message=item.skip)
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
    return StandingFailure(name_of(item), earlier.stage or "", earlier.message or "failed in an earlier run")


def name_of(item: IngestedItem) -> str:
    """What messages call an item; what is wrong with a document as a whole is no page's fault."""
    return item.path if item.problem is not None else named(item.path, item.record.page, item.record.kind)


def _all_there(earlier: CurrentColorization, output_is_there: Callable[[str, int | None], bool]) -> bool:
    files = [(earlier.output_path, earlier.output_bytes)]
    files += [(copy.output_path, copy.output_bytes) for copy in earlier.copies]
    return all(path is not None and output_is_there(path, size) for path, size in files)


def _pending(item: IngestedItem, key: str, request: Request) -> PendingItem:
    return PendingItem(
        item_id=item.item_id or 0,
        path=item.path,
        kind=item.record.kind,
        sha256=item.record.sha256 or "",
        output_formats=request.output_formats,
        output_paths=_output_paths(item, request),
        request_key=key,
        decoded_bytes=item.decoded_bytes,
        page=item.record.page,
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


def describe_plan(plan: Plan, found: str) -> str:
    """The plan in one line, after what the walk through the archive met besides."""
    failing = len(plan.standing) + len(plan.refused)
    return (
        f"{plan.items} items found ({found}): "
        f"{len(plan.pending)} to colorize, {len(plan.finished)} done already, {plan.skipped} left out, "
        f"{failing} failing"
    )


def output_is_there(output: Path, path: str, size_bytes: int | None) -> bool:
    """Whether a copy lies in the output folder with the size that was recorded."""
    try:
        return (output / text_to_path(path)).stat().st_size == size_bytes
    except OSError:
        return False
