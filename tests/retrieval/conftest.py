"""Real photographs, small, and one embedder for the whole room."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from retrieval import Embedder, ReferenceLibrary
from retrieval.embedding import Descriptions
from retrieval.luminance import Prepared
from storage.database import Database, open_database

PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "retina.jpg",
)
_LONG_SIDE = 300


class CountingEmbedder(Embedder):
    """The real embedder, counting the pictures it is given; what it has seen in an earlier test it remembers."""

    embedded = 0

    def describe_prepared(self, prepared: Sequence[Prepared]) -> Descriptions:
        self.embedded += len(prepared)
        seen: dict[bytes, Descriptions] = self.__dict__.setdefault("seen", {})
        for one in prepared:
            if one.tobytes() not in seen:
                seen[one.tobytes()] = super().describe_prepared([one])
        if not prepared:
            return super().describe_prepared([])
        found = [seen[one.tobytes()] for one in prepared]
        vectors, parts = [one.vectors for one in found], [one.parts for one in found]
        return Descriptions(np.concatenate(vectors), np.concatenate(parts))


@pytest.fixture(scope="session")
def real_embedder() -> Embedder:
    return Embedder.from_pretrained()


@pytest.fixture(scope="session")
def counting_embedder() -> CountingEmbedder:
    embedder = CountingEmbedder.from_pretrained()
    assert isinstance(embedder, CountingEmbedder)
    return embedder


@pytest.fixture
def embedder(counting_embedder: CountingEmbedder) -> CountingEmbedder:
    counting_embedder.embedded = 0
    return counting_embedder


@pytest.fixture(scope="session")
def photographs() -> dict[str, Image.Image]:
    """Colour photographs of scikit-image by name, at most 300 pixels long."""
    folder = Path(skimage.data.__file__).parent
    found = {}
    for name in PHOTOGRAPHS:
        with Image.open(folder / name) as image:
            photograph = image.convert("RGB")
        photograph.thumbnail((_LONG_SIDE, _LONG_SIDE), Image.Resampling.LANCZOS)
        found[Path(name).stem] = photograph
    return found


@pytest.fixture
def pictures(tmp_path: Path, photographs: dict[str, Image.Image]) -> Path:
    """A folder with the photographs as PNG files, one of them in a subfolder (its name is not ASCII)."""
    folder = tmp_path / "pictures"
    (folder / "Außer Haus").mkdir(parents=True)
    for name, photograph in photographs.items():
        photograph.save((folder / "Außer Haus" if name == "rocket" else folder) / f"{name}.png")
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path / 'provenance.db'}") as opened:
        yield opened


@pytest.fixture
def library(database: Database, embedder: CountingEmbedder, tmp_path: Path, pictures: Path) -> ReferenceLibrary:
    """An empty library on a run's own database, its root the folder of pictures."""
    return ReferenceLibrary(database, tmp_path / "index", embedder, library_root=pictures)
