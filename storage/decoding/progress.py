"""A sign of life: what a reader says before it works on many pixels in one go."""

from collections.abc import Callable

_listener: Callable[[int], None] | None = None
"""Of the process and not of a thread or call: in the decoder process one call runs at a time, in several threads."""


def working(pixels: int) -> None:
    """Say that so many pixels are worked on next, without a further sign until that is done.

    In the decoder process this gives the work more time before it counts as hanging; elsewhere it does nothing.
    Any thread may call it.
    """
    if _listener is not None:
        _listener(pixels)


def report_to(listener: Callable[[int], None] | None) -> None:
    """Who hears of it from now on; None: nobody."""
    global _listener
    _listener = listener
