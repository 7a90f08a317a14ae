"""How a row of the README's tables is tried: a file is made, and it is known what should be read of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from tests.storage.formats.samples import WIDTH, Pixels

Row = tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """What is to be read of a master: ``samples``, from which each may be ``off`` by so much; its own profile."""

    samples: Pixels
    off: int = 0
    page: int = 1
    profile: bytes | None = None
    note: str = ""


Make = Callable[[Path], Read]
"""Writes a master to the path."""


def content(data: bytes, samples: Pixels, off: int = 0, profile: bytes | None = None) -> Make:
    def make(path: Path) -> Read:
        path.write_bytes(data)
        return Read(samples, off, profile=profile)

    return make


def pillow(image: Image.Image, form: str, mode: str, off: int = 0, **how: Any) -> Make:
    """A file that Pillow writes, and what it reads of it in a mode."""

    def make(path: Path) -> Read:
        image.save(path, form, **how)
        with Image.open(path) as found:
            return Read(np.asarray(found.convert(mode)), off, profile=how.get("icc_profile"))

    return make


def tiff(samples: Pixels, expected: Pixels | None = None, off: int = 0, **how: Any) -> Make:
    def make(path: Path) -> Read:
        tifffile.imwrite(path, samples, metadata=None, **how)
        wanted = samples if expected is None else expected
        if expected is None and how.get("photometric") in ("minisblack", "rgb") and samples.shape[-1] in (3, WIDTH):
            assert np.array_equal(tifffile.imread(path), samples)
        return Read(wanted, off, profile=how.get("iccprofile"))

    return make


def noted(make: Make, note: str) -> Make:
    return lambda path: replace(make(path), note=note)
