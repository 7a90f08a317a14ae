"""How networks are run: at which size, and with which arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F


@contextmanager
def exact() -> Iterator[None]:
    """Full float32 and the same algorithm every time, on CUDA too (cuDNN would take TF32 by default)."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def reducing_factor(height: int, width: int, size: int) -> int:
    """Side of the blocks of pixels in which a huge picture's light is averaged first: near twice the working size."""
    return max(1, max(height, width) // (2 * size))


def working_size(height: int, width: int, size: int, least: int) -> tuple[int, int]:
    """A picture's shape with a long side of at most ``size``, no side under ``least``: height and width."""
    scale = min(1.0, size / max(height, width))
    return max(least, round(height * scale)), max(least, round(width * scale))


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinear, averaged where it gets smaller."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size, mode="bilinear", align_corners=False, antialias=True)
