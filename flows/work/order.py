"""What every process that works for a run must know."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Order:
    """One run, as its workers are told of it.

    Args:
        settings: with absolute paths, which must lead to the same files for every worker.
        run_id: in the database of the settings.
        code_version: of the program that began the run; others must not work for it.
        threads: with which every worker computes, so that all of them get the same last bits.
        finished: references of items that are done, by path; for `flows.variety`, empty where that is not asked for.
    """

    settings: RunSettings
    run_id: int
    code_version: str
    threads: int
    finished: Mapping[str, int] = field(default_factory=dict)
