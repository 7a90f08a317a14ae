"""VGG-16 with the side layers of the Holistically-Nested Edge Detector.

Layers after Simonyan & Zisserman (arXiv 1409.1556), configuration D without the classifier; side layers after
Xie & Tu, "Holistically-Nested Edge Detection" (ICCV 2015): one 1x1 convolution a stage, fused by a sixth.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sscn.errors import SscnError
from sscn.weights import load_strictly, read_shipped, read_user_weights

STAGES: tuple[tuple[int, ...], ...] = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)
"""Output channels of each convolution, stage by stage; a 2x2 max pooling lies between stages."""

_HED_MEAN = (123.68, 116.779, 103.939)
_TORCHVISION_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_TORCHVISION_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


class VGG16(nn.Module):
    """The thirteen convolutions of VGG-16 and, optionally, HED's edge layers; looks at luminance only."""

    input_mean: Tensor
    input_std: Tensor

    def __init__(self, edge_layers: bool = True) -> None:
        super().__init__()
        channels = 3
        self.convs = nn.ModuleDict()
        for stage, widths in enumerate(STAGES, start=1):
            for position, width in enumerate(widths, start=1):
                self.convs[f"conv{stage}_{position}"] = nn.Conv2d(channels, width, 3, padding=1)
                channels = width
        self.sides = nn.ModuleList([nn.Conv2d(widths[-1], 1, 1) for widths in STAGES]) if edge_layers else None
        self.fuse = nn.Conv2d(len(STAGES), 1, 1) if edge_layers else None
        self.register_buffer("input_mean", torch.tensor(_HED_MEAN))
        self.register_buffer("input_std", torch.ones(3))

    def normalise(self, luminance: Tensor) -> Tensor:
        """L* (N, 1, H, W) in 0..100 -> network input (N, 3, H, W), RGB in 0..255 less the training mean."""
        rgb = (luminance * 2.55).expand(-1, 3, -1, -1)
        return (rgb - self.input_mean.view(1, 3, 1, 1)) / self.input_std.view(1, 3, 1, 1)

    def features(self, luminance: Tensor, layers: Sequence[str] = ("relu3_3", "relu4_3")) -> dict[str, Tensor]:
        """Activations after the named layers.

        Args:
            luminance: L* (N, 1, H, W), 0..100.
            layers: names ``reluS_P``, stage S in 1..5 and position P.

        Returns:
            name -> (N, C, h, w), h and w being H and W divided by 2 ** (S - 1), rounded up.

        Raises:
            SscnError: a layer is unknown.
        """
        wanted = set(layers)
        if unknown := wanted - {name.replace("conv", "relu") for name in self.convs}:
            raise SscnError(f"VGG-16 has no layer {', '.join(sorted(unknown))}")
        found: dict[str, Tensor] = {}
        x = self.normalise(luminance)
        for name, conv in self.convs.items():
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = F.relu(conv(x))
            relu = name.replace("conv", "relu")
            if relu in wanted:
                found[relu] = x
                if len(found) == len(wanted):
                    break
        return found

    def edges(self, luminance: Tensor) -> Tensor:
        """HED's fused edge probability.

        Args:
            luminance: L* (N, 1, H, W), 0..100.

        Returns:
            (N, 1, H, W), 0..1.

        Raises:
            SscnError: these weights have no edge layers (a plain VGG-16 was loaded).
        """
        if self.sides is None or self.fuse is None:
            raise SscnError("these VGG-16 weights have no edge layers; use the shipped ones for edge maps")
        last = [f"relu{stage}_{len(widths)}" for stage, widths in enumerate(STAGES, start=1)]
        stages = self.features(luminance, last)
        size = luminance.shape[-2:]
        maps = [
            F.interpolate(side(stages[name]), size, mode="bilinear", align_corners=False)
            for side, name in zip(self.sides, last, strict=True)
        ]
        return torch.sigmoid(self.fuse(torch.cat(maps, dim=1)))


def load_vgg(path: Path | None = None, device: str = "cpu") -> VGG16:
    """The VGG-16 to use: the shipped one (with edge layers), or the user's.

    Args:
        path: a torchvision-format VGG-16 state dict (``features.N.weight`` ...; a classifier in it is not used),
            safetensors or PyTorch file; None for the shipped weights.
        device: where to put it.

    Returns:
        The network in evaluation mode, its parameters frozen.

    Raises:
        SscnError: the file cannot be read or does not fit.
    """
    if path is None:
        vgg = VGG16()
        load_strictly(vgg, read_shipped("vgg16_hed"), "the shipped VGG-16")
    else:
        vgg = VGG16(edge_layers=False)
        load_strictly(vgg, _from_torchvision(read_user_weights(path), vgg), str(path))
    return vgg.to(device).eval().requires_grad_(False)


def _from_torchvision(state: Mapping[str, Tensor], vgg: VGG16) -> dict[str, Tensor]:
    """Rename a torchvision state dict; the n-th convolution there is the n-th here."""
    indices = sorted({int(m[1]) for key in state if (m := re.fullmatch(r"features\.(\d+)\.weight", key))})
    names = dict(zip(indices, vgg.convs, strict=False))
    renamed: dict[str, Tensor] = {
        "input_mean": torch.tensor(_TORCHVISION_MEAN),
        "input_std": torch.tensor(_TORCHVISION_STD),
    }
    for key, value in state.items():
        if key.startswith("classifier."):
            continue
        match = re.fullmatch(r"features\.(\d+)\.(weight|bias)", key)
        name = names.get(int(match[1])) if match else None
        renamed[f"convs.{name}.{match[2]}" if match and name else key] = value
    return renamed
