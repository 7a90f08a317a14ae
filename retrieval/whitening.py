"""The linear map from raw features to the embedding space, fitted once and shipped."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from retrieval.errors import RetrievalError

WHITENING_PATH = Path(__file__).resolve().parent / "weights" / "whitening.safetensors"
WHITENING_SHA256 = "568fc25765b08a4d180af6ca08a6445b8936e291659cc9e04346a4416cccaf4d"
"""sha256 of the shipped file; a file that differs is refused."""


@dataclass(frozen=True, slots=True)
class Whitening:
    """Raw features (N, D) less ``mean`` (D,), times ``projection`` (D, d)."""

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) -> (N, d)."""
        # Row by row: the sums of a matrix product depend on how many rows there are, search results must not.
        return np.stack([(row - self.mean) @ self.projection for row in features])


def load_whitening(path: Path = WHITENING_PATH) -> tuple[Whitening, Whitening]:
    """The shipped maps, of the VGG's features and of the semantic network's.

    Raises:
        RetrievalError: the file is missing, damaged, or not the one of this version.
    """
    remedy = "reinstall archive-colorizer"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RetrievalError(f"{path}: the embedding's weights cannot be read ({error.strerror}); {remedy}") from error
    if hashlib.sha256(data).hexdigest() != WHITENING_SHA256:
        raise RetrievalError(f"{path}: the embedding's weights are damaged (sha256 differs); {remedy}")
    try:
        arrays = {name: array.astype(np.float32) for name, array in load(data).items()}
        if set(arrays) != {"vgg.mean", "vgg.projection", "semantic.mean", "semantic.projection"}:
            raise RetrievalError(f"{path}: the embedding's weights hold other parts than this version's; {remedy}")
    except SafetensorError as error:
        raise RetrievalError(f"{path}: the embedding's weights are damaged; {remedy}") from error
    return (
        Whitening(arrays["vgg.mean"], arrays["vgg.projection"]),
        Whitening(arrays["semantic.mean"], arrays["semantic.projection"]),
    )
