"""Video: the luma plane of a frame as the network sees it, and chroma as the planes that go with that very luma.

ITU-T H.273 (matrix coefficients, ranges). The luma samples are never changed: colour is what is added to them, Y'CbCr
being linear in R'G'B'. Grey film is taken for display-referred and encoded like sRGB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sscn import colour
from sscn.errors import SscnError

Samples = NDArray[np.uint8] | NDArray[np.uint16]

RED_AND_BLUE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "bt709": (0.2126, 0.0722),
        "fcc": (0.30, 0.11),
        "bt470bg": (0.299, 0.114),
        "smpte170m": (0.299, 0.114),
        "smpte240m": (0.212, 0.087),
        "bt2020nc": (0.2627, 0.0593),
    }
)
"""What R' and B' weigh in Y', by ffmpeg's names of the matrices; G' has the rest."""


@dataclass(frozen=True)
class SampleCoding:
    """What the numbers of a film's planes mean."""

    bit_depth: int
    """8 to 16."""
    full_range: bool
    """Black and white are the least and the greatest number; else 16 and 235 times 2 ** (bit_depth - 8)."""
    matrix: str
    """One of ``RED_AND_BLUE``."""

    def __post_init__(self) -> None:
        """Raises SscnError for what no film has, or a matrix that is not linear in R'G'B'."""
        if not 8 <= self.bit_depth <= 16:
            raise SscnError(f"films have 8 to 16 bits a sample, not {self.bit_depth}")
        if self.matrix not in RED_AND_BLUE:
            raise SscnError(f"the colour matrix {self.matrix} is not handled; choose among {', '.join(RED_AND_BLUE)}")


def grey_signal(luma: Samples, coding: SampleCoding) -> Tensor:
    """Y' of a luma plane (H, W), 0 black to 1 white, (1, H, W); what lies beyond them is cut off."""
    numbers = torch.from_numpy(luma.astype(np.float32))[None]
    if coding.full_range:
        black, white = 0, 2**coding.bit_depth - 1
    else:
        unit = 1 << (coding.bit_depth - 8)
        black, white = 16 * unit, 235 * unit
    signal: Tensor = (numbers - black) / (white - black)
    return signal.clamp(0, 1)


def signal_lightness(signal: Tensor) -> Tensor:
    """L* 0..100 of grey light encoded as ``signal``, (1, H, W)."""
    return colour.lightness(colour.decoded(signal))


def chroma_planes(signal: Tensor, ab: Tensor, coding: SampleCoding) -> tuple[Samples, Samples]:
    """Chroma as planes of samples.

    Chroma that the film's own luma leaves no room for in R'G'B' is reduced, so that no player has to clip it.

    Args:
        signal: from ``grey_signal``, (1, H, W).
        ab: a* and b*, (2, H, W).
        coding: of the planes; the luma's own.

    Returns:
        Cb and Cr at full size, each (H, W), uint8, or uint16 beyond 8 bits.
    """
    encoded = colour.encoded(colour.colour_with_luminance(colour.decoded(signal), ab))
    red, blue = RED_AND_BLUE[coding.matrix]
    weights = torch.tensor([red, 1 - red - blue, blue]).view(3, 1, 1)
    added = encoded - (encoded * weights).sum(dim=0, keepdim=True)
    room = torch.where(added > 0, 1 - signal, signal)
    added = added * (room / added.abs().clamp_min(1e-9)).amin(dim=0, keepdim=True).clamp(0, 1)
    return _samples(added[2] / (2 * (1 - blue)), coding), _samples(added[0] / (2 * (1 - red)), coding)


def _samples(difference: Tensor, coding: SampleCoding) -> Samples:
    """A colour difference of -0.5..0.5 as samples about the middle of their range."""
    unit, greatest = 1 << (coding.bit_depth - 8), (1 << coding.bit_depth) - 1
    reach = greatest if coding.full_range else 224 * unit
    numbers = (difference.double() * reach + 128 * unit + 0.5).floor().clamp(0, greatest)
    whole: NDArray[np.float64] = numbers.numpy()
    return whole.astype(np.uint8) if coding.bit_depth == 8 else whole.astype(np.uint16)
