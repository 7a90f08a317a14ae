"""How steady the colours of a shot are: of the true film, frame by frame, and steadied."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sscn.colorizer import Colorizer
from sscn.evaluation import metrics, temporal
from sscn.evaluation.pictures8 import Picture8
from sscn.film import ColorizedFrame
from sscn.video import RED_AND_BLUE, SampleCoding

_CODING = SampleCoding(8, True, "bt709")
BEST_PSNR = 100.0
"""dB: equal pictures count as this, so that means stay finite."""


@dataclass(frozen=True)
class Steadiness:
    """Figures of one way to colour a shot."""

    flicker: float | None
    """Mean absolute change of a* and b* where the true film holds still; None if it never does."""
    cdc: float
    """Colour distribution consistency in nats."""
    psnr: float | None
    """dB, mean over the frames but the first; None for the truth itself."""
    ciede2000: float | None
    """Likewise."""


@dataclass(frozen=True)
class SteadinessFigures:
    """The same shot in three ways."""

    truth: Steadiness
    frame_by_frame: Steadiness
    steady: Steadiness


def steadiness(
    colorizer: Colorizer, frames: Sequence[Picture8], reference: Picture8 | None = None
) -> SteadinessFigures:
    """Colorize a shot's luma, steadied and not, and measure.

    Args:
        colorizer: of any preset.
        frames: consecutive frames of one shot in colour, sRGB (H, W, 3), more than 4.
        reference: what they are coloured after; the first frame if None.

    Raises:
        SscnError: frames of different sizes.
    """
    encoded = colorizer.encode_reference(frames[0] if reference is None else reference)
    lumas = [_luma(frame) for frame in frames]
    truth = [metrics.to_lab(frame) for frame in frames]
    measured = []
    for steady in (False, True):
        done = colorizer.film(encoded, _CODING, across=1, down=1, steady=steady).colorize(lumas)
        pictures = [_picture(luma, frame) for luma, frame in zip(lumas, done, strict=True)]
        labs = [metrics.to_lab(picture) for picture in pictures]
        later = list(zip(pictures, frames, labs, truth, strict=True))[1:]
        measured.append(
            Steadiness(
                flicker=temporal.flicker(labs, truth),
                cdc=temporal.cdc(pictures),
                psnr=math.fsum(min(metrics.psnr(one, true), BEST_PSNR) for one, true, _, _ in later) / len(later),
                ciede2000=math.fsum(metrics.colour_difference(a, b).mean() for _, _, a, b in later) / len(later),
            )
        )
    own = Steadiness(temporal.flicker(truth, truth), temporal.cdc(frames), None, None)
    return SteadinessFigures(own, *measured)


def _luma(picture: Picture8) -> NDArray[np.uint8]:
    red, blue = RED_AND_BLUE[_CODING.matrix]
    luma: NDArray[np.uint8] = (picture @ np.array([red, 1 - red - blue, blue]) + 0.5).astype(np.uint8)
    return luma


def _picture(luma: NDArray[np.uint8], frame: ColorizedFrame) -> Picture8:
    """sRGB of full-size planes."""
    of_red, of_blue = RED_AND_BLUE[_CODING.matrix]
    red = luma + 2 * (1 - of_red) * (frame.chroma_red.astype(np.float64) - 128)
    blue = luma + 2 * (1 - of_blue) * (frame.chroma_blue.astype(np.float64) - 128)
    green = (luma - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    picture: Picture8 = (np.stack([red, green, blue], -1) + 0.5).clip(0, 255).astype(np.uint8)
    return picture
