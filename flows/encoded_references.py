"""References as the network knows them: each is read and encoded once, the last few are kept."""

from collections import OrderedDict
from typing import TYPE_CHECKING

from flows.failures import ItemFailure
from storage.decoding import Decoder
from storage.images import Master

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Reference
    from sscn import Colorizer, EncodedReference

KEPT = 6  # some 50 MB each at 512 px


class EncodedReferences:
    """The references of one run, read by its decoder."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._encoded: OrderedDict[tuple[int, int], EncodedReference] = OrderedDict()

    def encode(self, reference: "Reference", colorizer: "Colorizer") -> "tuple[EncodedReference, Master | None]":
        """The reference's features for this colorizer, and the picture where it had to be read.

        Raises:
            StorageError: it cannot be read.
            ItemFailure: `reference_changed`.
        """
        key = (reference.id, id(colorizer))
        picture: Master | None = None
        if key not in self._encoded:
            picture = self._decoder.read(reference.path)
            if picture.sha256 != reference.sha256:
                raise ItemFailure(
                    "reference_changed",
                    f"the reference {reference.path} changed while the run was under way; run again",
                )
            self._encoded[key] = colorizer.encode_reference(picture.preview)
            while len(self._encoded) > KEPT:
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(key)
        return self._encoded[key], picture

    def clear(self) -> None:
        """Forget all of them, to give their memory back."""
        self._encoded.clear()
