"""One training step of preset ``default``: a batch of pairs through the network, and its losses."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.alignment import align
from sscn.attention import attend
from sscn.image_transfer import GlobalMatch
from sscn.local_detail import FineReference, LocalMatch, fine_values
from sscn.matching import MatchingFeatures, half_size, resize, tokens
from sscn.network import SSCN
from sscn.training.losses import Losses, answer_losses, matching_losses
from sscn.training.pairs import TrainingPair

QUERIES = 384
"""Places of a target whose matching is trained at each step."""
_WEIGHTS = Losses(*[torch.tensor(weight) for weight in (0.15, 0.5, 0.3, 1.0, 1.0, 1.0, 0.1, 2.0)])


def losses_of(network: SSCN, pair: TrainingPair, generator: torch.Generator, matching: bool = True) -> Losses:
    """All losses of a batch.

    The fusion sees the dense match as it is; gradients of its losses do not flow into the matching features, which
    have losses of their own.

    Args:
        network: in training.
        pair: a batch, every field with a leading N.
        generator: chooses the places whose matching is trained; on the CPU.
        matching: whether the matching learns; else its losses are 0, and so are its gradients.
    """
    with torch.set_grad_enabled(matching and torch.is_grad_enabled()):
        of_target = network.extract(pair.luminance)
        of_reference = network.extract(pair.reference[:, :1])
    size = (of_target.fine.shape[-2], of_target.fine.shape[-1])
    with torch.autocast(pair.truth.device.type, enabled=False):
        if matching:
            place, colour = _matching_losses(network, of_target, of_reference, pair, generator)
        else:  # every parameter has a part in the loss, as DistributedDataParallel expects
            place = colour = sum(
                (0 * weight.sum() for weight in network.extract.fine.parameters()), pair.truth.new_zeros(())
            )
        match, semantic = _matches(network, of_target, of_reference, pair)
        half = half_size(pair.luminance)
        aligned = align(match, resize(pair.reference, half), resize(pair.luminance, half))
    look = network.global_style.encode(of_reference, pair.reference)
    light = resize(pair.luminance, size)
    style = network.global_style(semantic, of_target, light, look)
    fused = network.fuse(of_target, pair.luminance, match, aligned, semantic, style, look.unit)
    answers = answer_losses(fused, style, match, pair)
    parts = (place, colour, *answers)
    return Losses(*[part.float() * weight.to(part.device) for part, weight in zip(parts, _WEIGHTS, strict=True)])


def _matching_losses(
    network: SSCN,
    of_target: MatchingFeatures,
    of_reference: MatchingFeatures,
    pair: TrainingPair,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Losses of the matching at places that ``generator`` chooses."""
    size = (of_target.fine.shape[-2], of_target.fine.shape[-1])
    places = size[0] * size[1]
    chosen = torch.randperm(places, generator=generator)[: min(QUERIES, places)].to(pair.truth.device)
    queries = of_target.fine.float().flatten(2).transpose(1, 2)[:, chosen]
    keys = of_reference.fine.float().flatten(2).transpose(1, 2)
    return matching_losses(queries, keys, chosen, pair, size, network.preset.temperature)


@torch.no_grad()
def _matches(
    network: SSCN, of_target: MatchingFeatures, of_reference: MatchingFeatures, pair: TrainingPair
) -> tuple[LocalMatch, GlobalMatch]:
    """Both stages' matches of every pair of the batch."""
    detail = network.local_detail
    size = (of_target.fine.shape[-2], of_target.fine.shape[-1])
    values = fine_values(resize(pair.reference, size))
    coarse_values = resize(pair.reference, of_reference.coarse.shape[-2:])
    fine, coarse = [], []
    for n in range(pair.luminance.shape[0]):
        keys, kept = tokens(of_reference.fine[n : n + 1].float()), tokens(values[n : n + 1])
        reference = FineReference(keys, kept, clusters=None, picture=pair.reference[n : n + 1], places=size)
        fine.append(detail(of_target.fine[n : n + 1].float(), reference))
        found = attend(
            tokens(of_target.coarse[n : n + 1].float()),
            tokens(of_reference.coarse[n : n + 1].float()),
            tokens(coarse_values[n : n + 1]),
            network.preset.coarse_temperature,
        )
        shape = of_target.coarse.shape[-2:]
        coarse.append(GlobalMatch(found.values.T.reshape(1, 3, *shape), found.best.reshape(1, 1, *shape)))
    return (
        LocalMatch(*[torch.cat(parts) for parts in zip(*fine, strict=True)]),
        GlobalMatch(*[torch.cat(parts) for parts in zip(*coarse, strict=True)]),
    )


@torch.no_grad()
def principal_projection(network: SSCN, luminances: list[Tensor]) -> None:
    """Set the matching projection to the principal components of the encoder's joined maps.

    A random projection would start with matches far worse than the encoder's own; this one starts near them.

    Args:
        network: before training; its projection is overwritten.
        luminances: L* (1, 1, H, W) of some photographs.
    """
    fine = network.extract.fine
    rows = []
    for luminance in luminances:
        maps = network.extract.encode(luminance)
        size = maps[10].shape[-2:]
        rows.append(tokens(torch.cat([resize(maps[n], size) * w for n, w in fine.weights.items()], dim=1)))
    joined = F.normalize(torch.cat(rows), dim=1)
    _, vectors = torch.linalg.eigh(joined.T @ joined / len(joined))
    width = network.preset.match_channels
    components = vectors[:, -width:].flip(1).T
    begin = 0
    for number in fine.weights:
        layer = fine.project[str(number)]
        assert isinstance(layer, nn.Conv2d)
        layer.weight.copy_(components[:, begin : begin + layer.in_channels, None, None])
        begin += layer.in_channels
