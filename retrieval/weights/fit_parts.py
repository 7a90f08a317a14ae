"""Fit the maps of the places of pictures on folders of photographs and write them as safetensors.

    python -m retrieval.weights.fit_parts OUTPUT FOLDER_OR_FILE ...

Only means and linear maps are kept, no picture. Every photograph gives its two halves, and they the places of their
grids. Of either network's features the first principal components are kept and divided by the root of their variance
plus SHRINKAGE times the mean variance. Prints the sha256 for `retrieval/whitening.py`.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from retrieval.evaluation import halves
from retrieval.features import Networks
from retrieval.luminance import Prepared, prepare
from retrieval.parts import SEMANTIC_CODE, VGG_CODE
from retrieval.weights.fit_whitening import files_of
from retrieval.whitening import Whitening
from sscn.efficientnet import load_efficientnet
from sscn.vgg import load_vgg
from storage.errors import UnreadableImage
from storage.images import read_master

SHRINKAGE = 0.1


def fit(places: NDArray[np.float32], dimensions: int) -> Whitening:
    """Features (N, D) of places -> the map that whitens them to (N, dimensions)."""
    x = places.astype(np.float64)
    mean = x.mean(axis=0)
    x -= mean
    variance, directions = np.linalg.eigh(x.T @ x / len(x))
    kept = variance[::-1][:dimensions]
    projection = directions[:, ::-1][:, :dimensions] / np.sqrt(kept + SHRINKAGE * kept.mean())
    return Whitening(mean.astype(np.float32), projection.astype(np.float32))


def main(output: Path, paths: list[Path]) -> None:
    """Fit on the photographs and write the two maps to ``output``."""
    squares: list[Prepared] = []
    for path in files_of(paths):
        try:
            squares += [prepare(half) for half in halves(read_master(path).pixels)]
        except UnreadableImage as error:
            print(f"left out: {error.message}", file=sys.stderr)
    features = Networks(load_vgg(), load_efficientnet()).features(squares)
    arrays: dict[str, NDArray[np.float32]] = {}
    for part, places, dimensions in (
        ("vgg", features.place_looks, VGG_CODE),
        ("semantic", features.place_meanings, SEMANTIC_CODE),
    ):
        map_ = fit(places.reshape(-1, places.shape[2]), dimensions)
        arrays |= {f"{part}.mean": map_.mean, f"{part}.projection": np.ascontiguousarray(map_.projection)}
    data = save(arrays)
    output.write_bytes(data)
    print(f"{len(squares) // 2} photographs, {len(data)} bytes")
    print(f"sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
