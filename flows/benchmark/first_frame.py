"""First-frame film test: how much of a film's colour does its first frame bring back to later ones?

Three public clips at 384 pixels width; frames 5, 20, 45 and 80 are made grey and colorized with frame 0 as reference.
"""

from dataclasses import dataclass
from typing import Literal

from flows.benchmark.extra import needing_extra


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """Mean over the frames, against the true colours."""

    clip: str
    psnr_grey: float
    """dB, RGB 0..255, of the frames left grey."""
    psnr: float
    """dB, of the colorized frames."""
    confidence: float


def measure_first_frame(attention: Literal["sparse", "dense"], device: str, size: int) -> list[ClipFigures]:
    """Colorize the clips' frames.

    Raises:
        EnvironmentProblem: a package of the extra `benchmark` is not installed.
        SscnError: ffmpeg cannot read the clips.
    """
    from sscn import Colorizer, colour

    with needing_extra():
        from sscn.evaluation import film
        from sscn.evaluation.metrics import psnr
    colorizer = Colorizer.from_pretrained("default", device=device, attention=attention, size=size)
    figures = []
    for clip in film.CLIPS:
        frames = film.read_frames(clip, [film.REFERENCE_FRAME, *film.LATER_FRAMES])
        first, later = frames[film.REFERENCE_FRAME], [frames[number] for number in film.LATER_FRAMES]
        reference = colorizer.encode_reference(first)
        results = colorizer.colorize_batch(later, reference)  # of a colour frame only its luminance is looked at
        grey = [colour.encode(colour.picture_y(frame).expand(3, -1, -1), frame.dtype) for frame in later]
        figures.append(
            ClipFigures(
                clip=clip,
                psnr_grey=_mean([psnr(one, frame) for one, frame in zip(grey, later, strict=True)]),
                psnr=_mean([psnr(one.rgb, frame) for one, frame in zip(results, later, strict=True)]),
                confidence=_mean([one.mean_confidence for one in results]),
            )
        )
    return figures


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
