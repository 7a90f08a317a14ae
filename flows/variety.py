"""Variety: an album whose pictures do not all hang on one reference.

Of the candidates that are nearly as good as the best, the one is taken that the pictures of the same folder before this
one, in the order of their paths, have used least. What was done in earlier runs counts as if it was done now, so that a
run that was cut off goes on as it would have gone on.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from storage.paths import text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Match


class Variety:
    """Takes references in turn, folder by folder; to be asked in the order of paths.

    Args:
        share: candidates whose score is lower than the best one's by no more than this part of it, 0..1, may be taken.
        threshold: a reference with a lower match confidence is never taken for one with a higher.
        finished: reference ids by path of the items that are done already.
    """

    def __init__(self, share: float, threshold: float, finished: Mapping[str, int]) -> None:
        self._share = share
        self._threshold = threshold
        self._used: defaultdict[PurePosixPath, Counter[int]] = defaultdict(Counter)
        self._finished: defaultdict[PurePosixPath, deque[tuple[str, int]]] = defaultdict(deque)
        for path in sorted(finished):
            self._finished[_folder(path)].append((path, finished[path]))

    def take(self, path: str, matches: "Sequence[Match]") -> "Match":
        """Which of an item's candidates, best first, is taken."""
        best = matches[0]
        usable = [match for match in matches if match.score >= (1 - self._share) * best.score]
        usable = [match for match in usable if match is best or match.confidence >= self._threshold]
        used = self._used_before(path)
        return min(usable, key=lambda match: (used[match.reference.id], match.rank))

    def count(self, path: str, reference_id: int) -> None:
        """An item uses this reference."""
        self._used_before(path)[reference_id] += 1

    def _used_before(self, path: str) -> Counter[int]:
        """How often each reference is used by the items of the folder before this one."""
        folder = _folder(path)
        used, finished = self._used[folder], self._finished[folder]
        while finished and finished[0][0] < path:
            used[finished.popleft()[1]] += 1
        return used


def _folder(path: str) -> PurePosixPath:
    return PurePosixPath(text_to_path(path)).parent
