"""What a scan shows: a grey photograph, or a page of text, nothing, a photograph that has its colours, a negative.

A run leaves out everything but photographs, so whatever is in doubt counts as one: each rule was set so that of grey,
toned and damaged photographs almost none is taken for something else (`retrieval/weights/README.md` has the figures).
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from retrieval.content_features import (
    ColourFeatures,
    PageFeatures,
    SurfaceFeatures,
    colour_features,
    lightness_of,
    page_features,
    reduced,
    small_lab,
    surface_features,
)
from retrieval.errors import RetrievalError
from retrieval.features import GRID, Networks
from retrieval.luminance import prepare
from sscn.pictures import Picture as Pixels

Kind = Literal["photograph", "text", "blank", "colour", "negative"]

CONTENT_PATH = Path(__file__).resolve().parent / "weights" / "content.safetensors"
"""The direction in the networks' features in which positives differ from negatives."""
CONTENT_SHA256 = "8b7c4f80f2aaed0bc1a95c3641c9bde7abb08870f14bee6d7f3568ce7518772f"
_LEAST_SIDE = 48
"""Pixels of the short side below which nothing can be told; such a scan counts as a photograph."""
_DENSEST_LETTERS = 800.0
"""More marks than this (`PageFeatures.glyphs`) are the dots of a printed screen."""
_NEGATIVE_FROM = 0.75
"""Score from which a picture counts as a negative; `fit_content` scales it so that 0.2% of positives reach 1."""
_MASK_HUE, _MASK_CHROMA = (25.0, 85.0), 38.0
"""Hue in degrees and chroma (CIELAB) of the lightest parts of a colour negative: the orange mask of its film."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a scan shows."""

    kind: Kind
    confidence: float
    """0.5..1: how far from the boundary between this kind and the nearest other the scan lies."""
    reason: str | None
    """One clause that says why it is no grey photograph; none if it is one."""


_REASONS: dict[Kind, str] = {
    "text": "the page holds text and no picture",
    "blank": "the page or frame is empty",
    "colour": "the picture has colours already",
    "negative": "the picture is a negative; invert it first",
}


def judge(picture: Pixels, networks: Networks | None = None) -> Content:
    """What a scan shows; in doubt, a photograph.

    Args:
        picture: upright, (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded.
        networks: of the embedding. Without them grey negatives are not looked for, and count as photographs.
    """
    if min(picture.shape[:2]) < _LEAST_SIDE:
        return Content("photograph", 0.5, None)
    small = reduced(picture)
    lightness = lightness_of(small)
    page = page_features(lightness)
    margins: dict[Kind, float] = {
        "blank": blank_margin(surface_features(lightness), page),
        "text": text_margin(page),
    }
    if small.ndim == 3:
        lab = small_lab(small)
        whole, middle = colour_features(lab), colour_features(lab, 0.2)
        colour = colour_margin(whole, middle)
        margins["negative" if has_orange_mask(whole) else "colour"] = colour
    if networks is not None and max(margins.values()) <= 0:
        margins["negative"] = negative_margin(small, networks)
    kind = max(margins, key=lambda each: margins[each])
    margin = margins[kind]
    if margin <= 0:
        return Content("photograph", _confidence(-margin), None)
    return Content(kind, _confidence(margin), _REASONS[kind])


def _confidence(margin: float) -> float:
    return 1 / (1 + math.exp(-min(margin, 50.0)))


def text_margin(page: PageFeatures) -> float:
    """Above 0 for a page of text: marks like letters, in lines, on even paper, and nothing else on it."""
    if page.extent < 0.5 or page.light < 60 or not 15 <= page.glyphs <= _DENSEST_LETTERS:
        return -3.0
    if page.solid > 0.06 or page.picture > 0.15 or page.piece > 0.015:
        return -3.0
    return (
        1.08 * math.log(page.glyphs / 30)
        + 7.4 * page.lines
        + 3.1 * page.rows
        - 16 * page.picture
        - 0.62 * max(0.0, page.uneven - 1)
        - 3.0
    )


def blank_margin(surface: SurfaceFeatures, page: PageFeatures) -> float:
    """Above 0 if there is nothing to see but texture, grain, and a mark or two.

    Bright paper may show more of itself than what is of middling lightness, where faded and foggy photographs lie.
    """
    if surface.specks > 0.015 or page.solid > 0.06 or page.picture > 0.3 or page.glyphs > 15:
        return -3.0
    allowed = 1.2 + 0.75 * min(1.0, max(0.0, surface.level - 66) / 8) + 0.06 * max(0.0, surface.level - 76)
    return 2 * (allowed - surface.medium - 0.2 * surface.coarse)


def colour_margin(whole: ColourFeatures, middle: ColourFeatures) -> float:
    """Above 0 for a picture in colours: several hues that no toning explains, in the middle as well.

    Stains, uneven yellowing and mounts stray to one hue, charts and mounts lie at the edge.
    """
    minor, major = (whole.minor + middle.minor) / 2, min(whole.major, middle.major)
    return min(2 * math.log(max(minor * major, 1e-3) / 4), 5 * (minor - 0.6))


def has_orange_mask(whole: ColourFeatures) -> bool:
    """Whether the lightest parts are as orange as the film of colour negatives."""
    return whole.chroma >= _MASK_CHROMA and _MASK_HUE[0] <= whole.hue <= _MASK_HUE[1]


def negative_margin(picture: Pixels, networks: Networks) -> float:
    """Above 0 for a negative: to the networks its inverse looks like a photograph, and the picture does not.

    Raises:
        RetrievalError: the weights are missing or damaged.
    """
    prepared = prepare(picture)
    seen, inverse = description(*networks.meanings([prepared, 100 - prepared]))
    return float((inverse - seen) @ load_direction()) - _NEGATIVE_FROM


def description(meanings: NDArray[np.float32], place_meanings: NDArray[np.float32]) -> NDArray[np.float32]:
    """What tells positives from negatives (N, D): the meanings of the whole picture and of each row of its places.

    Args:
        meanings, place_meanings: of ``Networks.meanings``.
    """
    rows = place_meanings.reshape(len(place_meanings), GRID, GRID, -1).mean(axis=2)
    return np.concatenate([meanings, rows.reshape(len(rows), -1)], axis=1)


def load_direction(path: Path = CONTENT_PATH, sha256: str = CONTENT_SHA256) -> NDArray[np.float32]:
    """The shipped direction (D,).

    Raises:
        RetrievalError: the file is missing, damaged, or not the one of this version.
    """
    remedy = "reinstall archive-colorizer"
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise RetrievalError(f"{path}: the weights that tell negatives are damaged (sha256 differs); {remedy}")
        return np.asarray(load(data)["positive"], np.float32)
    except OSError as error:
        raise RetrievalError(
            f"{path}: the weights that tell negatives cannot be read ({error.strerror}); {remedy}"
        ) from error
    except (SafetensorError, KeyError) as error:
        raise RetrievalError(f"{path}: the weights that tell negatives are damaged; {remedy}") from error
