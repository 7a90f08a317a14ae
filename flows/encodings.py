"""A master as the network's room takes it: its rows as they are stored, and what they mean."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from storage.images import SRGB, Encoding, Master

if TYPE_CHECKING:  # see flows.engine
    from sscn import ColorizedPicture, Colorizer, EncodedReference, RgbSpace


def predict(colorizer: "Colorizer", master: Master, reference: "EncodedReference") -> "ColorizedPicture":
    """Find colours for a master; the rows that are made of it are those of its copy."""
    return colorizer.predict(
        master.samples,
        reference,
        orientation=master.metadata.orientation,
        space=rgb_space(master.encoding),
        copy_space=rgb_space(master.copy_encoding),
        dtype=np.uint16 if master.bit_depth == 16 else np.uint8,
    )


@lru_cache(maxsize=16)
def rgb_space(encoding: Encoding) -> "RgbSpace":
    """What samples in this encoding mean; that of a grey scale only has a curve of its own."""
    from sscn import SRGB as SRGB_SPACE
    from sscn import RgbSpace

    if encoding == SRGB:
        return SRGB_SPACE
    to_xyz = SRGB_SPACE.to_xyz if encoding.to_xyz is None else encoding.to_xyz
    return RgbSpace(to_xyz=to_xyz, curves=encoding.curves)
