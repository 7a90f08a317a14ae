"""With how many threads a process computes."""

import os

from flows.settings import RunSettings


def worker_threads(settings: RunSettings) -> int:
    """Of each of several workers on this machine: its cores are divided among them."""
    return max(1, len(os.sched_getaffinity(0)) // settings.workers)
