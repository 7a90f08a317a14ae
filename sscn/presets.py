"""Presets: every number that shapes the network's answer, by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Knobs of one network. Changing any of them changes pixels."""

    name: str
    fine_blocks: tuple[tuple[int, float], ...]
    """Encoder blocks whose outputs, joined at 1/4 of the input, are the matching features; with their weights."""
    match_channels: int
    """Numbers a place of the fine grid is matched by."""
    coarse_blocks: tuple[tuple[int, float], ...]
    """Encoder blocks of the semantic level, joined at 1/16."""
    temperature: float
    """Softmax temperature of the fine attention (paper: 0.01; measured best here: 0.02)."""
    coarse_temperature: float
    """Softmax temperature of the global style: high, so that it is calm."""
    cluster_size: int
    """Keys in a cluster of the reference's keys, on average (sparse attention)."""
    routes: int
    """Clusters that one target position attends to: routes / clusters of all pairs are computed."""
    routing_block: int
    """Side, in places of the fine grid, of the squares of a target that are routed together."""
    style_channels: int
    """Numbers in the style code (paper: 64)."""
    fusion_channels: tuple[int, int, int, int]
    """Widths of the fusion decoder at 1/4, 1/8, 1/16 and 1/2."""
    style_strength: float
    """How much of the global style's chroma is used where the match is not trusted."""
    highlight_softness: float
    """How much doubtful chroma pales on a place brighter than where it comes from: 0 not at all, 1 with the room to
    white. Of the fine match so much times what its confidence lacks to 1, of the style half of it everywhere."""
    calm_extent: float
    """Radius, as a part of the long side, of the neighbourhood whose trusted colours calm the untrusted ones."""
    calm_epsilon: float
    """Guided filter of the calm colours: luminance variance (L* / 100 squared) that counts as plain ground."""
    trusted: float
    """Confidence from which the match's colour is taken as it is."""
    plausible: float
    """Confidence below which the style fades towards grey: no evidence, no colour."""
    edge_radius: int
    """Guided filter: window radius in pixels at half the working size."""
    edge_epsilon: float
    """Guided filter: luminance variance (L* / 100 squared) that counts as plain ground."""


@dataclass(frozen=True)
class PaperPreset:
    """The published network has its shape in its layers; these are ours around it."""

    name: str
    edge_radius: int
    """As in ``Preset``."""
    edge_epsilon: float
    """As in ``Preset``."""


DEFAULT = Preset(
    name="default",
    fine_blocks=((0, 0.6), (2, 1.0), (4, 1.0), (10, 1.0), (15, 0.7)),
    match_channels=96,
    coarse_blocks=((10, 1.0), (15, 0.7)),
    temperature=0.02,
    coarse_temperature=0.05,
    cluster_size=128,
    routes=4,
    routing_block=2,
    style_channels=64,
    fusion_channels=(32, 64, 96, 24),
    style_strength=0.7,
    highlight_softness=0.7,
    calm_extent=1 / 12,
    calm_epsilon=1e-3,
    trusted=0.9,
    plausible=0.3,
    edge_radius=2,
    edge_epsilon=1e-3,
)
PAPER = PaperPreset(name="paper", edge_radius=2, edge_epsilon=1e-3)
