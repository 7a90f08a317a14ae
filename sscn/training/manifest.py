"""The list of freely licensed photographs to train on and to hold out: ``photographs.csv`` beside this file.

Columns: ``split`` (train, held-out); ``name`` of the file in the prepared folder; ``package`` (of Debian, or
scikit-image) and the ``version`` it was seen in; ``path`` inside it; ``inside``, where that file is a Qt resource
collection, the path in the collection; ``sha256`` of the photograph as packed; ``licence`` as the package says for it;
``ground``, for a cut-out, the name of the photograph whose blurred copy is laid behind it.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).resolve().parent / "photographs.csv"
SPLITS = ("train", "held-out")


@dataclass(frozen=True)
class Entry:
    """One photograph of the list; see above."""

    split: str
    name: str
    package: str
    version: str
    path: str
    inside: str
    sha256: str
    licence: str
    ground: str

    @property
    def where(self) -> str:
        """Package and path, as people write it."""
        return f"{self.package}: {self.path}" + (f" ({self.inside})" if self.inside else "")


def read_manifest(path: Path = MANIFEST) -> list[Entry]:
    """All entries, in the order of the file."""
    with path.open(newline="", encoding="utf-8") as rows:
        return [Entry(**row) for row in csv.DictReader(rows)]
