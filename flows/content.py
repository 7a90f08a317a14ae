"""What is left out of a run for its content: what no colour can or need be given to."""

from typing import TYPE_CHECKING

from flows.failures import LeftOut

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Embedder
    from storage.images import Master

LEFT_OUT = frozenset({"text", "blank", "colour", "negative"})
"""Error types of what was left out for its content."""


def leave_out_by_content(name: str, master: "Master", embedder: "Embedder") -> None:
    """Look at what a scan shows; the embedder's networks tell negatives.

    Raises:
        LeftOut: it is nothing to be colorized.
    """
    from retrieval.content import judge

    content = judge(master.preview, embedder.networks)
    if content.kind in LEFT_OUT:
        raise LeftOut(content.kind, f"{name}: {content.reason}; run with --colorize-all to colorize it all the same")
