"""An evaluation of the retrieval from the command line's point of view: folders in, table rows out."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flows.engine import loading_networks, resolve_device
from flows.errors import EnvironmentProblem, UsageError
from flows.pictures_below import pictures_below
from flows.progress import Progress
from storage.paths import path_to_text

if TYPE_CHECKING:  # torch takes seconds to import
    from retrieval import Embedder
    from retrieval.embedding import Descriptions
    from retrieval.evaluation import Found, Method

LONG_SIDE = 640
"""Pixels; larger photographs are scaled down to it."""
FEWEST = 2
"""Photographs that an evaluation needs: one to find, one to be mistaken for it."""
COLUMNS = ("measure", "method", "queries", "at_1", "at_5", "ciede2000", "confidence", "better")
CONFIDENCE_STEPS = (0.0, 0.35, 0.5, 0.75, 1.0)

Rows = list[dict[str, object]]
Pixels = NDArray[np.uint8]
"""sRGB (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class RetrievalEvaluationSettings:
    """What to evaluate."""

    data: Path
    """Folder of colour photographs, each of another scene."""
    kinds: Path | None
    """Folder of folders, each of one kind of pictures."""
    size: int
    """Long side in pixels at which the network works."""
    limit: int
    """Photographs that are colorized; 0: none."""
    device: str


def evaluate_retrieval(settings: RetrievalEvaluationSettings, progress: Progress) -> Rows:
    """Measure and return the table's rows; `ciede2000` is a mean over pictures, lower is better, `better` the share of
    pictures that come nearer to the truth than grey.

    Raises:
        UsageError: a folder is not there, or has too few usable photographs.
        EnvironmentProblem: a package of the extra `evaluate` is missing, or weights are damaged.
    """
    for folder, option in ((settings.data, "--data"), (settings.kinds, "--kinds")):
        if folder is not None and not folder.is_dir():
            where = path_to_text(folder)
            raise UsageError(f"there is no folder {where}; {option} names a folder of colour photographs")
    measure = _colour_difference() if settings.limit else None  # found out now rather than after the work
    from retrieval import Embedder

    device = resolve_device(settings.device)
    with loading_networks():
        embedder = Embedder.from_pretrained(device=device)
    photographs = _photographs(settings.data)
    if len(photographs) < FEWEST:
        where = path_to_text(settings.data)
        raise UsageError(f"{where} has {len(photographs)} usable colour photographs; --data needs {FEWEST} or more")
    halves = _Halves(photographs, embedder, progress)
    rows = halves.recall()
    if settings.kinds is not None:
        rows += _precision(settings.kinds, embedder, progress)
    if measure is not None:
        rows += halves.colours(measure, settings, device)
    return rows


class _Halves:
    """Photographs cut in two: grey halves ask, coloured ones answer."""

    def __init__(self, photographs: Sequence[tuple[str, Pixels]], embedder: "Embedder", progress: Progress) -> None:
        from retrieval.evaluation import halves

        self._names = [name for name, _ in photographs]
        self._pairs = [halves(pixels) for _, pixels in photographs]
        self._embedder = embedder
        self._progress = progress
        progress.begin(4 * len(photographs), "halves")
        first, second = zip(*self._pairs, strict=True)
        self._first = self._described(_grey(half) for half in first)
        self._second = self._described(_grey(half) for half in second)
        self._first_coloured = self._described(first)
        self._second_coloured = self._described(second)

    def recall(self) -> Rows:
        """How often a half finds the other one."""
        from retrieval.evaluation import recall_of_halves

        ways = ((self._first, self._second_coloured), (self._second, self._first_coloured))
        return _rows("other half", recall_of_halves(self._embedder, ways))

    def colours(
        self,
        difference: "Callable[[Pixels, Pixels], float]",
        settings: RetrievalEvaluationSettings,
        device: str,
    ) -> Rows:
        """Mean CIEDE2000 of first halves: left grey, colorized after what each way of looking finds, after a reference
        taken at random, and after the best of all those tried: the first five found, the random one, the other half.

        Then what the match confidence is worth: of the references tried, by steps of their confidence, its mean and the
        share of those whose colours were nearer to the true ones than grey."""
        from retrieval.confidence import match_confidence
        from retrieval.evaluation import DEPTH, METHODS, ranking
        from sscn import Colorizer

        with loading_networks():
            colorizer = Colorizer.from_pretrained("default", device=device, size=settings.size)
        fits = {way: ranking(self._embedder, way, self._first, self._second_coloured) for way in METHODS}
        count = len(self._pairs)
        chosen = [int(one) for one in np.linspace(0, count - 1, min(settings.limit, count)).round()]
        self._progress.begin(len(chosen), "photographs colorized")
        sums = dict.fromkeys(("grey", *METHODS, "random", "best"), 0.0)
        tries: list[tuple[float, bool]] = []
        for number in chosen:
            ranked = {way: np.argsort(-fits[way][number], kind="stable") for way in METHODS}
            taken: dict[str, int] = {way: int(ranked[way][0]) for way in METHODS}
            taken["random"] = _drawn(self._names[number], number, count)
            tried = {*taken.values(), number, *(int(one) for one in ranked["re-ranked"][:DEPTH])}
            truth = self._pairs[number][0]
            grey = difference(np.stack([_grey(truth)] * 3, axis=-1), truth)
            differences = {}
            for one in sorted(tried):
                result = colorizer.colorize(_grey(truth), colorizer.encode_reference(self._pairs[one][1]))
                differences[one] = difference(np.asarray(result.rgb, np.uint8), truth)
                score = float(fits["re-ranked"][number][one])
                tries += [(match_confidence(score), differences[one] < grey)] if score >= 0 else []  # a candidate
            for way, one in taken.items():
                sums[way] += differences[one]
            sums["grey"] += grey
            sums["best"] += min(differences.values())
            self._progress.advance()
        rows: Rows = [
            {"measure": "colours", "method": way, "queries": len(chosen), "ciede2000": total / len(chosen)}
            for way, total in sums.items()
        ]
        return rows + _reliability(tries)

    def _described(self, pictures: Iterable[Pixels]) -> "Descriptions":
        return _described(self._embedder, pictures, self._progress)


def _reliability(tries: Sequence[tuple[float, bool]]) -> Rows:
    """How often what was tried, with its confidence, was better than grey, by steps of the confidence."""
    rows: Rows = []
    for low, high in pairwise(CONFIDENCE_STEPS):
        within = [one for one in tries if low <= one[0] < high]
        if within:
            confidence, better = (sum(column) / len(within) for column in zip(*within, strict=True))
            rows.append(
                {
                    "measure": "confidence",
                    "method": f"{low:g} to {high:g}",
                    "queries": len(within),
                    "confidence": confidence,
                    "better": better,
                }
            )
    return rows


def _precision(folder: Path, embedder: "Embedder", progress: Progress) -> Rows:
    from retrieval.evaluation import precision_of_kinds

    pictures = [(name.partition("/")[0], pixels) for name, pixels in _photographs(folder) if "/" in name]
    kinds = [kind for kind, _ in pictures]
    if len(set(kinds)) < FEWEST:
        where = path_to_text(folder)
        raise UsageError(f"{where} has pictures of {len(set(kinds))} kinds; --kinds needs a folder for each kind")
    progress.begin(len(pictures), "pictures of kinds")
    described = _described(embedder, (_grey(pixels) for _, pixels in pictures), progress)
    return _rows("same kind", precision_of_kinds(embedder, described, kinds))


def _described(embedder: "Embedder", pictures: Iterable[Pixels], progress: Progress) -> "Descriptions":
    from retrieval.embedding import Descriptions

    found = []
    for picture in pictures:
        found.append(embedder.describe([picture]))
        progress.advance()
    return Descriptions(np.concatenate([one.vectors for one in found]), np.concatenate([one.parts for one in found]))


def _rows(measure: str, found: "dict[Method, Found]") -> Rows:
    return [
        {"measure": measure, "method": way, "queries": one.queries, "at_1": one.at_1, "at_5": one.at_5}
        for way, one in found.items()
    ]


def _photographs(folder: Path) -> list[tuple[str, Pixels]]:
    """Name below the folder and pixels of every picture that has colour; what cannot be read is passed over."""
    from retrieval.colour import has_colour

    found = [(name, _small(one.preview)) for name, one in pictures_below(folder) if has_colour(one.preview)]
    return sorted(found, key=lambda one: one[0])


def _small(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Pixels:
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else np.asarray(pixels, np.uint8)
    image = Image.fromarray(eight)
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _grey(pixels: Pixels) -> Pixels:
    """(H, W)."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def _drawn(name: str, own: int, count: int) -> int:
    """Any of ``count`` numbers but ``own``; chance depends on the photograph's name alone."""
    digest = hashlib.sha256(f"random reference/{name}".encode(errors="surrogateescape")).digest()
    drawn = int(np.random.default_rng(int.from_bytes(digest[:8], "big")).integers(count - 1))
    return drawn + (drawn >= own)


def _colour_difference() -> "Callable[[Pixels, Pixels], float]":
    """Mean CIEDE2000 of two pictures.

    Raises:
        EnvironmentProblem: the extra `evaluate` is not installed.
    """
    try:
        from sscn.evaluation.metrics import colour_difference, to_lab
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(
            f'the package {error.name} is not installed; install it with: pip install "archive-colorizer[evaluate]", '
            "or take --limit 0"
        ) from error

    def difference(picture: Pixels, truth: Pixels) -> float:
        return float(colour_difference(to_lab(picture), to_lab(truth)).mean())

    return difference
