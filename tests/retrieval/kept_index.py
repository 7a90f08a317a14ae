"""What the tests of the index keeper have in common: names with vectors of their own, recorded and looked for."""

from pathlib import Path

import numpy as np

from retrieval.index import IndexKeeper, IndexPlan
from storage.database import Database, references
from storage.database.records import ReferenceRecord
from storage.fixity import sha256_bytes

LIBRARY = "/pictures"
DIMENSION = 32
PLAN = IndexPlan(flat_up_to=200, sample=50)


def vector_of(name: str) -> np.ndarray:
    """A unit vector that belongs to this name."""
    made = np.random.default_rng(list(name.encode())).normal(size=DIMENSION).astype(np.float32)
    return made / np.linalg.norm(made)


def record(name: str, version: str = "model", library: str = LIBRARY) -> ReferenceRecord:
    return ReferenceRecord(
        library=library,
        path=name,
        sha256=sha256_bytes(name.encode()),
        width=1,
        height=1,
        embedding_version=version,
        embedding=vector_of(name),
    )


def add(database: Database, *names: str) -> dict[str, int]:
    return references.upsert(database, [record(name) for name in names])


def names_of(first: int, last: int) -> list[str]:
    return [f"{number}.jpg" for number in range(first, last)]


def check(keeper: IndexKeeper, expected: dict[str, int]) -> None:
    """Each of these is found by its own vector, and nothing else is there."""
    assert len(keeper.index) == len(expected)
    hits = keeper.index.search(np.stack([vector_of(name) for name in expected]), 1)
    assert [one.ids.tolist() for one in hits] == [[id_] for id_ in expected.values()]
    (everything,) = keeper.index.search(vector_of("anything")[None], len(expected) + 10)
    assert sorted(everything.ids.tolist()) == sorted(expected.values())


def opened(database: Database, folder: Path, version: str = "model", library: str = LIBRARY) -> IndexKeeper:
    return IndexKeeper(database, library, folder, version, DIMENSION, PLAN)
