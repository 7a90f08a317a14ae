"""Raw features of a picture's luminance: channel means of two networks, before they are whitened."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from retrieval.luminance import Prepared
from sscn.efficientnet import EfficientNetLite0
from sscn.vgg import VGG16

VGG_LAYERS = ("relu3_3", "relu4_3")
SEMANTIC_BLOCKS = (4, 10)
VGG_SIDE = 128
"""The VGG sees the picture at this size: at 224 it takes three times as long."""
_CUDA_BATCH = 32


class Networks:
    """The VGG (what a picture looks like) and EfficientNet-Lite0 (what is in it), on one device."""

    def __init__(self, vgg: VGG16, semantic: EfficientNetLite0) -> None:
        self._vgg = vgg
        self.semantic = semantic
        self._device = next(vgg.parameters()).device

    def features(self, prepared: Sequence[Prepared]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What is whitened: (N, 768) of the VGG and (N, 1432) of the semantic network."""
        # One by one on the CPU: as fast as in batches there, and no sum depends on the neighbours. On a GPU a
        # last short batch is filled up, so that the same kernels run.
        step = _CUDA_BATCH if self._device.type == "cuda" else 1
        looks, meanings = [], []
        for start in range(0, len(prepared), step):
            some = np.stack(prepared[start : start + step])
            count = len(some)
            filled = np.concatenate([some, np.zeros((step - count, *some.shape[1:]), np.float32)])
            look, meaning = self._forward(torch.from_numpy(filled[:, None]).to(self._device))
            looks.append(look[:count].cpu().numpy())
            meanings.append(meaning[:count].cpu().numpy())
        return np.concatenate(looks), np.concatenate(meanings)

    @torch.inference_mode()
    def _forward(self, luminance: Tensor) -> tuple[Tensor, Tensor]:
        """L* (N, 1, H, W) -> rooted channel means (N, 768) and (N, 1432)."""
        size = (VGG_SIDE, VGG_SIDE)
        small = F.interpolate(luminance, size, mode="bilinear", antialias=True, align_corners=False)
        maps = self._vgg.features(small, VGG_LAYERS)
        look = torch.cat([maps[layer].mean(dim=(2, 3)) for layer in VGG_LAYERS], dim=1)
        last = len(self.semantic.blocks) - 1
        found = self.semantic.features(luminance, (*SEMANTIC_BLOCKS, last))
        head = F.relu6(self.semantic.head_conv(found[last])).mean(dim=(2, 3))
        middle = [found[block].mean(dim=(2, 3)) for block in SEMANTIC_BLOCKS]
        return look.sqrt(), _signed_root(torch.cat([*middle, head], dim=1))


def _signed_root(x: Tensor) -> Tensor:
    return x.sign() * x.abs().sqrt()
