"""The plain records that the retrieval room hands out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with (files handled so far, files found)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A colour picture of the library; width and height in pixels, upright.

    `near_duplicate_of` is the id of the oldest reference that shows nearly the same, None if this is the oldest.
    """

    id: int
    path: Path
    sha256: str
    width: int
    height: int
    near_duplicate_of: int | None = None

    @property
    def group(self) -> int:
        """The same for all that show nearly the same."""
        return self.near_duplicate_of or self.id


@dataclass(frozen=True, slots=True)
class Match:
    """A reference that fits a target: score 0..1 (`retrieval.library` says how it is made), rank from 1.

    `confidence`, 0..1, is how far it is to be trusted to be a good one (`retrieval.confidence`); 0 of a mere candidate,
    which was not looked at twice.
    """

    reference: Reference
    score: float
    rank: int
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class FailedReference:
    """A file that could not become a reference; `message` is one line for people."""

    path: Path
    error_type: str
    message: str


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `ReferenceLibrary.add` did.

    `added` are references new to the library, `linked` those of them that took over the vector of the same
    content seen before. `unchanged` were there already. `retired` are references whose files are gone or
    changed, and `left_out` files that were removed from the library by hand and stay out until they are named
    themselves.
    """

    added: int
    unchanged: int
    failed: tuple[FailedReference, ...] = ()
    linked: int = 0
    retired: int = 0
    left_out: int = 0
