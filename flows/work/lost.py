"""What is recorded of an item whose work kills every process that takes it up."""

from collections.abc import Callable, Sequence

from flows.planning import PendingItem
from storage.database.records import ItemOutcome

Record = Callable[[Sequence[ItemOutcome]], None]


def lost_outcome(item: PendingItem) -> ItemOutcome:
    """Failed; as a rule the memory did not suffice, and the operating system ended the process."""
    return ItemOutcome(
        item_id=item.item_id,
        state="failed",
        request_key=item.request_key,
        source_sha256=item.sha256,
        stage="network",
        error_type="worker_died",
        message=f"{item.name}: the worker process died of it, twice; see whether the memory suffices, or use a smaller "
        "--size",
    )
