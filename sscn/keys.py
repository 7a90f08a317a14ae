"""Which positions of a reference serve as keys, as the paper chooses them: half of them the strongest of its class
activation map, half at random.

Class activation maps after Zhou et al., "Learning Deep Features for Discriminative Localization" (CVPR 2016): a
classifier behind an average over all positions is as well applied to each position, and says where its class is.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from sscn.efficientnet import EfficientNetLite0

KEYS = 512
"""Keys of a reference (paper)."""


def cam_keys(activation: Tensor, grid: tuple[int, int], count: int = KEYS, seed: int = 0) -> Tensor:
    """Positions of the reference that serve as keys; the same ones every time.

    Args:
        activation: class activation map (h, w) of any size and range.
        grid: height and width of the grid the keys are taken from.
        count: how many; all positions where the grid has no more.
        seed: of the random half.

    Returns:
        int64 (count,) positions row * width + column, none twice: first the strongest positions of the map, enlarged
        to the grid (half of ``count``, rounded up), strongest first; then random others.
    """
    size = grid[0] * grid[1]
    if count >= size:
        return torch.arange(size, device=activation.device)
    enlarged = F.interpolate(activation.detach()[None, None].float(), grid, mode="bilinear", align_corners=False)
    ranked = enlarged.flatten().argsort(descending=True, stable=True)
    strongest = (count + 1) // 2
    others = ranked[strongest:].sort().values  # by position, so that the seed alone decides which of them
    drawn = torch.randperm(size - strongest, generator=torch.Generator().manual_seed(seed))[: count - strongest]
    return torch.cat([ranked[:strongest], others[drawn.to(others.device)]])


def strongest_class(class_maps: Tensor) -> Tensor:
    """The map (h, w) of the class with the greatest mean, of the maps (C, h, w) of all classes."""
    return class_maps[class_maps.mean(dim=(1, 2)).argmax()]


def class_activation(encoder: EfficientNetLite0, luminance: Tensor) -> Tensor:
    """Where the encoder sees what it takes the picture for; no labels needed.

    Args:
        encoder: with its classifier.
        luminance: L* (1, 1, H, W), 0..100.

    Returns:
        (H / 32, W / 32), sizes rounded up: the logit of the most likely class at each position; its mean is the logit
        of the whole picture.
    """
    last = len(encoder.blocks) - 1
    head = F.relu6(encoder.head_conv(encoder.features(luminance, [last])[last]))
    return strongest_class(encoder.classifier(head[0].permute(1, 2, 0)).permute(2, 0, 1))
