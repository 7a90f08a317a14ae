"""What is left out of a run for its content: what no colour can or need be given to."""

from typing import TYPE_CHECKING

from flows.failures import LeftOut

if TYPE_CHECKING:  # see flows.engine
    from storage.images import Master

LEFT_OUT = frozenset({"text", "blank", "colour", "negative"})
"""Error types of what was left out for its content."""


def leave_out_by_content(name: str, master: "Master") -> None:
    """Look at what a scan shows.

    Raises:
        LeftOut: it is nothing to be colorized.
    """
    from retrieval.content import judge

    content = judge(master.preview)
    if content.kind in LEFT_OUT:
        raise LeftOut(content.kind, f"{name}: {content.reason}; run with --colorize-all to colorize it all the same")
