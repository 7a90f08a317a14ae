"""Which references may be found at all: by rights, tags and years, only these, never those. Always exact."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import RetrievalError
from retrieval.files import text_of
from storage.database import Database, reference_metadata, references
from storage.database.records import KnownReference
from storage.fixity import sha256_bytes
from storage.paths import path_to_text


@dataclass(frozen=True, slots=True)
class ReferenceFilter:
    """Conditions on references; all that are given must be met, and what is not known of a picture meets none.

    Attributes:
        rights: any of these texts; case and spaces do not count.
        tags: all of these; case and spaces do not count.
        years: first and last, both included; a picture's years overlap with them.
        only: absolute paths of the pictures that may be found.
        never: absolute paths of pictures that may not, nor may others with the same content.
    """

    rights: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    years: tuple[int, int] | None = None
    only: tuple[Path, ...] | None = None
    never: tuple[Path, ...] = ()

    @property
    def key(self) -> str:
        """Hex digest, the same for the same conditions in another order."""
        lines = [f"rights {one}" for one in sorted({text.casefold() for text in self.rights})]
        lines += [f"tag {one}" for one in sorted({text.casefold() for text in self.tags})]
        lines += [f"years {self.years[0]} {self.years[1]}"] if self.years else []
        lines += ["only"] if self.only is not None else []
        lines += [f"only {one}" for one in sorted({path_to_text(path) for path in self.only or ()})]
        lines += [f"never {one}" for one in sorted({path_to_text(path) for path in self.never})]
        return sha256_bytes("\n".join(lines).encode())


def allowed_ids(database: Database, library: str, root: Path, where: ReferenceFilter) -> NDArray[np.int64]:
    """Ids, rising, of the references in use that meet all conditions.

    Args:
        database: where the references are recorded.
        library: the library, as it is recorded there.
        root: what its recorded paths are relative to.
        where: the conditions.

    Raises:
        RetrievalError: a path of `only` or `never` was never in the library.
    """
    found = reference_metadata.matching(database, library, rights=where.rights, tags=where.tags, years=where.years)
    if where.only is not None:
        known = _known_at(database, library, root, where.only)
        found = np.intersect1d(found, [one.id for one in known])
    if where.never:
        contents = {one.sha256 for one in _known_at(database, library, root, where.never) if one.sha256}
        found = np.setdiff1d(found, references.ids_with_contents(database, library, contents))
    return found.astype(np.int64)


def _known_at(database: Database, library: str, root: Path, paths: tuple[Path, ...]) -> list[KnownReference]:
    texts = {text_of(path, root): path for path in paths}
    known = references.at_paths(database, library, texts, retired=True)
    for text, path in texts.items():
        if text not in known:
            raise RetrievalError(f"{path_to_text(path)} is not in the reference library; check the path in the list")
    return [*known.values()]
