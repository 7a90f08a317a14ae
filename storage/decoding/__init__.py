"""Masters are read in a process of their own, which a hostile file may crash, hang or fill without harm to the run."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.decoding.decoder import Decoder

__all__ = ["Decoder"]


def __getattr__(name: str) -> object:
    """The decoder when it is asked for: it imports the readers, and these import ``storage.decoding.progress``."""
    if name == "Decoder":
        from storage.decoding.decoder import Decoder

        return Decoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
