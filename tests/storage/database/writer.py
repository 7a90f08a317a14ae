"""A process that records batches: `python -m tests.storage.database.writer URL RUN FIRST LAST BATCH [PAUSE] [...]`.

Of the items FIRST to LAST it records BATCH at a time, and rests PAUSE seconds after each batch. With `--largest` the
batches are of random sizes up to that; with `--references` each outcome has these as candidates, and two copies.
Prints a line when it begins and after each batch, with the seconds that it took.
"""

import argparse
import random
import time
from collections.abc import Sequence

from storage.database import colorizations, open_database
from storage.database.records import ItemOutcome, MatchRecord, StageTiming
from tests.storage.database.samples import done, further_copy

STAGES = ("read", "search", "network", "write")
COPIES = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    for name in ("run", "first", "last", "batch"):
        parser.add_argument(name, type=int)
    parser.add_argument("pause", type=float, nargs="?", default=0.0)
    parser.add_argument("--largest", type=int)
    parser.add_argument("--references", type=int, nargs="*", default=())
    given = parser.parse_args()
    sizes = random.Random(given.first)
    with open_database(given.url) as db:
        print("open", flush=True)
        start = given.first
        while start <= given.last:
            size = given.batch if given.largest is None else sizes.randint(given.batch, given.largest)
            ids = range(start, min(start + size, given.last + 1))
            began = time.monotonic()
            colorizations.record(db, given.run, [_outcome(item_id, given.references) for item_id in ids])
            print(f"recorded {len(ids)} {time.monotonic() - began:.3f}", flush=True)
            start = ids[-1] + 1
            time.sleep(given.pause)


def _outcome(item_id: int, references: Sequence[int]) -> ItemOutcome:
    if not references:
        return done(item_id, timings=(StageTiming(stage="network", seconds=1.0),))
    return done(
        item_id,
        reference_id=references[0],
        timings=tuple(StageTiming(stage=stage, seconds=0.25) for stage in STAGES),
        matches=tuple(
            MatchRecord(reference_id=reference, rank=rank, score=1 / rank, chosen=rank == 1, confidence=0.5)
            for rank, reference in enumerate(references, start=1)
        ),
        copies=tuple(further_copy(f"{item_id} {number}.png") for number in range(COPIES)),
    )


if __name__ == "__main__":
    main()
