"""The work of a run comes in steps, each a task of its own for Prefect."""

from collections.abc import Callable, Sequence

Step = Callable[[], "Sequence[Step] | None"]
"""Does a piece of work; returns the steps that follow from it, to be done next."""
