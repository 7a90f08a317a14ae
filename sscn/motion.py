"""Motion between two frames of film, by their luminance alone.

Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016), as OpenCV has it.
"""

import numpy as np
from numpy.typing import NDArray

_LEAST_SIDE = 16
"""Pixels: smaller pictures are taken to hold still."""
_STRIDE = 6
"""Pixels from one patch of 8 to the next. At full size and without variational refinement, measured best: the fast
preset, which ends at a quarter of it, blurs colours at outlines."""


def motion(luminance: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where each place comes from.

    Args:
        luminance: L* 0..100 of a frame, (h, w).
        before: of the frame before, likewise.

    Returns:
        (2, h, w): what was at x + motion[0], y + motion[1] before is at x, y now, in pixels.
    """
    import cv2  # takes a while, and stills do without

    if min(luminance.shape) < _LEAST_SIDE:
        return np.zeros((2, *luminance.shape), np.float32)
    now, then = ((frame * 2.55 + 0.5).clip(0, 255).astype(np.uint8) for frame in (luminance, before))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(0)
    search.setPatchStride(_STRIDE)
    search.setVariationalRefinementIterations(0)
    found: NDArray[np.float32] = np.ascontiguousarray(search.calc(now, then, None).transpose(2, 0, 1))  # type: ignore[call-overload] # None: from nothing
    return found
