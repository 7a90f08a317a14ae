"""Random colours and exposure, so that the colour of a target can be known from its reference only."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sscn import colour

_SLACK = 1e-4
"""Linear light outside 0..1 that no 8-bit sample would show."""


@dataclass(frozen=True)
class ColourJitter:
    """Turn of a*, b* about the grey axis, and a factor on chroma; the same for target and reference of a pair."""

    degrees: float
    chroma: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> "ColourJitter":
        """No turn in 30% of the cases, any turn in 30%, up to 20 degrees otherwise; chroma 0.6..1.5."""
        sort, turn, chroma = random.random(), random.uniform(-1, 1), random.uniform(np.log(0.6), np.log(1.5))
        reach = 0.0 if sort < 0.3 else 180.0 if sort < 0.6 else 20.0
        return cls(turn * reach, float(np.exp(chroma)))

    def __call__(self, lab: Tensor) -> Tensor:
        """L*, a*, b* (3, H, W) -> the same with turned and scaled chroma; may lie outside the gamut of sRGB."""
        angle = np.deg2rad(self.degrees)
        c, s = float(np.cos(angle)) * self.chroma, float(np.sin(angle)) * self.chroma
        return torch.stack([lab[0], c * lab[1] - s * lab[2], s * lab[1] + c * lab[2]])


def in_gamut(lab: Tensor) -> Tensor:
    """L*, a*, b* (3, H, W) with chroma reduced, where needed, until sRGB can show it; L* is kept."""
    fy = (lab[0] + 16) / 116
    xyz = colour.inverse_lab_function(torch.stack([fy + lab[1] / 500, fy, fy - lab[2] / 200]))
    to_rgb = torch.linalg.inv(torch.tensor(colour.RGB_TO_XYZ, dtype=torch.float64)) * torch.tensor(colour.WHITE_D65)
    rgb = torch.einsum("ij,jhw->ihw", to_rgb.float(), xyz)
    outside = ((rgb < -_SLACK) | (rgb > 1 + _SLACK)).any(dim=0)
    fitted = colour.linear_to_lab(colour.colour_with_luminance(xyz[1][outside][None, :, None], lab[1:, outside, None]))
    result = lab.clone()
    result[1:, outside] = fitted[1:, :, 0]
    return result


def exposed(lab: Tensor, gamma: float) -> Tensor:
    """Another exposure: L* to the power ``gamma``, a* and b* as they are."""
    return torch.cat([100 * (lab[:1] / 100).clamp(0, 1) ** gamma, lab[1:]])
