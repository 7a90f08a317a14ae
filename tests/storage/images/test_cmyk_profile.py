"""CMYK with a profile goes through that profile, ink for ink, in TIFF and in Adobe's inverted JPEG."""

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.images import read_master


def key_only_profile() -> bytes:
    """An ICC v2 printer profile: L* is 100 without ink and falls evenly with K to 0; C, M and Y give hue."""
    ramp = bytes(range(256))
    nodes = []
    for cyan, magenta, yellow, key in itertools.product((0, 1), repeat=4):
        lightness = (1 - key) * (1 - 0.2 * (cyan + magenta + yellow))
        a, b = 128 + 40 * (magenta - cyan), 128 + 40 * yellow - 20 * (cyan + magenta)
        nodes += [round(255 * lightness), a, b]
    matrix = struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + bytes(nodes) + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = [(b"desc", name), (b"cprt", b"text" + bytes(4) + b"none\0"), (b"wtpt", white)]
    tags += [(b"A2B0", lut), (b"A2B1", lut)]
    table, body = struct.pack(">I", len(tags)), b""
    for tag, content in tags:
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_inks_mean_what_the_profile_says(tmp_path: Path, suffix: str) -> None:
    ink = np.zeros((64, 64, 4), np.uint8)
    ink[16:32, :, 3] = 128  # half black
    ink[32:48, :, 3] = 255
    ink[48:, :, 1] = 255  # magenta
    path = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(path, ink, photometric="separated", iccprofile=key_only_profile())
    else:
        Image.fromarray(ink, "CMYK").save(path, quality=98, icc_profile=key_only_profile())
    master = read_master(path)
    assert master.metadata.notes == ()
    assert (master.facts.channels, master.pixels.shape) == (4, (64, 64, 3))
    paper, half, black, magenta = (master.pixels[row, 30].astype(int) for row in (5, 24, 40, 56))
    assert (paper >= 254).all()
    assert np.abs(half - 118).max() <= 3  # L* 50 is 119 in sRGB
    assert (black <= 3).all()
    assert magenta[0] > magenta[1] + 40
    assert magenta[2] > magenta[1] + 20
