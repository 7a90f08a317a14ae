"""Linear maps from raw features to short codes, fitted once and shipped."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from retrieval.errors import RetrievalError

_WEIGHTS = Path(__file__).resolve().parent / "weights"
WHITENING_PATH = _WEIGHTS / "whitening.safetensors"
"""The maps of whole pictures, for `retrieval.embedding`."""
WHITENING_SHA256 = "568fc25765b08a4d180af6ca08a6445b8936e291659cc9e04346a4416cccaf4d"
PARTS_PATH = _WEIGHTS / "parts.safetensors"
"""The maps of the places of pictures, for `retrieval.parts`."""
PARTS_SHA256 = "d8fa1917d5b129c2db88e82e437b3384ea3427d6098444e8279ab64892678231"
"""Of the shipped files; one that differs is refused."""


@dataclass(frozen=True, slots=True)
class Whitening:
    """Raw features (N, D) less ``mean`` (D,), times ``projection`` (D, d)."""

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) -> (N, d)."""
        # Row by row: the sums of a matrix product depend on how many rows there are, search results must not.
        return np.stack([(row - self.mean) @ self.projection for row in features])

    def project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same in one product, for features (N, D) whose number never varies."""
        return np.asarray((features - self.mean) @ self.projection, np.float32)


def load_whitening(path: Path, sha256: str) -> tuple[Whitening, Whitening]:
    """The maps in a shipped file, of the VGG's features and of the semantic network's.

    Raises:
        RetrievalError: the file is missing, damaged, or not the one of this version.
    """
    remedy = "reinstall archive-colorizer"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RetrievalError(f"{path}: the embedding's weights cannot be read ({error.strerror}); {remedy}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
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
