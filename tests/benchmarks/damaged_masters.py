"""Small valid masters of every format, and damage to them; file N of a seed is the same in every archive."""

import io
import random
import re
import struct
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pikepdf
import tifffile
from numpy.typing import NDArray
from pikepdf import Name
from PIL import Image

from storage.fixity import sha256_file
from tests.benchmarks.large_master import PHOTOGRAPH
from tests.storage.documents import documents
from tests.storage.images import test_dng

Pixels = NDArray[Any]
Mutation = Callable[[bytes, random.Random], bytes]
SIZE = (200, 154)
WHOLE_ONE_IN = 20


# masters


@cache
def photograph() -> Image.Image:
    """The demo's photograph, small, as RGB."""
    with Image.open(PHOTOGRAPH) as opened:
        return opened.convert("RGB").resize(SIZE)


def _rgb() -> Pixels:
    return np.asarray(photograph())


def _grey() -> Pixels:
    return np.asarray(photograph().convert("L"))


def _deep(samples: Pixels) -> Pixels:
    made: Pixels = samples.astype(np.uint16) * 256 + np.random.default_rng(7).integers(0, 256, samples.shape, np.uint16)
    return made


def _pillow(mode: str, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    photograph().convert(mode).save(file, form, **options)
    return file.getvalue()


def _tiff(samples: Pixels, photometric: str = "rgb", pages: int = 1, **options: Any) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(
        file, bigtiff=bool(options.pop("bigtiff", False)), byteorder=options.pop("byteorder", "<")
    ) as writer:
        for _ in range(pages):
            writer.write(samples, photometric=photometric, metadata=None, resolution=(300, 300), **options)
    return file.getvalue()


def _tiff_pages() -> bytes:
    """Pages of several depths and codes in one file."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(_rgb(), photometric="rgb", compression="zlib", predictor=True, rowsperstrip=32, metadata=None)
        writer.write(_deep(_grey()), photometric="minisblack", compression="lzw", metadata=None)
        writer.write(_grey(), photometric="minisblack", tile=(64, 64), compression="jpeg", metadata=None)
    return file.getvalue()


def _cmyk() -> Pixels:
    return np.asarray(photograph().convert("CMYK"))


def _dng() -> bytes:
    scene = (_rgb().astype(np.float64) / 255) ** 2.2
    tags = [*test_dng.camera_tags(), *test_dng.sensor_tags()]
    file = io.BytesIO()
    tifffile.imwrite(
        file, test_dng.mosaic(scene), photometric=32803, extratags=tags, metadata=None, software=False, rowsperstrip=32
    )
    return file.getvalue()


def _pdf(*makers: Callable[[pikepdf.Pdf], Any], **saving: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return documents.document(Path(folder, "a.pdf"), *makers, **saving).read_bytes()


def _flate(pdf: pikepdf.Pdf) -> Any:
    return documents.flate(pdf, documents.photograph(), Name.DeviceGray)


def _deep_flate(pdf: pikepdf.Pdf) -> Any:
    return documents.flate(pdf, documents.colours(depth=16), Name.DeviceRGB, 16)


def _jpx(pdf: pikepdf.Pdf) -> Any:
    data = documents.jpx(documents.photograph())
    return documents.image(pdf, data, 240, 180, None, None, Filter=Name.JPXDecode)  # type: ignore[arg-type]


def _jbig2(pdf: pikepdf.Pdf) -> Any:
    data = documents.jbig2(documents.black_and_white())
    return documents.image(pdf, data, 240, 180, Name.DeviceGray, 1, Filter=Name.JBIG2Decode)


def _ccitt(pdf: pikepdf.Pdf) -> Any:
    data = documents.group4(documents.black_and_white())
    parameters = pikepdf.Dictionary(K=-1, Columns=240, Rows=180)
    return documents.image(pdf, data, 240, 180, Name.DeviceGray, 1, Filter=Name.CCITTFaxDecode, DecodeParms=parameters)


_PLAIN = {"object_stream_mode": pikepdf.ObjectStreamMode.disable}
_JPEG, _TIFF = partial(_pillow, form="JPEG", quality=88), "TIFF"
MASTERS: dict[str, Callable[[], bytes]] = {
    "baseline.jpg": partial(_JPEG, "RGB", dpi=(300, 300)),
    "progressive.jpg": partial(_JPEG, "RGB", progressive=True),
    "grey.jpg": partial(_JPEG, "L"),
    "inverted-cmyk.jpg": partial(_JPEG, "CMYK"),
    "cmyk.jpg": lambda: bytes(imagecodecs.jpeg8_encode(_cmyk(), colorspace="CMYK", outcolorspace="CMYK")),
    "restarts.jpg": partial(_JPEG, "RGB", restart_marker_rows=1),
    "rgb.png": partial(_pillow, "RGB", "PNG"),
    "grey16.png": lambda: bytes(imagecodecs.png_encode(_deep(_grey()))),
    "rgb48.png": lambda: bytes(imagecodecs.png_encode(_deep(_rgb()))),
    "palette.png": partial(_pillow, "P", "PNG"),
    "bilevel.png": partial(_pillow, "1", "PNG"),
    "alpha.png": partial(_pillow, "RGBA", "PNG"),
    "lossy.webp": partial(_pillow, "RGB", "WEBP", quality=85),
    "lossless.webp": partial(_pillow, "RGB", "WEBP", lossless=True),
    "lossless.jp2": partial(_pillow, "RGB", "JPEG2000", irreversible=False),
    "lossy.jp2": partial(_pillow, "L", "JPEG2000", irreversible=True, quality_layers=[20]),
    "tiles.jp2": partial(_pillow, "RGB", "JPEG2000", tile_size=(64, 64)),
    "deep.jp2": lambda: bytes(imagecodecs.jpeg2k_encode(_deep(_grey()), level=0, codecformat="jp2")),
    "raw.j2k": partial(_pillow, "L", "JPEG2000", no_jp2=True),
    "plain.tif": lambda: _tiff(_rgb(), rowsperstrip=16),
    "lzw.tif": lambda: _tiff(_rgb(), compression="lzw", predictor=True, rowsperstrip=16),
    "deflate.tif": lambda: _tiff(_rgb(), compression="zlib", predictor=True, rowsperstrip=32),
    "jpeg.tif": partial(_pillow, "RGB", _TIFF, compression="jpeg"),
    "group3.tif": partial(_pillow, "1", _TIFF, compression="group3"),
    "group4.tif": partial(_pillow, "1", _TIFF, compression="group4"),
    "packbits.tif": partial(_pillow, "L", _TIFF, compression="packbits"),
    "tiles.tif": lambda: _tiff(_rgb(), compression="zlib", tile=(64, 64)),
    "jpeg-tiles.tif": lambda: _tiff(_rgb(), compression="jpeg", tile=(64, 64)),
    "big.tif": lambda: _tiff(_deep(_grey()), "minisblack", bigtiff=True, compression="zlib", rowsperstrip=32),
    "grey16.tif": lambda: _tiff(_deep(_grey()), "minisblack", byteorder=">", rowsperstrip=20),
    "rgb48.tif": lambda: _tiff(_deep(_rgb()), compression="lzw", predictor=True, rowsperstrip=20),
    "planes.tif": lambda: _tiff(np.moveaxis(_rgb(), 2, 0).copy(), planarconfig="separate", rowsperstrip=32),
    "palette.tif": partial(_pillow, "P", _TIFF),
    "cmyk.tif": partial(_pillow, "CMYK", _TIFF, compression="tiff_lzw"),
    "pages.tif": _tiff_pages,
    "raw.dng": _dng,
    "dct.pdf": lambda: _pdf(documents.grey_jpeg, **_PLAIN),
    "flate.pdf": lambda: _pdf(_flate, **_PLAIN),
    "deep.pdf": lambda: _pdf(_deep_flate, **_PLAIN),
    "ccitt.pdf": lambda: _pdf(_ccitt, **_PLAIN),
    "jpx.pdf": lambda: _pdf(_jpx, **_PLAIN),
    "jbig2.pdf": lambda: _pdf(_jbig2, **_PLAIN),
    "pages.pdf": lambda: _pdf(documents.grey_jpeg, _flate, _jbig2, **_PLAIN),
    "packed.pdf": lambda: _pdf(documents.grey_jpeg, _flate, linearize=True),
}


# damage


def _bits(data: bytes, chance: random.Random) -> bytes:
    """Single bits anywhere."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 3, 20, 200])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _bytes(data: bytes, chance: random.Random) -> bytes:
    """A run of bytes overwritten, as by a bad sector."""
    start, length = chance.randrange(len(data)), chance.choice([1, 4, 16, 64, 512, 4096])
    filling = chance.choice([b"\0" * length, b"\xff" * length, chance.randbytes(length)])
    return (data[:start] + filling + data[start + length :])[: max(len(data), start + 1)]


def _cut(data: bytes, chance: random.Random) -> bytes:
    """An end that is missing."""
    length = chance.choice([chance.randrange(len(data)), len(data) - chance.randrange(1, 64), chance.randrange(64)])
    return data[: max(0, length)]


def _swap(data: bytes, chance: random.Random) -> bytes:
    """Two blocks in each other's places."""
    length = min(chance.choice([16, 512, 4096]), len(data) // 4)
    first = chance.randrange(len(data) - 2 * length)
    second = chance.randrange(first + length, len(data) - length + 1)
    middle = data[first + length : second]
    return (
        data[:first] + data[second : second + length] + middle + data[first : first + length] + data[second + length :]
    )


def _shift(data: bytes, chance: random.Random) -> bytes:
    """Bytes left out or put in: all that follows lies elsewhere."""
    place, length = chance.randrange(len(data)), chance.choice([1, 2, 7, 64, 1000])
    if chance.random() < 0.5:
        return data[:place] + data[place + length :]
    return data[:place] + chance.randbytes(length) + data[place:]


_EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000)


def _length(data: bytes, chance: random.Random) -> bytes:
    """A number that may be a length, a count or an offset is another; in PDF it is in digits."""
    if data.startswith(b"%PDF"):
        numbers = [*re.finditer(rb"\d+", data[: 1 << 16]), *re.finditer(rb"\d+", data[-4096:])]
        for found in chance.sample(numbers, min(len(numbers), chance.choice([1, 1, 3]))):
            other = str(chance.choice([*_EXTREMES, -1, int(found[0][:18]) + 1, int(found[0][:18]) * 2])).encode()
            data = data.replace(found[0], other, 1) if chance.random() < 0.3 else _put(data, found.start(), other)
        return data
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = _place_of_number(data, chance)
        size = chance.choice([2, 4])
        if place + size > len(data):
            continue
        order = chance.choice("<>")
        kind = f"{order}{'H' if size == 2 else 'I'}"
        old = struct.unpack_from(kind, data, place)[0]
        value = chance.choice([*_EXTREMES, old + 1, old - 1, old * 2, old // 2]) % (1 << 8 * size)
        struct.pack_into(kind, changed, place, value)
    return bytes(changed)


def _put(data: bytes, place: int, other: bytes) -> bytes:
    return data[:place] + other + data[place + len(other) :]


def _place_of_number(data: bytes, chance: random.Random) -> int:
    """Where a number of the structure lies: behind a marker or chunk's name, in a directory, or in the header."""
    places: list[int] = []
    if data.startswith((b"\xff\xd8", b"\xff\x4f")) or data[4:8] == b"jP  ":
        places += [found.start() + 2 for found in re.finditer(rb"\xff[\x4f-\x64\x90-\x93\xc0-\xcf\xd0-\xfe]", data)]
    if data.startswith((b"\x89PNG", b"RIFF")) or data[4:8] == b"jP  ":
        for found in re.finditer(rb"[A-Za-z][A-Za-z0-9]{2}[A-Za-z0-9 ]", data[:2048]):
            places += [max(0, found.start() - 4), found.start() + 4, found.start() + 8]
    if data[:2] in (b"II", b"MM"):
        places += _entries(data)
    return chance.choice(places) if places and chance.random() < 0.85 else chance.randrange(min(len(data), 512))


def _entries(data: bytes) -> list[int]:
    """The fields of the first TIFF directory's entries, as far as an earlier blow has left them."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
        (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
        (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)
    except struct.error:
        return []
    size, first, parts = (20, start + 8, (0, 2, 4, 12)) if big else (12, start + 2, (0, 2, 4, 8))
    places = (first + entry * size + part for entry in range(min(count, 64)) for part in parts)
    return [place for place in places if place + 4 <= len(data)]


def _head(data: bytes, chance: random.Random) -> bytes:
    """Blows at the header, or at the end, where directories and tables may lie."""
    changed = bytearray(data)
    reach = min(len(data), chance.choice([64, 300, 1024]))
    at_end = chance.random() < 0.3
    for _ in range(chance.choice([1, 2, 8])):
        place = chance.randrange(reach)
        changed[-1 - place if at_end else place] = chance.randrange(256)
    return bytes(changed)


MUTATIONS: dict[str, Mutation] = {
    "bits": _bits,
    "bytes": _bytes,
    "cut": _cut,
    "swap": _swap,
    "shift": _shift,
    "length": _length,
    "head": _head,
}


def make_file(number: int, seed: int) -> tuple[str, bytes]:
    """The name and the content of a file of the archive; ``whole`` in its name says that nothing was damaged."""
    names = [*MASTERS]
    master = names[number % len(names)]
    chance = random.Random(f"{seed} {number}")
    data = _made(master)
    kinds = ["whole"]
    if chance.randrange(WHOLE_ONE_IN):
        kinds = [chance.choice([*MUTATIONS]) for _ in range(chance.choice([1, 1, 1, 2]))]
        for kind in kinds:
            data = MUTATIONS[kind](data, chance) if len(data) > 64 else data
    stem, suffix = master.split(".")
    return f"{master}/{stem} {number:05} {'+'.join(kinds)}.{suffix}", data


@cache
def _made(master: str) -> bytes:
    return MASTERS[master]()


def make_archive(folder: Path, files: Sequence[int], seed: int) -> dict[str, str]:
    """Write the files; returns their digests by path."""
    digests = {}
    for number in files:
        name, data = make_file(number, seed)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digests[name] = sha256_file(path)
    return digests
