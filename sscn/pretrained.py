"""Networks with their weights."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sscn.efficientnet import load_efficientnet
from sscn.errors import SscnError
from sscn.local_detail import Attention, Keys
from sscn.network import SSCN
from sscn.presets import preset
from sscn.weights import combined_sha256, file_sha256, load_learned, read_shipped, read_user_weights, weights_sha256

LEARNED: Mapping[str, str] = MappingProxyType({"default": "sscn_default"})
"""Preset -> the shipped file of its learned parts."""


def load_network(
    name: str = "default", *, attention: Attention = "sparse", keys: Keys = "routed", weights: Path | None = None
) -> tuple[SSCN, str]:
    """A preset's network in evaluation mode on the CPU, and the sha256 that identifies its weights.

    Args:
        name: the preset.
        attention: ``sparse`` or ``dense``.
        keys: of sparse attention: ``routed``, or ``cam`` for the paper's choice.
        weights: what ``archive-colorizer train`` wrote; None for the shipped weights.

    Raises:
        SscnError: unknown preset, attention or keys; weights missing, damaged or of another network.
    """
    settings = preset(name)
    if attention not in ("sparse", "dense"):
        raise SscnError(f"there is no attention called {attention}; choose sparse or dense")
    if keys not in ("routed", "cam"):
        raise SscnError(f"there are no keys called {keys}; choose routed or cam")
    network = SSCN(settings, attention, load_efficientnet(), keys)
    if weights is None:
        load_learned(network, read_shipped(LEARNED[name]), "the shipped weights")
        digest = weights_sha256("efficientnet_lite0", LEARNED[name])
    else:
        load_learned(network, read_user_weights(weights), str(weights))
        digest = combined_sha256([weights_sha256("efficientnet_lite0"), file_sha256(weights)])
    return network.eval(), digest
