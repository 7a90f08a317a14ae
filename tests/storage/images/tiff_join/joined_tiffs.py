"""What is found in a joined TIFF, compared with the pages that went in."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.images import read_master
from storage.images.exif import Exif, parse_exif
from storage.images.records import Refusal


def blocks(path: Path, page: int) -> list[bytes]:
    """The bytes of a page's strips or tiles."""
    with tifffile.TiffFile(path) as file, path.open("rb") as raw:
        found = []
        for offset, count in zip(file.pages[page].dataoffsets, file.pages[page].databytecounts, strict=True):
            raw.seek(offset)
            found.append(raw.read(count))
        return found


def assert_joined(path: Path, parts: Sequence[Path]) -> None:
    """Every page has the pixels of its part, whoever reads it."""
    with tifffile.TiffFile(path) as file, Image.open(path) as image:
        assert len(file.pages) == image.n_frames == len(parts)
        for number, part in enumerate(parts):
            page = file.pages[number]
            assert page.tags[297].value == (number, len(parts))
            assert page.tags[254].value & 2
            assert np.array_equal(page.asarray(), tifffile.imread(part)), part.name
            image.seek(number)
            with Image.open(part) as alone:
                assert np.array_equal(np.asarray(image), np.asarray(alone)), part.name
            back, single = read_master(path, page=number + 1), read_master(part)
            assert np.array_equal(back.pixels, single.pixels), part.name
            bare = {"exif": None, "notes": ()}
            assert replace(back.metadata, **bare) == replace(single.metadata, **bare), part.name
            assert without_number(back.metadata.exif) == without_number(single.metadata.exif), part.name


def without_number(block: bytes | None) -> Exif:
    try:
        exif = parse_exif(block or b"")
    except Refusal:  # there is none
        exif = Exif()
    return replace(exif, image={tag: value for tag, value in exif.image.items() if tag != 297})


def complaints(path: Path) -> str:
    """What libtiff says about a file while it reads all of it."""
    program = shutil.which("tiffinfo")
    if program is None:
        pytest.skip("tiffinfo (Debian package libtiff-tools) is not installed")
    return subprocess.run([program, "-D", path], check=True, capture_output=True, text=True).stderr
