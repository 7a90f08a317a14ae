"""The records of the document room: what a page's scan is, and what is put in its place."""

from dataclasses import dataclass

from storage.images.records import ImageFacts, Samples
from storage.images.rows import Rows

MAX_PAGES = 20_000


@dataclass(frozen=True)
class DocumentPage:
    """One page: ``facts`` of its scan, or, where it has none to colorize, the ``reason`` as a short clause.

    Width and height are those of the upright scan in pixels. ``error_type`` is that of a ``Refusal`` where the page is
    not without a scan but damaged; the other pages of the document may be whole.
    """

    facts: ImageFacts | None
    reason: str | None = None
    error_type: str | None = None


@dataclass(frozen=True)
class PageScan:
    """A page's scan as it is stored.

    ``orientation`` is the Exif value 1..8 that makes the stored rows upright as the page shows them; ``ppi`` is
    pixels per inch along and across stored rows. ``is_lossy`` says that the document stores it with loss.
    ``notes`` are remarks for people.
    """

    samples: Samples
    icc: bytes | None
    ppi: tuple[float, float] | None
    orientation: int
    is_lossy: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PagePicture:
    """What takes a scan's place: ``rows`` (H, W, 3), ``uint8`` or ``uint16``, in the scan's stored rows and columns.

    ``icc`` is the RGB profile of the samples. With ``lossless`` no sample changes; else it becomes a JPEG, for which
    16-bit samples are rounded to 8 bits; a side of more than 65,500 pixels, which no JPEG has, makes it lossless.
    None: as the document stores the scan itself.
    """

    rows: Rows
    icc: bytes
    lossless: bool | None = None
