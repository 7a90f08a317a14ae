"""Whether a picture has colour to give: a grey or toned photograph is no colour reference."""

import numpy as np
from numpy.typing import NDArray

from retrieval.luminance import shrink
from sscn.colour import lab
from sscn.pictures import Picture

_SIDE = 64
_TONED_CHROMA = 25.0
"""Chroma (CIELAB) up to which a single tint is taken for a toning: sepia prints lie at 10 to 20."""
_TONED_SPREAD = 2.0
"""Chroma (CIELAB, root mean square) by which a toned print strays from its tint, scanning and JPEG included.

Measured: sepia prints of a museum 0.6 to 1.9; of 180 colour photographs the plainest has 2.2.
"""


def has_colour(pixels: Picture) -> bool:
    """Whether there is more in a picture than one tint that follows the luminance.

    a* and b* are fitted by a cubic in L*, which is what any toning or ageing of a grey print looks like;
    colour is what the fit leaves over. A strong single tint (a leaf that fills the picture) counts as colour
    all the same.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded.
    """
    if pixels.ndim == 2:
        return False
    samples = lab(shrink(pixels, _SIDE)).reshape(3, -1).numpy()
    lightness, chroma = samples[0] / 100, samples[1:].T
    if float(np.percentile(np.hypot(chroma[:, 0], chroma[:, 1]), 95)) >= _TONED_CHROMA:
        return True
    powers: NDArray[np.float32] = np.stack([lightness**power for power in range(4)], axis=1)
    fit, *_ = np.linalg.lstsq(powers, chroma, rcond=None)
    spread = float(np.sqrt(((chroma - powers @ fit) ** 2).sum(axis=1).mean()))
    return spread >= _TONED_SPREAD
