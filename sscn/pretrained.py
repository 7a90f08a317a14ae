"""Networks with their weights."""

from pathlib import Path

from sscn.efficientnet import load_efficientnet
from sscn.errors import SscnError
from sscn.local_detail import Attention, Keys
from sscn.network import SSCN, DefaultReference
from sscn.paper import PaperReference, PaperSSCN
from sscn.presets import DEFAULT, PAPER
from sscn.weights import combined_sha256, file_sha256, load_learned, read_shipped, read_user_weights, weights_sha256

Network = SSCN | PaperSSCN
EncodedReference = DefaultReference | PaperReference
"""Everything of a reference that does not depend on the target; computed once, used for every image or frame."""
_SHIPPED = "sscn_default"
"""The learned parts of preset ``default``; ``paper`` is for those who train it."""


def make_network(name: str, attention: Attention = "sparse", keys: Keys = "routed") -> Network:
    """A preset's network, its own parts untrained.

    Args:
        name: ``default`` or ``paper``.
        attention: ``sparse`` or ``dense``.
        keys: of the default's sparse attention: ``routed``, or ``cam`` for the paper's choice.

    Raises:
        SscnError: unknown preset, attention or keys.
    """
    if attention not in ("sparse", "dense"):
        raise SscnError(f"there is no attention called {attention}; choose sparse or dense")
    if keys not in ("routed", "cam"):
        raise SscnError(f"there are no keys called {keys}; choose routed or cam")
    if name == DEFAULT.name:
        return SSCN(DEFAULT, attention, load_efficientnet(), keys)
    if name == PAPER.name:
        return PaperSSCN(attention)
    raise SscnError(f"there is no preset called {name}; choose {DEFAULT.name} or {PAPER.name}")


def load_network(
    name: str = "default", *, attention: Attention = "sparse", keys: Keys = "routed", weights: Path | None = None
) -> tuple[Network, str]:
    """A preset's network in evaluation mode on the CPU, and the sha256 that identifies its weights.

    Args:
        name: the preset.
        attention: as ``make_network``.
        keys: as ``make_network``.
        weights: what ``archive-colorizer train`` wrote; None for the shipped weights.

    Raises:
        SscnError: as ``make_network``; weights missing, damaged or of another network.
    """
    network = make_network(name, attention, keys)
    if weights is not None:
        load_learned(network, read_user_weights(weights), str(weights))
        own = file_sha256(weights)
    elif name == DEFAULT.name:
        load_learned(network, read_shipped(_SHIPPED), "the shipped weights")
        own = weights_sha256(_SHIPPED)
    else:
        raise SscnError(f"preset {name} is shipped without weights; train it and name the weights file")
    digests = [weights_sha256("efficientnet_lite0"), own] if name == DEFAULT.name else [own]
    return network.eval(), combined_sha256(digests)
