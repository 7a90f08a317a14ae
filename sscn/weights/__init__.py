"""Shipped weights: where they lie, what they must hash to, and how they are read.

Every file is safetensors in half precision, made by one of the scripts in this folder (see README.md).
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sscn.errors import SscnError

WEIGHTS_FOLDER = Path(__file__).resolve().parent

WEIGHTS_SHA256: Mapping[str, str] = {
    "efficientnet_lite0": "8df5c16367dfcb5a157d16430e27ee27b8d489a8f0e2eda006dcb55e17ffae4f",
    "sscn_default": "7b4700dee06512358101e429fb8c1d8b233590e607c2d02e9ac5bd6115572998",
    "vgg16_hed": "35adda96474cee1f8a7bb2d2d4e5ec64cf4959db548babdf81b4d8d79c194fa7",
}
"""sha256 of each shipped file, by name; a file that differs is refused."""


def weights_path(name: str) -> Path:
    """Path of the shipped file ``name`` (a key of ``WEIGHTS_SHA256``)."""
    return WEIGHTS_FOLDER / f"{name}.safetensors"


def weights_sha256(*names: str) -> str:
    """Hex digest that identifies the shipped weights ``names`` together, in that order.

    One name gives the file's own sha256; several give the sha256 over their digests.
    """
    return combined_sha256([WEIGHTS_SHA256[name] for name in names])


def combined_sha256(digests: Sequence[str]) -> str:
    """One digest as it is; of several, the sha256 over them."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_shipped(name: str) -> dict[str, Tensor]:
    """Read the shipped weights ``name`` as float32 tensors.

    Raises:
        SscnError: the file is missing, damaged, or not the one this version was made with.
    """
    path = weights_path(name)
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise SscnError(
            f"{path}: the weights cannot be read ({error.strerror}); reinstall archive-colorizer"
        ) from error
    if digest != WEIGHTS_SHA256[name]:
        raise SscnError(f"{path}: the weights are damaged (sha256 differs); reinstall archive-colorizer")
    return {key: value.float() for key, value in load_file(path).items()}


def read_user_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict of the user's: safetensors, or a PyTorch file (loaded with ``weights_only=True``).

    Raises:
        SscnError: the file is missing or holds no state dict of tensors.
    """
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SscnError(f"{path}: there is no such weights file") from error
    except (OSError, RuntimeError, ValueError, SafetensorError, EOFError) as error:
        raise SscnError(f"{path}: this is not a readable weights file") from error
    except Exception as error:  # pickle errors of torch.load share no base class
        raise SscnError(f"{path}: this is not a safe PyTorch weights file (only tensors are accepted)") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise SscnError(f"{path}: this file holds no state dict of tensors")
    return {key: value.float() for key, value in state.items()}


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load ``state`` into ``module``; every key and shape must agree.

    Raises:
        SscnError: keys are missing or unexpected, or a shape differs; ``source`` is named in the message.
    """
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise SscnError(f"{source}: the weights do not fit the network ({detail[:300]})") from error


def learned_state(network: nn.Module) -> dict[str, Tensor]:
    """The parts of a network's state that are its own: all but the pretrained encoder."""
    return {key: value for key, value in network.state_dict().items() if ".encoder." not in f".{key}"}


def load_learned(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load ``state`` into the network's own parts; every key and shape must agree.

    Raises:
        SscnError: as ``load_strictly``.
    """
    whole = network.state_dict()
    own = learned_state(network)
    load_strictly(network, {**{k: v for k, v in whole.items() if k not in own}, **state}, source)
