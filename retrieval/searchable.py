"""What a run needs of a reference library, whether it is the run's own or a borrowed one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import Descriptions
from retrieval.filters import ReferenceFilter
from retrieval.records import Match, Reference


class SearchableLibrary(Protocol):
    """References that can be searched; each method does what `ReferenceLibrary`'s does."""

    @property
    def index_version(self) -> str: ...

    def __len__(self) -> int: ...

    def allowed(self, where: ReferenceFilter) -> NDArray[np.int64]: ...

    def candidates(self, described: Descriptions, where: ReferenceFilter | None = None) -> Sequence[list[Match]]: ...

    def rerank(self, described: Descriptions, found: Sequence[list[Match]], k: int) -> list[Match]: ...

    def at(self, path: Path) -> Reference | None: ...

    def close(self) -> None: ...
