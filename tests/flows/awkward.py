"""An archive as they really are: depths, colour models and names of all kinds, and five things that are broken."""

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from tests.flows.conftest import grey16, picture

# path -> (bits a sample, width, height) of what must become a copy
GOOD = {
    "1907 Straßenbahn/Fürth – Bahnhof.jpg": (8, 240, 240),
    "1907 Straßenbahn/北京/grau.tif": (16, 240, 160),
    "1907 Straßenbahn/北京/farbscan 48.tiff": (16, 240, 160),
    "карточка.png": (16, 240, 240),
    "druckvorlage.jpg": (8, 240, 240),
}
BAD = {
    "abgebrochen.jpg": "truncated",
    "leer.jpg": "empty",
    "liesmich.tif": "not_an_image",
    "bombe.png": "too_large",
    "1907 Straßenbahn/kreis": "link_loop",
}


def make_awkward_archive(folder: Path) -> Path:
    """Five good photographs, five broken things, and some files that are none of our business."""
    inner = folder / "1907 Straßenbahn" / "北京"
    inner.mkdir(parents=True)
    portrait, cup, cat = (picture(name, 240) for name in ("astronaut.png", "coffee.png", "chelsea.png"))
    _sepia(portrait).save(folder / "1907 Straßenbahn" / "Fürth – Bahnhof.jpg", quality=90, dpi=(300, 300))
    tifffile.imwrite(inner / "grau.tif", grey16(cup), photometric="minisblack", resolution=(600, 600))
    scan = np.repeat(grey16(cat)[..., None], 3, axis=2)
    tifffile.imwrite(inner / "farbscan 48.tiff", scan, photometric="rgb")
    Image.fromarray(grey16(portrait)).save(folder / "карточка.png")
    portrait.convert("L").convert("CMYK").save(folder / "druckvorlage.jpg", quality=90)
    whole = (folder / "druckvorlage.jpg").read_bytes()
    (folder / "abgebrochen.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "leer.jpg").touch()
    (folder / "liesmich.tif").write_text("Dies ist kein Bild.\n")
    (folder / "bombe.png").write_bytes(png_bomb())
    (folder / "1907 Straßenbahn" / "kreis").symlink_to(folder)
    (folder / "Findbuch.txt").write_text("Bestand 7\n")
    (folder / ".DS_Store").write_bytes(b"\0")
    return folder


def png_bomb(side: int = 20_000) -> bytes:
    """A valid PNG of some 50 kB that decodes to `side` x `side` pixels, 400 million."""
    rows = bytes(side // 8 + 1) * side
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _sepia(image: Image.Image) -> Image.Image:
    grey = np.asarray(image.convert("L"), np.float64)[..., None]
    return Image.fromarray((grey * [1.0, 0.89, 0.71]).round().astype(np.uint8))
