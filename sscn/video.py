"""Video: what the numbers of a film's planes mean.

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

Samples = NDArray[np.uint8 | np.uint16]

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

    def signal(self, luma: Tensor) -> Tensor:
        """Y' of luma samples (or means of some), float32: 0 black to 1 white; what lies beyond them is cut off."""
        unit, greatest = 1 << (self.bit_depth - 8), (1 << self.bit_depth) - 1
        black, white = (0, greatest) if self.full_range else (16 * unit, 235 * unit)
        return ((luma.float() - black) / (white - black)).clamp_(0, 1)

    def samples(self, difference: Tensor) -> Tensor:
        """A colour difference of -0.5..0.5 as whole numbers about the middle of their range, rounded; int32."""
        unit, greatest = 1 << (self.bit_depth - 8), (1 << self.bit_depth) - 1
        reach = greatest if self.full_range else 224 * unit
        return (difference * reach + (128 * unit + 0.5)).floor_().clamp_(0, greatest).to(torch.int32)

    def light_table(self) -> NDArray[np.float32]:
        """Linear light 0..1 of every number that 8 bits (256,) or more (65536,) can hold."""
        numbers = torch.arange(256 if self.bit_depth == 8 else 65536)
        table: NDArray[np.float32] = colour.decoded(self.signal(numbers)).numpy()
        return table

    def lightness_table(self) -> NDArray[np.float32]:
        """L* 0..100, likewise."""
        table: NDArray[np.float32] = colour.lightness(torch.from_numpy(self.light_table())).numpy()
        return table
