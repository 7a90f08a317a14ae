"""The embedding of a picture's luminance: what it looks like (VGG) beside what is in it (EfficientNet-Lite0).

Both networks' activations are averaged over the picture, rooted (which evens out strong and weak channels),
whitened by maps that were fitted once (`retrieval/weights`), made unit length, weighted and joined. Targets
and references go the same way, so their inner product says how alike they are whatever colour the reference
has.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import RetrievalError
from retrieval.features import VGG_SIDE, Networks
from retrieval.luminance import Picture, Prepared, prepare, recipe
from retrieval.parts import PARTS_BYTES, RECIPE, Parts, PartsCoder
from retrieval.whitening import (
    PARTS_PATH,
    PARTS_SHA256,
    WHITENING_PATH,
    WHITENING_SHA256,
    Whitening,
    load_whitening,
)
from sscn.efficientnet import load_efficientnet
from sscn.errors import SscnError
from sscn.vgg import load_vgg
from sscn.weights import weights_sha256

SEMANTIC_WEIGHT = 1.5
"""The semantic part's share next to the VGG's, as a factor on its unit vector."""


@dataclass(frozen=True, slots=True)
class Descriptions:
    """All that a search needs to know of N pictures."""

    vectors: NDArray[np.float32]
    """(N, d), unit length: what each picture is found by."""
    parts: Parts
    """(N, PARTS_BYTES): what its places look like, to compare what was found (`retrieval.parts`)."""


class Embedder:
    """Turns pictures into unit vectors (d,) float32 and parts; the same picture gives the same in any batch.

    ``version`` names everything that goes into a vector, ``parts_version`` into parts; those of different versions
    cannot be compared. With VGG weights of the user's own the shipped maps do not fit: whitening is then left out of
    that half of the vector, which is longer, and the parts come from the semantic network alone.
    """

    def __init__(
        self,
        networks: Networks,
        whitening: tuple[Whitening, Whitening],
        parts: tuple[Whitening, Whitening],
        version: str,
        own_vgg: bool,
    ) -> None:
        self._networks = networks
        self._vgg_map, self._semantic_map = whitening
        self._coder = PartsCoder(parts, own_vgg)
        self._own_vgg = own_vgg
        self.version = version
        self.parts_version = parts_version(version)
        self.look_dimension = len(self._vgg_map.mean) if own_vgg else int(self._vgg_map.projection.shape[1])
        """Length of the VGG's part of a vector, which comes first."""
        self.dimension = self.look_dimension + int(self._semantic_map.projection.shape[1])

    @property
    def networks(self) -> Networks:
        """The networks themselves."""
        return self._networks

    @classmethod
    def from_pretrained(cls, device: str = "cpu", vgg_weights: Path | None = None) -> "Embedder":
        """The embedder with the shipped weights, or with a VGG-16 of the user's own (torchvision format).

        Raises:
            RetrievalError: weights are missing, damaged or do not fit.
        """
        try:
            vgg = load_vgg(vgg_weights, device)
            semantic = load_efficientnet(device)
        except SscnError as error:
            raise RetrievalError(str(error)) from error
        version = embedding_version(vgg_weights)
        whitening = load_whitening(WHITENING_PATH, WHITENING_SHA256)
        parts = load_whitening(PARTS_PATH, PARTS_SHA256)
        return cls(Networks(vgg, semantic), whitening, parts, version, vgg_weights is not None)

    def describe(self, pictures: Sequence[Picture]) -> Descriptions:
        """Vectors and parts of pictures: PIL images or ndarrays (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded.

        Raises:
            RetrievalError: one of them is no such picture.
        """
        return self.describe_prepared([prepare(picture) for picture in pictures])

    def embed(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """The vectors alone, (N, d)."""
        return self.describe(pictures).vectors

    def describe_prepared(self, prepared: Sequence[Prepared]) -> Descriptions:
        """Vectors and parts of what `retrieval.luminance.prepare` made of pictures."""
        if not prepared:
            return Descriptions(np.zeros((0, self.dimension), np.float32), np.zeros((0, PARTS_BYTES), np.int8))
        found = self._networks.features(prepared)
        looks = found.looks
        look = _unit(looks - looks.mean(axis=1, keepdims=True)) if self._own_vgg else _unit(self._vgg_map.apply(looks))
        meaning = _unit(self._semantic_map.apply(found.meanings))
        vectors = _unit(np.concatenate([look, SEMANTIC_WEIGHT * meaning], axis=1))
        return Descriptions(vectors, self._coder.code(found, prepared))


def embedding_version(vgg_weights: Path | None = None) -> str:
    """`Embedder.version` of the embedder with these weights, without loading its networks.

    Raises:
        RetrievalError: the weights cannot be read.
    """
    try:
        vgg_sha256 = weights_sha256("vgg16_hed") if vgg_weights is None else _sha256(vgg_weights)
        semantic_sha256 = weights_sha256("efficientnet_lite0")
    except SscnError as error:
        raise RetrievalError(str(error)) from error
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise RetrievalError(f"the weights {vgg_weights} cannot be read ({reason}); check the file") from error
    parts = (
        f"vgg16-{vgg_sha256[:8]}@{VGG_SIDE}",
        f"efficientnet-lite0-{semantic_sha256[:8]}x{SEMANTIC_WEIGHT:g}",
        f"whitening-{WHITENING_SHA256[:8]}",
        recipe(),
    )
    return "+".join(parts)


def parts_version(version: str) -> str:
    """Of the parts made beside vectors of this version: they come from the same networks and the same luminance."""
    return f"{RECIPE}+{version}"


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
