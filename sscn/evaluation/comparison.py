"""The evaluation: every method on every case, and what comes out on average."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sscn.evaluation import film, metrics, temporal
from sscn.evaluation.blotches import blotches
from sscn.evaluation.cases import KINDS, Kind, Pair, pair_count, pairs_of_photograph
from sscn.evaluation.methods import Method
from sscn.evaluation.metrics import Lab
from sscn.evaluation.photographs import PhotographSet
from sscn.evaluation.pictures8 import Picture8

METRICS = (
    "psnr",
    "ssim",
    "ciede2000",
    "intersection",
    "colourfulness",
    "bleed",
    "blotches",
    "cdc",
    "flicker",
)
"""In dB; up to 1; Lab units; 0..1; Hasler & Suesstrunk's; Lab units; Lab units; nats; Lab units a frame."""
TRUTH = "truth"
"""Not a method: what the true colours themselves measure, where that makes sense."""
BEST_PSNR = 100.0
"""dB: equal pictures count as this, so that means stay finite."""

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class CaseFigures:
    """What one method reached on one case."""

    kind: Kind
    variant: str
    name: str
    reference_name: str
    method: str
    figures: Figures


class MeanFigures(NamedTuple):
    """What one method reached on a kind, or on one variant of it."""

    kind: Kind
    variant: str | None
    """None: all variants together."""
    method: str
    pictures: int
    figures: Figures
    """Means over the cases that have the figure; None if none has."""


class Finished(NamedTuple):
    """A pair that every method is through with."""

    pair: Pair
    pictures: Mapping[str, Picture8]
    """By method."""


@dataclass(frozen=True)
class Evaluation:
    """All figures."""

    cases: tuple[CaseFigures, ...]

    def means(self, *, by_variant: bool = False) -> list[MeanFigures]:
        """Figures by kind and method, kinds in the order of ``KINDS``, methods as they came."""
        groups: dict[tuple[Kind, str | None, str], list[Figures]] = {}
        for case in sorted(self.cases, key=lambda case: KINDS.index(case.kind)):
            key = (case.kind, case.variant if by_variant else None, case.method)
            groups.setdefault(key, []).append(case.figures)
        return [MeanFigures(*key, _pictures(group), _mean(group)) for key, group in groups.items()]


def evaluate(
    methods: Sequence[Method],
    photographs: PhotographSet | None = None,
    *,
    limit: int | None = None,
    begin: Callable[[int], None] = lambda _: None,
    finished: Callable[[Finished], None] = lambda _: None,
) -> Evaluation:
    """Colorize every case with every method and measure.

    Args:
        methods: from ``make_methods``.
        photographs: held-out colour photographs; without them only film is looked at.
        limit: at most so many of the photographs are targets, evenly spread.
        begin: told how many pictures there are to colorize.
        finished: told of every picture when all methods are through with it.

    Raises:
        SscnError: a photograph or clip cannot be read, or something is not installed.
    """
    chosen = photographs.spread(limit) if photographs is not None else []
    frames = len({*film.LATER_FRAMES, *film.RUN}) * len(film.CLIPS)
    begin(frames + (len(chosen) * pair_count(photographs) if photographs is not None else 0))
    cases: list[CaseFigures] = []
    for clip in film.CLIPS:
        cases += _evaluate_clip(clip, methods, finished)
    for index in chosen:
        assert photographs is not None
        for pair in pairs_of_photograph(photographs, index):
            pictures = {method.name: method.after(pair.reference)(pair.truth) for method in methods}
            cases += _measure(pair, pictures)
            finished(Finished(pair, pictures))
    return Evaluation(tuple(cases))


def _evaluate_clip(clip: str, methods: Sequence[Method], finished: Callable[[Finished], None]) -> list[CaseFigures]:
    """Later frames after the first one: some for themselves, and a run of consecutive ones for flicker."""
    numbers = sorted({*film.LATER_FRAMES, *film.RUN})
    frames = film.read_frames(clip, [film.REFERENCE_FRAME, *numbers])
    reference = frames[film.REFERENCE_FRAME]
    colorizers = {method.name: method.after(reference) for method in methods}
    runs: dict[str, list[Picture8]] = {name: [] for name in (TRUTH, *colorizers)}
    cases = []
    for number in numbers:
        pair = Pair("film", clip, f"{clip} frame {number}", "its first frame", frames[number], reference)
        pictures = {name: colorize(frames[number]) for name, colorize in colorizers.items()}
        if number in film.LATER_FRAMES:
            cases += _measure(pair, pictures)
        if number in film.RUN:
            for name, picture in ({TRUTH: frames[number]} | pictures).items():
                runs[name].append(picture)
        finished(Finished(pair, pictures))
    span = f"{clip} frames {film.RUN[0]} to {film.RUN[-1]}"
    truth = [metrics.to_lab(frame) for frame in runs[TRUTH]]
    for name, run in runs.items():
        labs = truth if name == TRUTH else [metrics.to_lab(frame) for frame in run]
        figures = {"cdc": temporal.cdc(run), "flicker": temporal.flicker(labs, truth)}
        cases.append(CaseFigures("film", clip, span, "its first frame", name, figures))
    return cases


def _measure(pair: Pair, pictures: Mapping[str, Picture8]) -> list[CaseFigures]:
    truth, reference = metrics.to_lab(pair.truth), metrics.to_lab(pair.reference)
    beside_edges = metrics.beside_chroma_edges(truth)
    measured: dict[str, Figures] = {TRUTH: _own_figures(pair.truth, truth, reference)}
    for name, picture in pictures.items():
        lab = metrics.to_lab(picture)
        difference = metrics.colour_difference(lab, truth)
        measured[name] = {
            "psnr": min(metrics.psnr(picture, pair.truth), BEST_PSNR),
            "ssim": metrics.ssim(picture, pair.truth),
            "ciede2000": float(difference.mean()),
            "bleed": metrics.bleed(difference, beside_edges),
            **_own_figures(picture, lab, reference),
        }
    return [
        CaseFigures(pair.kind, pair.variant, pair.name, pair.reference_name, name, figures)
        for name, figures in measured.items()
    ]


def _own_figures(picture: Picture8, lab: Lab, reference: Lab) -> Figures:
    """What needs no truth to compare with."""
    return {
        "intersection": metrics.histogram_intersection(lab, reference),
        "colourfulness": metrics.colourfulness(picture),
        "blotches": blotches(lab),
    }


def _pictures(group: Sequence[Figures]) -> int:
    return sum("colourfulness" in figures for figures in group)  # a run of frames is no further picture


def _mean(group: Sequence[Figures]) -> Figures:
    means: dict[str, float | None] = {}
    for name in METRICS:
        values = [value for figures in group if (value := figures.get(name)) is not None]
        means[name] = sum(values) / len(values) if values else None
    return means
