"""Chroma that moves to a brighter place pales."""

from torch import Tensor


def pale_highlights(ab: Tensor, luminance: Tensor, found_luminance: Tensor, softness: Tensor | float) -> Tensor:
    """Weaken chroma that is brought to a brighter place than it comes from, as there is less room for it there.

    Without this the green of a meadow in half light turns neon on a field in full sun.

    Args:
        ab: chroma from the reference, (N, 2, h, w).
        luminance: the target's L*, (N, 1, h, w).
        found_luminance: L* where the chroma comes from, (N, 1, h, w).
        softness: 0 leaves chroma as it is; 1 scales it with the distance from white; one for all, or (N, 1, h, w).
    """
    room = (100 - luminance).clamp_min(1) / (100 - found_luminance).clamp_min(1)
    return ab * room.clamp(max=1) ** softness
