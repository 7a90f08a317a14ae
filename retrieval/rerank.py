"""Second look at the candidates: a reference helps where its parts match the target's parts.

The embedding sums a picture up; a wooden wall that fills a reference can outvote the sky that the target also has.
Here every place of the target looks for its like in the candidate and the other way round, on the semantic level of
the colorization network's own matching features. The two answers are averaged with the embedding's score.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from retrieval.luminance import Picture, prepare
from retrieval.records import Match, Reference
from sscn.efficientnet import EfficientNetLite0
from sscn.matching import semantic_features, tokens
from sscn.presets import DEFAULT
from storage.errors import StorageError
from storage.images import read_master


class PartsReranker:
    """Orders candidates by how well their parts match the target's; remembers the references it has seen.

    Args:
        encoder: the semantic network, on any device.
        remembered: references whose features are kept, some 340 kB each.
    """

    def __init__(self, encoder: EfficientNetLite0, remembered: int = 256) -> None:
        self._device = next(encoder.parameters()).device
        self._encoder = encoder
        self._remembered = remembered
        self._parts: OrderedDict[str, Tensor] = OrderedDict()

    def rerank(self, picture: Picture, matches: Sequence[Match]) -> list[Match]:
        """The candidates, best first: the score is the mean of the embedding's and the parts', 0..1.

        A candidate whose file cannot be read, or is no longer the one that was embedded, is left out.

        Args:
            picture: the target (see ``retrieval.luminance.prepare``).
            matches: candidates as ``ReferenceLibrary.search_vectors`` found them.

        Raises:
            RetrievalError: ``picture`` is no picture.
        """
        target = self._features(picture)
        scored = []
        for match in matches:
            parts = self._reference_parts(match.reference)
            if parts is not None:
                scored.append((match, (match.score + self._agreement(target, parts)) / 2))
        scored.sort(key=lambda pair: (-pair[1], pair[0].rank))
        return [Match(match.reference, score, rank) for rank, (match, score) in enumerate(scored, start=1)]

    @torch.inference_mode()
    def _agreement(self, target: Tensor, parts: Tensor) -> float:
        """Mean best cosine of the target's places in the reference and of the reference's in the target, 0..1."""
        similarity = target @ parts.T
        mean = (similarity.amax(dim=1).mean() + similarity.amax(dim=0).mean()) / 2
        return min(max(float(mean), 0.0), 1.0)

    def _reference_parts(self, reference: Reference) -> Tensor | None:
        """The reference's features; None if its file cannot be read any more, or is another now."""
        if reference.sha256 not in self._parts:
            try:
                picture = read_master(reference.path)
            except StorageError:
                return None
            if picture.sha256 != reference.sha256:
                return None
            self._parts[reference.sha256] = self._features(picture.pixels)
            while len(self._parts) > self._remembered:
                self._parts.popitem(last=False)
        self._parts.move_to_end(reference.sha256)
        return self._parts[reference.sha256]

    @torch.inference_mode()
    def _features(self, picture: Picture) -> Tensor:
        """(196, 432): unit-length semantic features of a 14 x 14 grid over the whole picture."""
        luminance = torch.from_numpy(prepare(picture))[None, None].to(self._device)
        return tokens(semantic_features(self._encoder, luminance, DEFAULT.coarse_blocks))
