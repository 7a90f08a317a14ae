"""Which photograph of a training set shows most nearly the same kind of thing."""

import torch
from torch.nn import functional as F

from sscn import colour
from sscn.efficientnet import EfficientNetLite0
from sscn.training.photographs import Photographs

_SIDE = 224
"""Pixels at which the encoder's classifier was trained."""


@torch.inference_mode()
def nearest_photographs(photographs: Photographs, encoder: EfficientNetLite0) -> list[int] | None:
    """For each photograph the number of the other one whose luminance the encoder finds most alike; None if there is
    no other one."""
    if len(photographs) < 2:
        return None
    device = next(encoder.parameters()).device
    vectors = []
    for number in range(len(photographs)):
        luminance = torch.from_numpy(colour.luminance(photographs[number]))[None, None].to(device)
        vectors.append(encoder.head(F.interpolate(luminance, (_SIDE, _SIDE), mode="area"))[0])
    stacked = torch.stack(vectors)
    unit = F.normalize(stacked - stacked.mean(dim=0), dim=1)
    nearest: list[int] = (unit @ unit.T).fill_diagonal_(-2).argmax(dim=1).tolist()
    return nearest
