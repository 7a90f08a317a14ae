"""The Semantic-Sparse Colorization Network: grey picture + colour reference -> colour picture."""

from sscn.colorized import ColorizedPicture
from sscn.colorizer import ColorizationResult, Colorizer
from sscn.errors import SscnError
from sscn.pretrained import EncodedReference
from sscn.rgb_space import SRGB, RgbSpace

__all__ = [
    "SRGB",
    "ColorizationResult",
    "ColorizedPicture",
    "Colorizer",
    "EncodedReference",
    "RgbSpace",
    "SscnError",
]
