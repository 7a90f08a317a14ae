"""Fit the direction that tells negatives from positives on folders of photographs and write it as safetensors.

    python -m retrieval.weights.fit_content OUTPUT FOLDER_OR_FILE ...

Every photograph is seen three times, as it is and twice with ageing of its own (`sscn.training.damage`), and each time
its inverse beside it. A logistic regression without a constant separates the differences of what the networks see,
scaled so that a share of FALSE_ALARMS of the positives scores 1 or more as a negative when a fit on other photographs
judges it. Prints the sha256 for `retrieval/content.py`.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from retrieval.content import description
from retrieval.features import Networks
from retrieval.luminance import Prepared, prepare
from retrieval.weights.fit_whitening import files_of
from sscn.efficientnet import load_efficientnet
from sscn.training.damage import damaged
from sscn.vgg import load_vgg
from storage.errors import UnreadableImage
from storage.images import read_master

FOLDS = 5
PENALTY = 0.01
FALSE_ALARMS = 0.002
"""Share of the positives that may count as negatives, judged by a fit on other photographs."""
_VIEWS = 3
_LEAST_SPAN = 8.0


def views(prepared: Prepared, seed: int) -> list[Prepared]:
    """A photograph as it is, aged, and aged with another gradation; stretched like any prepared picture."""
    random = np.random.default_rng(seed)
    found = [prepared]
    for number in range(1, _VIEWS):
        aged = damaged(torch.from_numpy(prepared.copy())[None], random)[0].numpy()
        if number > 1:
            aged = 100 * (1 - (1 - aged.clip(0, 100) / 100) ** float(np.exp(random.uniform(-0.5, 0.5))))
        low, high = np.percentile(aged, (1, 99))
        found.append(np.clip((aged - low) * (100 / max(high - low, _LEAST_SPAN)), 0, 100).astype(np.float32))
    return found


def fit(differences: NDArray[np.float32]) -> NDArray[np.float64]:
    """Positive less inverse (N, D) -> the direction (D,) along which the former are positive."""
    scale = np.abs(differences).mean(axis=0) + 1e-4
    rows = torch.from_numpy(differences / scale).double()
    weights = torch.zeros(rows.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.softplus(-(rows @ weights)).mean() + PENALTY * (weights @ weights)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return np.asarray(weights.detach().numpy() / scale)


def unseen_scores(differences: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores (N,) of all rows, each by a fit on other photographs; rows of one photograph follow each other."""
    fold = np.arange(len(differences)) // _VIEWS % FOLDS
    scores = np.zeros(len(differences))
    for number in range(FOLDS):
        scores[fold == number] = differences[fold == number] @ fit(differences[fold != number])
    return scores


def main(output: Path, paths: list[Path]) -> None:
    """Fit on the photographs and write the direction to ``output``."""
    networks = Networks(load_vgg(), load_efficientnet())
    rows: list[NDArray[np.float32]] = []
    for number, path in enumerate(files_of(paths)):
        try:
            pictures = views(prepare(read_master(path).pixels), number)
        except UnreadableImage as error:
            print(f"left out: {error.message}", file=sys.stderr)
            continue
        seen = description(*networks.meanings(pictures))
        inverse = description(*networks.meanings([100 - picture for picture in pictures]))
        rows.append(seen - inverse)
    differences = np.concatenate(rows)
    scores = np.sort(unseen_scores(differences))
    print(
        "lowest", scores[:10].round(2), "share above each", [float((scores > -s).mean().round(3)) for s in scores[:10]]
    )
    limit = max(1e-6, -float(scores[int(FALSE_ALARMS * len(scores))]))
    found = float((scores > limit).mean())
    direction = (fit(differences) / limit).astype(np.float32)
    data = save({"positive": direction})
    output.write_bytes(data)
    print(f"{len(rows)} photographs; {np.mean(scores > 0):.3f} told from their inverse, {found:.3f} beyond doubt")
    print(f"sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
