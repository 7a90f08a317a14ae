"""Second look at the candidates: a reference helps where its parts match the target's parts.

The embedding sums a picture up; a wooden wall that fills a reference can outvote the sky that the target also has.
Here every place of the target looks for its like in the candidate and the other way round (`retrieval.parts`), and the
distributions of the luminance are compared, since colour is taken over best where it is as light.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.confidence import match_confidence
from retrieval.embedding import Descriptions, Embedder, embedding_version, parts_version
from retrieval.errors import RetrievalError
from retrieval.luminance import Prepared, prepare
from retrieval.near_duplicates import distinct
from retrieval.parts import Parts, agreement, tone_distance
from retrieval.reading import Read
from retrieval.records import Match, Progress, Reference
from storage.database import Database, reference_parts
from storage.errors import StorageError
from storage.images import read_master

CANDIDATES = 200
"""References that the embedding finds, to be compared once more."""
PARTS_WEIGHT, TONE_WEIGHT = 3.0, 0.15
"""Of the parts' agreement and of the distance of tones (0..1), next to the embedding's likeness."""
_RECIPE = f"best of {CANDIDATES} by likeness+{PARTS_WEIGHT:g}parts-{TONE_WEIGHT:g}tones"
_AT_ONCE = 16
"""Parts that are missing, made and recorded together."""


def ranking_version(vgg_weights: Path | None = None) -> str:
    """Names everything that decides which of some references is taken for a picture, without loading networks.

    Raises:
        RetrievalError: the weights cannot be read.
    """
    return f"{_RECIPE}+{parts_version(embedding_version(vgg_weights))}"


def scores(likeness: NDArray[np.float64], target: Parts, references: Parts) -> NDArray[np.float64]:
    """How well references fit a target, 0..1, (N,).

    Args:
        likeness: (N,), inner products of the embeddings, 0..1.
        target: parts (PARTS_BYTES,).
        references: parts (N, PARTS_BYTES).
    """
    score = likeness + PARTS_WEIGHT * agreement(target, references)
    score -= TONE_WEIGHT * tone_distance(target, references) / 100
    return np.asarray((score / (1 + PARTS_WEIGHT)).clip(0, 1))


class Reranker:
    """Orders candidates by how well their parts match the target's.

    Parts are read from the database; those that are not there are made from the reference's picture and recorded.
    """

    def __init__(self, database: Database, embedder: Embedder, read: Read = read_master) -> None:
        self._database = database
        self._embedder = embedder
        self._read = read

    def rerank(self, described: Descriptions, found: Sequence[Sequence[Match]], k: int) -> list[Match]:
        """The k candidates that fit all the targets best, best first; equal scores in the order of ids.

        Several targets (frames of one shot) share their references: the score is the mean over them. Who is no
        candidate of one of them is taken to be as like to it as the last one that is. A candidate without parts whose
        file cannot be read, or is no longer the one that was embedded, is left out.

        Args:
            described: the targets.
            found: the candidates of each, with the embedding's score.
            k: how many.

        Raises:
            RetrievalError: k is less than 1.
        """
        if k < 1:
            raise RetrievalError(f"{k} references cannot be searched for; ask for 1 or more")
        together = {match.reference.id: match.reference for matches in found for match in matches}
        parts = self._parts_of(together)
        ids = np.array(sorted(parts), np.int64)
        if not len(ids):
            return []
        references = np.stack([parts[one] for one in ids.tolist()])
        total = np.zeros(len(ids))
        for target, matches in zip(described.parts, found, strict=True):
            known = {match.reference.id: match.score for match in matches}
            last = min(known.values(), default=0.0)
            likeness = np.array([known.get(one, last) for one in ids.tolist()])
            total += scores(likeness, target, references)
        mean = total / len(found)
        score_of = dict(zip(ids.tolist(), mean.tolist(), strict=True))
        # near-duplicates may come together where each was the best of its group for another target
        best = distinct((together[one] for one in ids[np.lexsort((ids, -mean))].tolist()), k)
        return [
            Match(one, score_of[one.id], rank, match_confidence(score_of[one.id]))
            for rank, one in enumerate(best, start=1)
        ]

    def make_parts(self, wanted: Sequence[Reference], progress: Progress | None = None) -> dict[int, Parts]:
        """Make and record the parts of references from their pictures; those that cannot be read are left out."""
        made: dict[int, Parts] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            squares = {one.id: square for one in some if (square := self._square_of(one)) is not None}
            rows = self._embedder.describe_prepared([*squares.values()]).parts
            new = dict(zip(squares, rows, strict=True))
            reference_parts.record(
                self._database, self._embedder.parts_version, {one: row.tobytes() for one, row in new.items()}
            )
            made |= new
            if progress is not None:
                progress(start + len(some), len(wanted))
        return made

    def _parts_of(self, wanted: Mapping[int, Reference]) -> dict[int, Parts]:
        """The parts of each, (PARTS_BYTES,)."""
        kept = reference_parts.get(self._database, self._embedder.parts_version, wanted.keys())
        known: dict[int, Parts] = {one: np.frombuffer(row, np.int8) for one, row in kept.items()}
        return known | self.make_parts([reference for one, reference in wanted.items() if one not in known])

    def _square_of(self, reference: Reference) -> Prepared | None:
        """A reference's luminance as it is embedded; None if its file cannot be read any more, or is another now."""
        try:
            picture = self._read(reference.path)
        except StorageError:
            return None
        return prepare(picture.preview) if picture.sha256 == reference.sha256 else None
