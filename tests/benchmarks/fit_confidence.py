"""Fit the match confidence's logistic model on pairs whose true colours are known, and print its coefficients.

    python -m tests.benchmarks.fit_confidence FOLDER_OF_COLOUR_PHOTOGRAPHS

Pairs: each photograph's two halves, each photograph with the semantically nearest other one, every second one with an
unrelated one, and every second one with a copy of itself turned and cropped a little, as a camera moves. "Right" is a
chroma within 12 units of the true (a*, b*). The kinds weigh 35, 30, 10 and 25 parts. What it prints is what
`sscn.confidence` holds. The film clips of the benchmarks are no part of it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sscn import colour
from sscn.efficientnet import load_efficientnet
from sscn.network import SSCN
from sscn.presets import preset

RIGHT_WITHIN = 12.0
LONG_SIDE = 384
PLACES = 1000
WEIGHTS = {"half": 0.35, "near": 0.30, "unrelated": 0.10, "moved": 0.25}
CENTRES = torch.tensor([0.6, 0.45, 0.6, 0.6, 0.6])
"""The statistics' centres, as in `sscn.confidence`."""

Pair = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]


def pairs(folder: Path, network: SSCN) -> Iterator[Pair]:
    """(kind, target, reference), both colour pictures."""
    photographs = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((512, 512))
        photographs.append(np.asarray(picture))
    heads = []
    for photograph in photographs:
        luminance = torch.from_numpy(colour.luminance(photograph))[None, None]
        heads.append(network.extract.encoder.head(F.interpolate(luminance, (224, 224), mode="area"))[0])
    vectors = torch.stack(heads)
    vectors = F.normalize(vectors - vectors.mean(dim=0), dim=1)
    likeness = (vectors @ vectors.T).fill_diagonal_(-1)
    for number, photograph in enumerate(photographs):
        axis = 1 if photograph.shape[1] >= photograph.shape[0] else 0
        first, second = np.array_split(photograph, 2, axis=axis)
        yield ("half", first, second) if number % 2 else ("half", second, first)
        yield "near", photograph, photographs[int(likeness[number].argmax())]
        if number % 2 == 0:
            yield "unrelated", photograph, photographs[(number * 7 + 5) % len(photographs)]
        else:
            yield "moved", photograph, _moved(photograph)


def _moved(photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turned by 3 degrees and cropped to the middle nine tenths."""
    turned = Image.fromarray(photograph).rotate(3, Image.Resampling.BICUBIC)
    x, y = turned.width // 20, turned.height // 20
    return np.asarray(turned.crop((x, y, turned.width - x, turned.height - y)))


def statistics(network: SSCN, target: NDArray[np.uint8], reference: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """The five statistics (PLACES, 5), centred and scaled, and whether the match is right (PLACES,)."""
    lab = _lab(target)
    encoded = network.encode_reference(_lab(reference))
    features = network.extract(lab[:, :1])
    truth = F.adaptive_avg_pool2d(lab, features.fine.shape[-2:])
    fine, spread, best = network.local_detail(features.fine, truth[:, :1], encoded)
    style, style_best = network.global_style(features.coarse, truth[:, :1], encoded)
    disagreement, chroma = (fine - style).norm(dim=1, keepdim=True), fine.norm(dim=1, keepdim=True)
    rows = torch.cat([best, style_best, spread / 10, disagreement / 10, chroma / 20], dim=1).flatten(2)[0].T - CENTRES
    right = ((fine - truth[:, 1:]).norm(dim=1) < RIGHT_WITHIN).flatten().float()
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:PLACES]
    return rows[chosen], right[chosen]


def _lab(picture: NDArray[np.uint8]) -> Tensor:
    lab = colour.lab(picture)[None]
    scale = min(1.0, LONG_SIDE / max(lab.shape[-2:]))
    size = [round(side * scale) for side in lab.shape[-2:]]
    return F.interpolate(lab, size, mode="bilinear", antialias=True)


@torch.no_grad()
def collect(folder: Path) -> tuple[list[str], Tensor, Tensor]:
    """Kinds, statistics (P, PLACES, 5) and outcomes (P, PLACES) of all pairs."""
    network = SSCN(preset("default"), "sparse", load_efficientnet()).eval()
    kinds, rows, right = [], [], []
    for kind, target, reference in pairs(folder, network):
        some, outcome = statistics(network, target, reference)
        kinds.append(kind)
        rows.append(some)
        right.append(outcome)
    return kinds, torch.stack(rows), torch.stack(right)


def main() -> None:
    """Collect, fit by maximum likelihood, print."""
    kinds, rows, right = collect(Path(sys.argv[1]))
    weights = torch.tensor([WEIGHTS[kind] / kinds.count(kind) for kind in kinds])
    coefficients = torch.zeros(6, requires_grad=True)
    optimiser = torch.optim.LBFGS([coefficients], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logit = coefficients[0] + rows @ coefficients[1:]
        value = (F.binary_cross_entropy_with_logits(logit, right, reduction="none").mean(dim=1) * weights).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[arg-type]
    print("constant, best, coarse best, spread, disagreement, chroma:")
    print(", ".join(f"{value:.2f}" for value in coefficients.tolist()))
    fitted = torch.sigmoid(coefficients[0] + rows @ coefficients[1:]).detach()
    for kind in WEIGHTS:
        mine = torch.tensor([one == kind for one in kinds])
        print(f"{kind}: {int(mine.sum())} pairs, fitted {fitted[mine].mean():.2f}, right {right[mine].mean():.2f}")


if __name__ == "__main__":
    main()
