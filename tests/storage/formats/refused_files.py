"""Files that cannot be used as masters, by the rows of the README's table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import tifffile
from PIL import Image

from tests.storage.documents import documents
from tests.storage.formats.described_masters import described_pdf
from tests.storage.formats.making import Make, Row, pillow, tiff
from tests.storage.formats.picture_masters import jpeg2000, png, raw_camera_file
from tests.storage.formats.samples import GREY, RGB
from tests.storage.images import jpeg2000_files as boxes


def _cut(make: Make | Callable[[Path], Any], share: float = 0.6) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        make(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return cut


def _animation(path: Path) -> None:
    frames = [Image.fromarray(RGB[8]), Image.fromarray(255 - RGB[8])]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:])


def _signed(path: Path) -> None:
    tifffile.imwrite(path, GREY[8].astype(np.int16), photometric="minisblack")


def _floating(path: Path) -> None:
    tifffile.imwrite(path, GREY[8].astype(np.float32), photometric="minisblack")


def _cielab(path: Path) -> None:
    tifffile.imwrite(path, RGB[8], photometric="cielab")


def _unlike_channels(path: Path) -> None:
    stream = bytearray(boxes.codestream(RGB[8]))
    stream[42] = 11  # bits of the first channel, less one
    path.write_bytes(bytes(stream))


def _locked(path: Path) -> None:
    described_pdf(path)
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.save(path, encryption=pikepdf.Encryption(owner="a", user="b"))


def _only_text(path: Path) -> None:
    with pikepdf.new() as document:
        documents.add_page(document, {}, "BT /F1 12 Tf 5 5 Td (Only text) Tj ET", (0, 0, 99, 99))
        document.save(path)


def _broken_png(path: Path) -> None:
    png(2, 8, RGB[8], RGB[8])(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def _film_frame(path: Path) -> None:
    path.write_bytes(b"SDPX" + bytes(2044))


REFUSED: dict[Row, list[Callable[[Path], object]]] = {
    ("an empty file", "empty"): [Path.touch],
    ("a file that is cut off", "truncated"): [
        _cut(one)
        for one in (
            tiff(RGB[16], photometric="rgb"),
            pillow(Image.fromarray(RGB[8]), "JPEG", "RGB"),
            pillow(Image.fromarray(RGB[8]), "JPEG", "RGB", progressive=True),
            png(2, 8, RGB[8], RGB[8]),
            pillow(Image.fromarray(RGB[8]), "WEBP", "RGB", lossless=True),
            jpeg2000(RGB[8], 8, RGB[8], boxes.space(boxes.SRGB)),
            raw_camera_file,
            described_pdf,
        )
    ],
    ("a text, or anything else that is no picture", "not_an_image"): [
        lambda path: path.write_text("Dear Sir,\n"),
        lambda path: path.write_bytes(bytes(1000)),
    ],
    ("more pixels than `--max-pixels`", "too_large"): [
        tiff(RGB[8], photometric="rgb"),
        pillow(Image.fromarray(RGB[8]), "JPEG", "RGB"),
        png(2, 8, RGB[8], RGB[8]),
        jpeg2000(RGB[8], 8, RGB[8], boxes.space(boxes.SRGB)),
        described_pdf,
    ],
    ("TIFF of floating-point or signed numbers, or in CIELAB; animated WebP; a single DPX frame", "unsupported"): [
        _floating,
        _signed,
        _cielab,
        _animation,
        _film_frame,
    ],
    ("JPEG 2000 of channels with unlike depths", "unsupported"): [_unlike_channels],
    ("a PDF with a password; a page of a PDF without a scan", "unsupported"): [_locked, _only_text],
    ("a picture that is damaged", "unreadable"): [_broken_png],
}
