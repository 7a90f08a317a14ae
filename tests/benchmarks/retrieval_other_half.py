"""How well the other half of the same scene is found from an aged print of the one.

    python tests/benchmarks/retrieval_other_half.py FOLDER [--long-side N]

As `archive-colorizer evaluate retrieval`, but every photograph is made grey and the querying halves are faded, blurred,
grainy and unevenly lit, as old prints are. Prints, never asserts.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval import Embedder
from retrieval.evaluation import halves, recall_of_halves
from storage.errors import UnreadableImage
from storage.images import read_master
from storage.walk import FoundFile, walk_archive

Grey = NDArray[np.uint8]


def grey_halves(path: Path, long_side: int) -> tuple[Grey, Grey]:
    """The two halves of a photograph, grey, uint8."""
    pixels = read_master(path).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    image = Image.fromarray(pixels).convert("L")
    image.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    return halves(np.asarray(image))


def degraded(grey: Grey, rng: np.random.Generator) -> Grey:
    """What time does: contrast lost and shifted, sharpness lost, grain, light falling off to the corners."""
    height, width = grey.shape
    image = Image.fromarray(grey)
    if rng.random() < 0.6:
        factor = rng.uniform(1.5, 3)
        size = (max(1, int(width / factor)), max(1, int(height / factor)))
        image = image.resize(size, Image.Resampling.BILINEAR).resize((width, height), Image.Resampling.BILINEAR)
    light = (np.asarray(image, np.float64) / 255) ** rng.uniform(0.7, 1.5)
    light = light * rng.uniform(0.3, 0.6) + rng.uniform(0.15, 0.4)
    light += rng.normal(0, rng.uniform(0, 0.025), light.shape)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light *= 1 - 0.25 * rng.random() * (x**2 + y**2) / 2
    return np.rint(light.clip(0, 1) * 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--long-side", type=int, default=640)
    arguments = parser.parse_args()
    pairs = []
    for entry in walk_archive(arguments.folder):
        if isinstance(entry, FoundFile) and entry.kind != "film":
            try:
                pairs.append(grey_halves(entry.path, arguments.long_side))
            except UnreadableImage as error:
                print(f"left out: {error.message}")
    rng = np.random.default_rng(7)
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    embedder = Embedder.from_pretrained()
    started = time.perf_counter()
    asked = [embedder.describe([degraded(half, rng) for half in side]) for side in (first, second)]
    answers = [embedder.describe(side) for side in (second, first)]
    seconds = time.perf_counter() - started
    for method, found in recall_of_halves(embedder, [*zip(asked, answers, strict=True)]).items():
        print(f"{method:10} {found.queries} queries  recall@1 {found.at_1:.3f}  @5 {found.at_5:.3f}")
    print(f"{4 * len(pairs) / seconds:.1f} pictures/s")


if __name__ == "__main__":
    main()
