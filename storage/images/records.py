"""The records of the image room: what a master is, what was read of it, what was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from storage.images.encoding import Encoding
from storage.images.icc import Space
from storage.images.orientation import upright
from storage.images.reducing import reduced, reducing_factor
from storage.images.rows import Pixels as Pixels
from storage.images.rows import Rows

DigitalSourceType = Literal["compositeWithTrainedAlgorithmicMedia", "algorithmicallyEnhanced"]


class Refusal(Exception):  # noqa: N818 - inside the room only; outside it becomes UnreadableImage with the name
    """Why a file cannot be read, as the rest of a sentence that starts with the file's name."""

    def __init__(self, detail: str, error_type: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.error_type = error_type


@dataclass(frozen=True)
class ImageFacts:
    """What a header says. ``width`` and ``height`` in pixels are those of the upright picture.

    ``channels`` counts colour channels as stored (1 grey, palette counts as 3, 4 CMYK) without alpha;
    ``bit_depth`` is 8 or 16, fewer bits count as 8; ``ppi`` is pixels per inch along and across stored rows.
    """

    format: str
    width: int
    height: int
    channels: int
    bit_depth: int
    pages: int
    ppi: tuple[float, float] | None
    has_icc: bool


@dataclass(frozen=True)
class MasterMetadata:
    """What a master carries besides its pixels.

    ``exif`` is one self-contained TIFF-structured block (as in a JPEG's APP1 after the ``Exif`` mark; for a
    TIFF master made from its tags), ``xmp`` the packet, ``iptc`` IIM datasets, ``icc`` the embedded profile.
    ``orientation`` is the EXIF/TIFF value 1..8. ``notes`` are remarks for people on what could not be used.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: bytes | None = None
    ppi: tuple[float, float] | None = None
    orientation: int = 1
    page_name: str | None = None
    description: str | None = None
    software: str | None = None
    datetime: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """What a format's reader finds before any pixel is decoded; width and height as stored.

    ``pixel_bytes`` is how many bytes of the file hold pixels, ``least_bytes`` how many it must be at the very
    least for a picture of this size; both 0 where the format gives no such bound.
    """

    format: str
    width: int
    height: int
    channels: int
    bit_depth: int
    pages: int = 1
    metadata: MasterMetadata = field(default_factory=MasterMetadata)
    pixel_bytes: int = 0
    least_bytes: int = 0

    @property
    def facts(self) -> ImageFacts:
        """The header as told to the outside, with width and height of the upright picture."""
        turned = self.metadata.orientation >= 5
        return ImageFacts(
            format=self.format,
            width=self.height if turned else self.width,
            height=self.width if turned else self.height,
            channels=self.channels,
            bit_depth=self.bit_depth,
            pages=self.pages,
            ppi=self.metadata.ppi,
            has_icc=self.metadata.icc is not None,
        )


@dataclass(frozen=True)
class Samples:
    """Decoded samples as stored: ``colour`` (H, W), (H, W, 3) or (H, W, 4) for CMYK; ``alpha`` (H, W) if any.

    CMYK counts ink: 0 is none. ``premultiplied`` says that the colour already contains the alpha.
    """

    colour: Pixels
    space: Space
    alpha: Pixels | None = None
    premultiplied: bool = False


@dataclass(frozen=True)
class Master:
    """A picture, or a page of a document, as read, and everything that must not get lost.

    ``samples`` are rows as they are stored (before ``metadata.orientation``), (H, W) or (H, W, 3), ``uint8`` or
    ``uint16``, in ``encoding``; a large picture is no array. A copy is to have ``copy_encoding`` and
    ``bit_depth`` bits a sample. ``sha256`` is of exactly the bytes decoded; ``page`` counts from 1.
    """

    samples: Rows
    encoding: Encoding
    copy_encoding: Encoding
    bit_depth: int
    facts: ImageFacts
    metadata: MasterMetadata
    sha256: str
    path: Path
    page: int = 1

    @property
    def pixels(self) -> Pixels:
        """The whole picture upright, sRGB-encoded with ``bit_depth`` bits; computed anew each time."""
        return self._upright(1)

    @cached_property
    def preview(self) -> Pixels:
        """As ``pixels``, but a picture with more than 8191 pixels on its long side is reduced in linear light."""
        return self._upright(reducing_factor(self.samples.shape))

    def _upright(self, factor: int) -> Pixels:
        depth = np.uint16 if self.bit_depth == 16 else np.uint8
        return upright(reduced(self.samples, self.encoding, factor, depth), self.metadata.orientation)


@dataclass(frozen=True)
class DerivativeProvenance:
    """What is said inside a derivative about how it came to be.

    ``software`` and ``version`` name this program, ``ai_system`` and ``ai_system_version`` the network and
    its weights; ``when`` must know its time zone; ``parameters`` is everything that changes pixels. Reference
    name and digest tell whose colours were taken.
    """

    software: str
    version: str
    ai_system: str
    ai_system_version: str
    when: datetime
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    action: str = "colorized"
    reference_name: str | None = None
    reference_sha256: str | None = None
    digital_source_type: DigitalSourceType = "compositeWithTrainedAlgorithmicMedia"


@dataclass(frozen=True)
class WrittenDerivative:
    """A copy as it lies on disk; ``width`` and ``height`` as stored, ``sha256`` of the final bytes.

    ``notes`` say in plain words which metadata of the master could not be carried over.
    """

    path: Path
    sha256: str
    size_bytes: int
    width: int
    height: int
    bit_depth: int
    format: str
    notes: tuple[str, ...] = ()
