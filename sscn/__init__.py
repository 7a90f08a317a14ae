"""The Semantic-Sparse Colorization Network: grey picture + colour reference -> colour picture."""

from sscn.colorizer import ColorizationResult, Colorizer
from sscn.errors import SscnError
from sscn.pretrained import EncodedReference

__all__ = ["ColorizationResult", "Colorizer", "EncodedReference", "SscnError"]
