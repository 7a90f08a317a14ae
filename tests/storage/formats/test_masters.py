"""Masters of each row of the README's table are read as it says, and copied.

Files are made here of a real photograph. What is read is compared with the samples that went in, or with what Pillow,
tifffile or pdfium's own users see; copies are read back by tifffile, Pillow and imagecodecs, never by our readers.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.images import DerivativeProvenance, write_access_copy, write_derivative
from storage.images.rows import whole
from storage.images.srgb import srgb_profile
from storage.masters import identify_pages, read_master
from tests.icc_profiles import read_copy
from tests.storage.formats.copies import COPIES, colours_for
from tests.storage.formats.making import Make, Row
from tests.storage.formats.masters import MASTERS
from tests.storage.formats.samples import converted

CASES = [
    pytest.param(row, make, id=f"{row[0]}-{number}")
    for row, made in MASTERS.items()
    for number, make in enumerate(made)
]


@pytest.mark.parametrize(("row", "make"), CASES)
def test_masters(tmp_path: Path, provenance: DerivativeProvenance, row: Row, make: Make) -> None:
    path = tmp_path / "master"
    read = make(path)
    master = read_master(path, page=read.page)
    found = whole(master.samples)
    assert (found.shape, found.dtype) == (read.samples.shape, read.samples.dtype)
    assert np.abs(found.astype(int) - read.samples).max() <= read.off
    assert master.facts == identify_pages(path)[read.page - 1]
    if row[1] in ("bit for bit", "its colours", "as Pillow reads it", "as 0 and 255"):
        assert read.off == 0
    assert read.note in "; ".join(master.metadata.notes)
    _, _, depth, profile = row
    bits = 8 * read.samples.itemsize if depth.startswith("as the") else int(depth[:2].strip(","))
    icc = read.profile if profile == "the master's own" else srgb_profile()
    assert icc is not None
    rgb = colours_for(master)
    for form, name in COPIES.items():
        written = write_derivative(tmp_path / name, rgb, master, provenance, form)  # type: ignore[arg-type]
        samples, embedded = read_copy(tmp_path / name)
        assert written.bit_depth == bits == 8 * samples.itemsize
        assert np.array_equal(samples, rgb)
        assert embedded == icc
    write_access_copy(tmp_path / "access.jpg", rgb, master, provenance)
    with Image.open(tmp_path / "access.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (rgb.shape[1], rgb.shape[0]))
        assert image.info["icc_profile"] == srgb_profile()
        if row[1] == "bit for bit":
            eight = (rgb >> 8).astype(np.uint8) if rgb.itemsize == 2 else rgb
            assert np.abs(np.asarray(image) - converted(eight, "RGB", icc).astype(int)).mean() < 4
