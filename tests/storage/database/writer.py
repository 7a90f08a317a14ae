"""A process that records batches: `python -m tests.storage.database.writer URL RUN FIRST LAST BATCH [PAUSE]`.

Prints a line when it begins and after each batch.
"""

import sys
import time

from storage.database import colorizations, open_database
from storage.database.records import StageTiming
from tests.storage.database.samples import done


def main(url: str, run_id: int, first: int, last: int, batch: int, pause: float) -> None:
    with open_database(url) as db:
        print("open", flush=True)
        for start in range(first, last + 1, batch):
            ids = range(start, min(start + batch, last + 1))
            timings = (StageTiming(stage="network", seconds=1.0),)
            colorizations.record(db, run_id, [done(item_id, timings=timings) for item_id in ids])
            print(f"recorded {ids[-1]}", flush=True)
            time.sleep(pause)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6]) if len(sys.argv) > 6 else 0.0)
