"""How well the embedding finds the other half of the same scene, and how fast it is.

    python tests/benchmarks/retrieval_other_half.py FOLDER [--degraded] [--long-side N]

Every photograph in the folder is made grey and cut in two across its long side. Two tests: each first half
among all second halves (N candidates), and each half among all other halves (2 N - 1 candidates, much
harder). With ``--degraded`` the querying halves are faded, blurred, grainy and unevenly lit, as old prints
are. Prints, never asserts; photographs that the whitening was fitted on would flatter it.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval import Embedder
from retrieval.luminance import prepare
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
    grey = np.asarray(image)
    height, width = grey.shape
    if width >= height:
        return grey[:, : width // 2], grey[:, width // 2 :]
    return grey[: height // 2], grey[height // 2 :]


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


def recall(scores: NDArray[np.float32], target: NDArray[np.intp]) -> str:
    """Recall@1 and @5 of a score matrix, each row's right answer at ``target``; a tie counts against."""
    right = scores[np.arange(len(scores)), target]
    rank = (scores >= right[:, None]).sum(axis=1)
    return f"recall@1 {np.mean(rank <= 1):.3f}  @5 {np.mean(rank <= 5):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--degraded", action="store_true")
    parser.add_argument("--long-side", type=int, default=640)
    arguments = parser.parse_args()
    halves = []
    for entry in walk_archive(arguments.folder):
        if isinstance(entry, FoundFile) and entry.kind != "film":
            try:
                halves.append(grey_halves(entry.path, arguments.long_side))
            except UnreadableImage as error:
                print(f"left out: {error.message}")
    rng = np.random.default_rng(7)
    queries = [degraded(first, rng) if arguments.degraded else first for first, _ in halves]
    started = time.perf_counter()
    prepared = [prepare(half) for half in (*queries, *(second for _, second in halves))]
    prepared_at = time.perf_counter()
    embedder = Embedder.from_pretrained()
    loaded_at = time.perf_counter()
    vectors = embedder.embed_prepared(prepared)
    ended = time.perf_counter()
    count = len(halves)
    among_halves = vectors[:count] @ vectors[count:].T
    among_all = vectors @ vectors.T
    np.fill_diagonal(among_all, -1)
    print(f"{embedder.version}, {embedder.dimension} dimensions, {count} scenes")
    print(f"among the {count} other halves:   {recall(among_halves, np.arange(count))}")
    other = np.concatenate([np.arange(count, 2 * count), np.arange(count)])
    print(f"among all {2 * count - 1} other halves: {recall(among_all, other)}")
    seconds = ended - loaded_at
    print(f"loading the networks {loaded_at - prepared_at:.1f} s")
    print(f"embedding {2 * count / seconds:.1f} pictures/s ({seconds:.1f} s)")
    print(f"preparing {2 * count / (prepared_at - started):.0f} pictures/s")


if __name__ == "__main__":
    main()
