"""Chroma as the planes that go with a film's own luma: each sample where the format's siting puts it.

All of it happens at the size of the chroma planes. A sample gets its colour at the mean luma of its neighbourhood, and
no more of it than the darkest and the lightest luma of its cell have room for in R'G'B', so that no player has to clip.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from sscn import colour
from sscn.errors import SscnError
from sscn.guided_filter import apply_model, guided_slope
from sscn.video import RED_AND_BLUE, SampleCoding

Siting = Literal["left", "center", "topleft"]
_FACTORS = (1, 2, 4)
_BAND_SAMPLES = 1 << 15
"""On a CPU planes are made in bands of about so many samples, which stay in its cache."""
_EDGE_RADIUS, _EDGE_EPSILON = 1, 3e-3
"""Guided filter on the chroma's grid: window radius in its pixels, variance of L* / 100 that counts as plain ground."""
_STEP = 0.03
"""CIE f(Y): colour differences are computed for a place's own light and for so much less, and taken to be linear in Y'
around it. Far cheaper than at the size of HD's planes, and as good (PSNR within 0.05 dB)."""
_ROOT, _TANGENT = 6 / 29, 3 * (6 / 29) ** 2
_KNEE = 0.0031308


@dataclass(frozen=True)
class ChromaGrid:
    """Where chroma samples lie among those of luma."""

    across: int
    """Luma samples for each chroma sample in a row: 1, 2 or 4."""
    down: int
    """Likewise in a column."""
    siting: str = "left"
    """Of formats that are smaller both ways: "left" (MPEG-2, H.264: on the even columns, between two rows), "center"
    (JPEG, MPEG-1) or "topleft". Those smaller across alone (4:2:2, 4:1:1) lie on the columns whatever it says."""

    def __post_init__(self) -> None:
        """Raises SscnError for what is not known."""
        if self.across not in _FACTORS or self.down not in _FACTORS:
            raise SscnError(f"chroma reduced {self.across} times across and {self.down} times down is not handled")
        if self.siting not in get_args(Siting):
            raise SscnError(f"the chroma siting {self.siting} is not handled; choose {', '.join(get_args(Siting))}")

    @property
    def on_columns(self) -> bool:
        """On luma columns, not between them."""
        return self.down == 1 or self.siting != "center"

    @property
    def on_rows(self) -> bool:
        """On luma rows, not between them."""
        return self.siting == "topleft"

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a chroma plane, rounded up."""
        return -(-height // self.down), -(-width // self.across)


class CellLuma(NamedTuple):
    """Luma as chroma samples see it, int32 (N, H / down, W / across)."""

    total: Tensor
    """Weighted sum around the sample, by weights that add up to ``weight``."""
    weight: int
    least: Tensor
    """Of the samples of the cell."""
    greatest: Tensor


def cell_luma(luma: Tensor, grid: ChromaGrid) -> CellLuma:
    """What the chroma samples have around them in luma, int32 (N, H, W).

    A sample on a column is surrounded by a triangle, one between columns or rows by those next to it; beyond the
    edges the outermost samples are repeated.
    """
    rows, row_weight = _sums(luma, 1, grid.down, grid.on_rows)
    total, column_weight = _sums(rows, 2, grid.across, grid.on_columns)
    least = greatest = luma
    for dim, factor in ((1, grid.down), (2, grid.across)):
        least = _joined(least, dim, factor, torch.minimum)
        greatest = _joined(greatest, dim, factor, torch.maximum)
    return CellLuma(total, row_weight * column_weight, least, greatest)


def _sums(luma: Tensor, dim: int, factor: int, on_sample: bool) -> tuple[Tensor, int]:
    """Weighted sums of neighbours along ``dim``, and what the weights add up to: a power of two."""
    if factor == 1:
        return luma, 1
    if on_sample:
        weights = {offset: factor - abs(offset) for offset in range(1 - factor, factor)}
    else:
        weights = dict.fromkeys(range(factor), 1)
    total = _every(luma, dim, 0, factor) * weights[0]
    for offset in weights.keys() - {0}:
        total.add_(_every(luma, dim, offset, factor), alpha=weights[offset])
    return total, sum(weights.values())


def _joined(luma: Tensor, dim: int, factor: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Neighbours of the same cell along ``dim`` joined."""
    parts = [_every(luma, dim, offset, factor) for offset in range(factor)] if factor > 1 else [luma]
    return reduce(join, parts)


def _every(maps: Tensor, dim: int, offset: int, step: int) -> Tensor:
    """Entries ``offset``, ``offset + step`` ... along ``dim``, one for each begun step; beyond edges those there."""
    length = maps.shape[dim]
    count = -(-length // step)
    chosen = [slice(None)] * maps.ndim
    chosen[dim] = slice(offset % step, None, step)
    found = maps[tuple(chosen)]
    if offset >= 0 and found.shape[dim] == count:
        return found
    before = [maps.narrow(dim, 0, 1)] if offset < 0 else []
    return torch.cat([*before, found, maps.narrow(dim, length - 1, 1)], dim).narrow(dim, 0, count)


def _places(count: int, length: int, factor: int, on_sample: bool) -> tuple[Tensor, Tensor]:
    """Where chroma samples lie among ``count`` map entries that span ``length`` luma samples: the entry before each
    of them, and how far it is to the next one."""
    centres = torch.arange(-(-length // factor), dtype=torch.float64) * factor + (0.5 if on_sample else factor / 2)
    places = (centres * (count / length) - 0.5).clamp_(0, count - 1)
    before = places.long().clamp_(max=max(count - 2, 0))
    return before, (places - before).float()


def _between(maps: Tensor, places: tuple[Tensor, Tensor], dim: int) -> Tensor:
    """Maps at ``places`` along ``dim``, linearly."""
    before, fraction = (part.to(maps.device) for part in places)
    shape = [1] * maps.ndim
    shape[dim] = -1
    behind = maps.index_select(dim, (before + 1).clamp_(max=maps.shape[dim] - 1))
    return maps.index_select(dim, before).lerp_(behind, fraction.view(shape))


class ChromaPlanes:
    """Makes the chroma planes of films of one coding and grid."""

    def __init__(self, coding: SampleCoding, grid: ChromaGrid) -> None:
        self.coding = coding
        self.grid = grid

    def of(self, luma: Tensor, luminance: Tensor, ab: Tensor) -> Tensor:
        """Chroma samples.

        Args:
            luma: the film's own samples, int32 (N, H, W).
            luminance: L* at the size of ``ab``, (N, 1, h, w).
            ab: a* and b*, (N, 2, h, w).

        Returns:
            Cb and Cr, int32 (N, 2, H / down, W / across), sizes rounded up.
        """
        model = self._model(luminance, ab)
        height, width = luma.shape[-2:]
        across = _places(model.shape[3], width, self.grid.across, self.grid.on_columns)
        # columns are chosen as rows are: several times faster
        model = _between(model.permute(3, 0, 1, 2).contiguous(), across, 0).permute(1, 2, 3, 0).contiguous()
        down = _places(model.shape[2], height, self.grid.down, self.grid.on_rows)
        cells = cell_luma(luma, self.grid)
        rows, columns = self.grid.size(height, width)
        band = max(1, _BAND_SAMPLES // columns) if luma.device.type == "cpu" else rows
        bands = [slice(top, top + band) for top in range(0, rows, band)]
        return torch.cat(
            [
                self._band(
                    _between(model, (down[0][band], down[1][band]), 2),
                    CellLuma(cells.total[:, band], cells.weight, cells.least[:, band], cells.greatest[:, band]),
                )
                for band in bands
            ],
            2,
        )

    def _model(self, luminance: Tensor, ab: Tensor) -> Tensor:
        """Cb and Cr of each place as they go with Y' around its own: slopes and offsets, (N, 4, h, w).

        On its own grid the chroma stays as it is; what is finer follows the luma, as the chroma around does.
        """
        slope = guided_slope(luminance / 100, ab, _EDGE_RADIUS, _EDGE_EPSILON) * 1.16
        f = (luminance + 16) / 116
        parts = []
        for at in (f, (f - _STEP).clamp_min(4 / 29)):
            differences = colour_differences(at[:, 0], ab + slope * (at - f), self.coding.matrix)
            parts.append((_encoded(_cubed(at)) - 0.055, differences))
        (own, differences), (dark, darker) = parts
        rise = (differences - darker) / (own - dark).clamp_min(_KNEE)
        return torch.cat([rise, differences - rise * own], 1)

    def _band(self, model: Tensor, cells: CellLuma) -> Tensor:
        """Some rows of the planes."""
        signal = self.coding.signal
        differences = apply_model(model, signal(cells.total.float().mul_(1 / cells.weight))[:, None])
        return self.coding.samples(inside(differences, signal(cells.least), signal(cells.greatest), self.coding.matrix))


def colour_differences(fy: Tensor, ab: Tensor, matrix: str) -> Tensor:
    """Lab as colour differences of Y'CbCr.

    What is outside sRGB is moved towards the grey of equal Y in linear light, as for stills.

    Args:
        fy: CIE f(Y), (N, h, w).
        ab: a* and b*, (N, 2, h, w).
        matrix: one of ``RED_AND_BLUE``.

    Returns:
        Cb and Cr, -0.5..0.5, (N, 2, h, w).
    """
    inverse = np.linalg.inv(np.array(colour.RGB_TO_XYZ)) * np.array(colour.WHITE_D65)
    y = _cubed(fy)
    x = _cubed(torch.add(fy, ab[:, 0], alpha=1 / 500)).sub_(y)
    z = _cubed(torch.sub(fy, ab[:, 1], alpha=1 / 200)).sub_(y)
    red, green, blue = (torch.add(x * float(row[0]), z, alpha=float(row[2])) for row in inverse)
    keep = _room(red, green, blue, y, y)
    red, green, blue = (_encoded(torch.addcmul(y, part, keep)) for part in (red, green, blue))
    of_red, of_blue = RED_AND_BLUE[matrix]
    luma = (green * (1 - of_red - of_blue)).add_(red, alpha=of_red).add_(blue, alpha=of_blue)
    return torch.stack([blue.sub_(luma).mul_(0.5 / (1 - of_blue)), red.sub_(luma).mul_(0.5 / (1 - of_red))], 1)


def inside(differences: Tensor, darkest: Tensor, lightest: Tensor, matrix: str) -> Tensor:
    """As much of colour differences as leaves R'G'B' between 0 and 1.

    Args:
        differences: Cb and Cr, (N, 2, h, w).
        darkest: the least Y' 0..1 that they go with, (N, h, w).
        lightest: the greatest.
        matrix: one of ``RED_AND_BLUE``.
    """
    of_red, of_blue = RED_AND_BLUE[matrix]
    blue, red = differences[:, 0] * (2 * (1 - of_blue)), differences[:, 1] * (2 * (1 - of_red))
    green = (red * (of_red / (of_red + of_blue - 1))).add_(blue, alpha=of_blue / (of_red + of_blue - 1))
    return differences * _room(red, green, blue, darkest, lightest)[:, None]


def _room(red: Tensor, green: Tensor, blue: Tensor, least: Tensor, greatest: Tensor) -> Tensor:
    """What part of these distances from grey leaves greys from ``least`` to ``greatest`` between 0 and 1."""
    up = torch.maximum(torch.maximum(red, green), blue).clamp_min_(1e-9)
    down = torch.minimum(torch.minimum(red, green), blue).neg_().clamp_min_(1e-9)
    return torch.minimum((1 - greatest).div_(up), least / down).clamp_(0, 1)


# Without "where", which takes ten times as long as arithmetic on the CPU: beyond the knee the one term is constant,
# before it the other.


def _cubed(f: Tensor) -> Tensor:
    """``colour.inverse_lab_function``."""
    high = f.clamp_min(_ROOT)
    return (high * high).mul_(high).add_((f - _ROOT).clamp_max_(0), alpha=_TANGENT)


def _encoded(linear: Tensor) -> Tensor:
    """``colour.encoded`` but for a constant, 0.055, which differences do not have."""
    high = linear.clamp_min(_KNEE).pow_(1 / 2.4).mul_(1.055)
    return high.add_((linear - _KNEE).clamp_max_(0), alpha=12.92)
