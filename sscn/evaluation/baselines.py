"""What the network is compared with: no colour, the reference's colour histogram, and the plain training-free warp.

The warp is written out here and does not share the network's parts, so that it stays as it is while they change.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sscn import colour
from sscn.efficientnet import EfficientNetLite0
from sscn.evaluation.errors import MissingExtra
from sscn.evaluation.pictures8 import Picture8, encode8

Colorize = Callable[[Picture8], Picture8]
"""Target (H, W, 3), of which only the luminance may be looked at -> colorized copy (H, W, 3)."""

WARP_BLOCKS = ((2, 1.0), (4, 1.0), (10, 1.0), (15, 0.7))
"""Blocks of EfficientNet-Lite0 with their weights."""
WARP_TEMPERATURE = 0.02
HISTOGRAM_METHOD = "hm"
"""Of color-matcher: the histogram of each channel. Its other methods also match covariances, which only adds noise to
a grey picture, whose channels are one; on the film clips this is the best of all."""
_QUERIES_AT_ONCE = 1024


def grey(target: Picture8) -> Picture8:
    """The target's luminance without colour."""
    y = colour.picture_y(target)
    return encode8(y.expand(3, -1, -1))


def histogram_transfer(reference: Picture8) -> Colorize:
    """The grey target is given the reference's distribution of colours; of that, a* and b* are kept.

    Raises:
        MissingExtra: color-matcher is not installed.
    """
    try:
        from color_matcher import ColorMatcher
    except ImportError as error:
        raise MissingExtra("the package color-matcher") from error

    def colorize(target: Picture8) -> Picture8:
        toned = ColorMatcher(src=grey(target), ref=reference, method=HISTOGRAM_METHOD).transfer()
        return _with_chroma(target, colour.lab(np.clip(np.rint(np.real(toned)), 0, 255).astype(np.uint8))[1:])

    return colorize


class TrainingFreeWarp:
    """Dense attention on pretrained features; the reference's a* and b* warped by it, and nothing else."""

    def __init__(self, encoder: EfficientNetLite0, size: int, device: str = "cpu") -> None:
        self._encoder = encoder.to(device)
        self._size = size
        self._device = device

    @torch.inference_mode()
    def __call__(self, reference: Picture8) -> Colorize:
        """Look at the reference once."""
        lab = self._at_working_size(colour.lab(reference))
        features = self._features(lab[:, :1])
        keys = features.flatten(2)[0]
        values = F.adaptive_avg_pool2d(lab[:, 1:], (features.shape[-2], features.shape[-1])).flatten(2)[0].T

        @torch.inference_mode()
        def colorize(target: Picture8) -> Picture8:
            y = colour.picture_y(target)
            features = self._features(self._at_working_size(colour.lightness(y)))
            queries = features.flatten(2)[0].T
            warped = [
                torch.softmax(part @ keys / WARP_TEMPERATURE, dim=1) @ values
                for part in torch.split(queries, _QUERIES_AT_ONCE)
            ]
            ab = torch.cat(warped).T.reshape(1, 2, *features.shape[-2:]).cpu()
            full = F.interpolate(ab, target.shape[:2], mode="bilinear", align_corners=False)
            return _with_chroma(target, full[0])

        return colorize

    def _at_working_size(self, maps: Tensor) -> Tensor:
        """(C, H, W) -> (1, C, h, w) with a long side of at most ``size``."""
        height, width = maps.shape[-2:]
        scale = min(1.0, self._size / max(height, width))
        small = (max(32, round(height * scale)), max(32, round(width * scale)))
        resized = F.interpolate(maps[None], small, mode="bilinear", align_corners=False, antialias=True)
        return resized.to(self._device)

    def _features(self, luminance: Tensor) -> Tensor:
        """L* (1, 1, H, W) -> (1, D, H / 4, W / 4), unit length at every place."""
        maps = self._encoder.features(luminance, [number for number, _ in WARP_BLOCKS])
        grid = maps[WARP_BLOCKS[0][0]].shape[-2:]
        joined = []
        for number, weight in WARP_BLOCKS:
            centred = maps[number] - maps[number].mean(dim=(2, 3), keepdim=True)
            unit = F.normalize(centred, dim=1)
            joined.append(weight * F.interpolate(unit, grid, mode="bilinear", align_corners=False))
        return F.normalize(torch.cat(joined, dim=1), dim=1)


def _with_chroma(target: Picture8, ab: Tensor) -> Picture8:
    """The target's own luminance with a*, b* (2, H, W)."""
    return encode8(colour.colour_with_luminance(colour.picture_y(target), ab))
