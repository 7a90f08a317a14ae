"""A picture's encoding as the network's room knows it."""

from functools import lru_cache
from typing import TYPE_CHECKING

from storage.images import SRGB, Encoding

if TYPE_CHECKING:  # see flows.engine
    from sscn import RgbSpace


@lru_cache(maxsize=16)
def rgb_space(encoding: Encoding) -> "RgbSpace":
    """What samples in this encoding mean; that of a grey scale only has a curve of its own."""
    from sscn import SRGB as SRGB_SPACE
    from sscn import RgbSpace

    if encoding == SRGB:
        return SRGB_SPACE
    to_xyz = SRGB_SPACE.to_xyz if encoding.to_xyz is None else encoding.to_xyz
    return RgbSpace(to_xyz=to_xyz, curves=encoding.curves)
