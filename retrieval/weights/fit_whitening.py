"""Fit the whitening of the embedding on folders of photographs and write it as safetensors.

    python -m retrieval.weights.fit_whitening OUTPUT FOLDER_OR_FILE ...

Only means and a linear map are kept, no picture. Every photograph gives CROPS random crops (its kinds of
content matter more than its size); each crop goes the way that pictures go in `retrieval.embedding`. Per
part: channels are standardised, principal components taken, the first DIMENSIONS kept and divided by the root
of their variance plus SHRINKAGE times the mean variance, because the variances of the last ones are badly
known from few photographs. Prints the sha256 that belongs into `retrieval/whitening.py`.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from retrieval.features import Networks
from retrieval.luminance import prepare
from retrieval.whitening import Whitening
from sscn.efficientnet import load_efficientnet
from sscn.vgg import load_vgg
from storage.errors import UnreadableImage
from storage.images import read_master
from storage.walk import FoundFile, walk_archive

DIMENSIONS = 128
"""Of each part."""
CROPS = 5
SHRINKAGE = 1.0
SEED = 0
_LEAST_DEVIATION = 0.1
_FLATTEST = 4.0
"""Standard deviation of the prepared L* below which a crop is empty sky or wall and left out."""


def fit(features: NDArray[np.float32]) -> Whitening:
    """Features (N, D) -> the map that standardises and whitens them to (N, DIMENSIONS)."""
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    deviation = x.std(axis=0)
    # A channel that hardly ever speaks must not shout when it does.
    deviation = np.maximum(deviation, _LEAST_DEVIATION * np.median(deviation))
    _, singular, directions = np.linalg.svd((x - mean) / deviation, full_matrices=False)
    variance = singular**2 / len(x)
    kept = variance[:DIMENSIONS]
    scale = 1 / np.sqrt(kept + SHRINKAGE * kept.mean())
    projection = directions[:DIMENSIONS].T * scale / deviation[:, None]
    return Whitening(mean.astype(np.float32), projection.astype(np.float32))


def crops(pixels: NDArray[np.uint8] | NDArray[np.uint16], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """CROPS prepared crops of a picture, some mirrored, of 35 to 90 % of its sides and about square."""
    height, width = pixels.shape[:2]
    found = []
    for _ in range(CROPS):
        share, shape = rng.uniform(0.35, 0.9), rng.uniform(0.75, 1.33) ** 0.5
        h, w = int(height * min(1, share / shape)), int(width * min(1, share * shape))
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        square = prepare(pixels[top : top + h, left : left + w])
        if square.std() >= _FLATTEST:
            found.append(square[:, ::-1].copy() if rng.random() < 0.5 else square)
    return found


def files_of(paths: list[Path]) -> list[Path]:
    """The photographs named, and those in the folders named."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [entry.path for entry in walk_archive(path) if isinstance(entry, FoundFile)]
        else:
            found.append(path)
    return found


def main(output: Path, paths: list[Path]) -> None:
    """Fit on the photographs and write the two maps to ``output``."""
    rng = np.random.default_rng(SEED)
    squares: list[NDArray[np.float32]] = []
    used = 0
    for path in files_of(paths):
        try:
            pixels = read_master(path).pixels
        except UnreadableImage as error:
            print(f"left out: {error.message}", file=sys.stderr)
            continue
        squares += crops(pixels, rng)
        used += 1
    found = Networks(load_vgg(), load_efficientnet()).features(squares)
    arrays = {
        f"{part}.{name}": np.ascontiguousarray(array.astype(np.float32))
        for part, features in (("vgg", found.looks), ("semantic", found.meanings))
        for name, array in zip(("mean", "projection"), _arrays(fit(features)), strict=True)
    }
    data = save(arrays)
    output.write_bytes(data)
    print(f"{used} photographs, {len(squares)} crops, {len(data)} bytes")
    print(f"sha256 {hashlib.sha256(data).hexdigest()}")


def _arrays(whitening: Whitening) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return whitening.mean, whitening.projection


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
