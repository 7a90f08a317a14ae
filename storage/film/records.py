"""What is known of a film: its picture, its clock, the streams beside the picture, and its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

Subsampling = Literal["gray", "rgb", "410", "411", "420", "422", "440", "444"]
FieldOrder = Literal["progressive", "top field first", "bottom field first", "unknown"]


# One plane of samples, (H, W): uint8, or uint16 for more than eight bits.
Plane = npt.NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class StreamFacts:
    """A stream beside the picture. ``kind``: audio, subtitle, data, attachment, video; ``index``: its place."""

    index: int
    kind: str
    codec: str
    language: str | None
    title: str | None


@dataclass(frozen=True)
class SequencePattern:
    """Numbered frames in one folder: ``PREFIX`` + number in at least ``digits`` digits + ``SUFFIX``."""

    folder: Path
    prefix: str
    digits: int
    suffix: str
    first: int
    count: int

    def path(self, number: int) -> Path:
        """The file of the frame with this number in its name."""
        return self.folder / f"{self.prefix}{number:0{self.digits}d}{self.suffix}"


@dataclass(frozen=True)
class FilmFacts:
    """What a film says about itself, with the documented assumptions where it says nothing.

    ``container`` and ``codec`` are ffmpeg's names ("matroska", "ffv1"); an image sequence has the container
    "sequence" and a ``sequence``. ``width`` and ``height`` are in pixels, ``bit_depth`` in bits per sample.
    ``matrix``, ``primaries`` and ``transfer`` are ffmpeg's names, as ITU-T H.273 tables them; ``matrix`` is never
    empty, ``matrix_tagged`` and ``range_tagged`` tell whether the film said so itself. For RGB films ``matrix`` and
    ``full_range`` describe the luma that is computed from R'G'B' (BT.709, full range).
    ``chroma_location`` is left, center or topleft. ``sample_aspect`` is width to height of a pixel, ``rotation`` in
    degrees anticlockwise, ``frame_rate`` in frames a second (the average where it varies), ``time_base`` seconds
    of one tick, ``duration`` seconds. ``declared_frames`` is what the container's index says, None if it says
    nothing. ``video_index`` is the place of the picture stream among the streams.
    """

    path: Path
    container: str
    codec: str
    width: int
    height: int
    pixel_format: str
    bit_depth: int
    subsampling: Subsampling
    matrix: str
    matrix_tagged: bool
    full_range: bool
    range_tagged: bool
    primaries: str | None
    transfer: str | None
    chroma_location: str
    sample_aspect: Fraction
    rotation: int
    frame_rate: Fraction
    time_base: Fraction
    field_order: FieldOrder
    duration: Fraction | None
    declared_frames: int | None
    video_index: int
    streams: tuple[StreamFacts, ...]
    chapters: int
    sequence: SequencePattern | None = None

    @property
    def sample_type(self) -> "np.dtype[np.uint8] | np.dtype[np.uint16]":
        """The type of the samples of a plane: uint8, or uint16 for more than eight bits."""
        return np.dtype(np.uint8) if self.bit_depth == 8 else np.dtype(np.uint16)


@dataclass(frozen=True, slots=True)
class Frame:
    """One shown frame: its number from 0, time and duration in ticks, and the MD5 of its luma plane.

    The MD5 is over the samples row by row, 16-bit ones little-endian; for RGB films over the planes G, B, R.
    """

    number: int
    pts: int
    duration: int
    luma_md5: str


@dataclass(frozen=True, eq=False)
class Frames(Sequence[Frame]):
    """All frames of a film in the order they are shown, kept in 32 bytes a frame.

    ``pts`` and ``durations`` are int64 (N,) in ticks of ``time_base`` seconds, ``pts`` strictly rising; ``digests``
    is uint8 (N, 16).
    """

    time_base: Fraction
    pts: npt.NDArray[np.int64]
    durations: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pts)

    @overload
    def __getitem__(self, number: int) -> Frame: ...
    @overload
    def __getitem__(self, number: slice) -> list[Frame]: ...
    def __getitem__(self, number: int | slice) -> Frame | list[Frame]:
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        return Frame(number, int(self.pts[number]), int(self.durations[number]), self.digests[number].tobytes().hex())

    @property
    def constant_rate(self) -> bool:
        """Whether all frames are equally far apart, up to one tick of rounding."""
        steps = np.diff(self.pts)
        return len(steps) == 0 or int(steps.max() - steps.min()) <= 1
