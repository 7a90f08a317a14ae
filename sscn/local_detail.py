"""Local detail transfer, the fine stage: each place takes the colour of the places in the reference that match it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sscn.attention import Attended, KeyClusters, attend, attend_routed, routed_share
from sscn.matching import block_grid, block_tokens, grid, tokens
from sscn.presets import Preset

Attention = Literal["sparse", "dense"]
Keys = Literal["routed", "cam"]
"""Which keys sparse attention looks at: of the query's own clusters (ours), or the paper's 256 + 256."""


@dataclass(frozen=True)
class FineReference:
    """What the fine stage keeps of a reference."""

    keys: Tensor
    """(K, D) matching features at 1/4, unit length; in the order of ``clusters`` if there are any."""
    values: Tensor
    """(K, 7), same order: L*, a*, b*, a*^2 + b*^2, x, y, x^2 + y^2 (x, y: the key's place, -1..1)."""
    clusters: KeyClusters | None
    """Of ``keys``, for routing; None where every place attends to all keys."""
    picture: Tensor
    """(1, 3, H / 2, W / 2): L*, a*, b* for colour finer than the grid of the keys."""
    places: tuple[int, int]
    """Height and width of the keys' grid."""


class LocalMatch(NamedTuple):
    """What the fine stage found, (N, C, h, w) on the target's fine grid."""

    ab: Tensor
    """Chroma of the match, a* and b*."""
    luminance: Tensor
    """L* of the match."""
    spread: Tensor
    """Standard deviation of the chroma among the keys attended to."""
    best: Tensor
    """Greatest cosine similarity."""
    place: Tensor
    """Mean place of the match, x and y, -1..1 (as ``grid_sample`` without aligned corners takes it)."""
    scatter: Tensor
    """Standard deviation of that place, in cells of the keys' grid."""


def grid_places(height: int, width: int, device: torch.device) -> Tensor:
    """Centres of a grid's cells: (1, 2, height, width), x and y in -1..1."""
    y = (torch.arange(height, device=device) + 0.5) * 2 / height - 1
    x = (torch.arange(width, device=device) + 0.5) * 2 / width - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None]


def fine_values(lab: Tensor) -> Tensor:
    """What keys bring back: Lab on the keys' grid (N, 3, h, w) -> (N, 7, h, w), see ``FineReference.values``."""
    places = grid_places(lab.shape[-2], lab.shape[-1], lab.device).expand(lab.shape[0], -1, -1, -1)
    squares = lab[:, 1:].square().sum(dim=1, keepdim=True), places.square().sum(dim=1, keepdim=True)
    return torch.cat([lab, squares[0], places, squares[1]], dim=1)


class LocalDetailTransfer(nn.Module):
    """Attention from every target place to the reference's keys, and what it brings back."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.temperature = preset.temperature
        self.routes = preset.routes
        self.routing_block = preset.routing_block

    def forward(self, features: Tensor, reference: FineReference) -> LocalMatch:
        """Fine features (1, D, h, w) -> what matches them."""
        size = (features.shape[-2], features.shape[-1])
        keys, values, clusters = reference.keys, reference.values, reference.clusters
        if clusters is None:
            maps = grid(_rows(attend(tokens(features), keys, values, self.temperature)), size)
        else:
            queries, together = block_tokens(features, self.routing_block), self.routing_block**2
            found = attend_routed(queries, keys, values, clusters, self.routes, self.temperature, together)
            maps = block_grid(_rows(found), size, self.routing_block)
        luminance, ab, square, place, place_square, best = torch.split(maps, [1, 2, 1, 2, 1, 1], dim=1)
        spread = (square - ab.square().sum(dim=1, keepdim=True)).clamp_min(0).sqrt()
        cells = max(reference.places) / 2
        scatter = (place_square - place.square().sum(dim=1, keepdim=True)).clamp_min(0).sqrt() * cells
        return LocalMatch(ab, luminance, spread, best, place, scatter)

    def share_of_pairs(self, features: Tensor, reference: FineReference) -> float:
        """Part of all pairs of target place and key that are looked at, 0..1."""
        if reference.clusters is None:
            return 1.0
        queries = block_tokens(features, self.routing_block)
        return routed_share(queries, reference.clusters, self.routes, self.routing_block**2)


def _rows(found: Attended) -> Tensor:
    """Values and greatest similarity, (Q, V + 1)."""
    return torch.cat([found.values, found.best[:, None]], dim=1)
