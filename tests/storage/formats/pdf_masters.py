"""Scans in PDF documents, by the rows of the README's table."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pikepdf
import tifffile
from pikepdf import Array, Name
from PIL import Image

from tests.storage.documents import documents
from tests.storage.formats.making import Make, Read, Row
from tests.storage.formats.samples import GREY, HEIGHT, INK, RGB, WHITE, WIDTH, Pixels
from tests.storage.images import jpeg2000_files as boxes

FALLING = bytes(range(255, -1, -1)) * 3
"""A palette."""


def pdf(image: Callable[[pikepdf.Pdf], Any], expected: Pixels, off: int = 0, profile: bytes | None = None) -> Make:
    def make(path: Path) -> Read:
        with pikepdf.new() as document:
            page = f"q {WIDTH} 0 0 {HEIGHT} 0 0 cm /Im0 Do Q {documents.HIDDEN_TEXT}"
            documents.add_page(document, {"Im0": image(document)}, page, (0, 0, WIDTH, HEIGHT))
            document.save(path)
        return Read(expected, off, profile=profile)

    return make


def pdf_image(
    data: bytes, space: Any, bits: int, expected: Pixels, codec: Any = None, off: int = 0, **more: Any
) -> Make:
    return pdf(
        lambda document: documents.image(document, data, WIDTH, HEIGHT, space, bits, Filter=codec, **more),
        expected,
        off,
    )


def flate_pdf(samples: Pixels, space: Any, expected: Pixels | None = None) -> Make:
    return pdf(
        lambda document: documents.flate(document, samples, space, 8 * samples.itemsize),
        samples if expected is None else expected,
    )


def icc_pdf(samples: Pixels, profile: bytes) -> Make:
    def image(document: pikepdf.Pdf) -> Any:
        space = Array([Name.ICCBased, document.make_stream(profile, N=3)])
        return documents.flate(document, samples, space, 8 * samples.itemsize)

    return pdf(image, samples, profile=profile)


def dct_pdf(samples: Pixels, space: Any, mode: str) -> Make:
    data = documents.jpeg(samples, mode)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("L" if mode == "L" else "RGB"))
    if mode == "CMYK":  # in a PDF samples mean what they are, whatever Adobe's custom
        return pdf_image(data, space, 8, expected, Name.DCTDecode, Decode=Array([1, 0] * 4))
    return pdf_image(data, space, 8, expected, Name.DCTDecode)


def fax_pdf(k: int) -> Make:
    file = io.BytesIO()
    options: dict[int, int] = {262: 0, 278: HEIGHT}
    Image.fromarray(WHITE).save(file, "TIFF", compression="group4" if k < 0 else "group3", tiffinfo=options)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as found:
        start, length = found.pages[0].dataoffsets[0], found.pages[0].databytecounts[0]
    parameters = pikepdf.Dictionary(K=k, Columns=WIDTH, Rows=HEIGHT, EndOfLine=k == 0)
    strip = file.getvalue()[start : start + length]
    return pdf_image(strip, Name.DeviceGray, 1, WHITE * np.uint8(255), Name.CCITTFaxDecode, DecodeParms=parameters)


def strips_pdf(path: Path) -> Read:
    """A page in two images, one above the other, as some scanners write it."""
    upper, lower = GREY[8][:20], GREY[8][20:]
    with pikepdf.new() as document:
        objects = {
            "Im0": documents.flate(document, upper, Name.DeviceGray),
            "Im1": documents.flate(document, lower, Name.DeviceGray),
        }
        page = f"q {WIDTH} 0 0 20 0 25 cm /Im0 Do Q q {WIDTH} 0 0 25 0 0 cm /Im1 Do Q"
        documents.add_page(document, objects, page, (0, 0, WIDTH, HEIGHT))
        document.save(path)
    return Read(GREY[8], note="taken as one picture")


PDF_MASTERS: dict[Row, list[Make]] = {
    ("PDF, scan in CCITT Group 3, Group 4 or JBIG2", "as 0 and 255", "8", "sRGB"): [
        fax_pdf(-1),
        fax_pdf(0),
        pdf_image(documents.jbig2(WHITE.astype(np.uint8)), Name.DeviceGray, 1, WHITE * np.uint8(255), Name.JBIG2Decode),
    ],
    ("PDF, scan in Flate or LZW; grey or RGB, 8 or 16 bits; 1 bit", "bit for bit", "as the master", "sRGB"): [
        *(flate_pdf(GREY[bits], Name.DeviceGray) for bits in (8, 16)),
        *(flate_pdf(RGB[bits], Name.DeviceRGB) for bits in (8, 16)),
        pdf_image(
            zlib.compress(np.packbits(WHITE, axis=1).tobytes()),
            Name.DeviceGray,
            1,
            WHITE * np.uint8(255),
            Name.FlateDecode,
        ),
        pdf_image(bytes(imagecodecs.lzw_encode(RGB[8].tobytes())), Name.DeviceRGB, 8, RGB[8], Name.LZWDecode),
    ],
    ("PDF, palette", "its colours", "8", "sRGB"): [
        pdf(
            lambda document: documents.flate(
                document, GREY[8], Array([Name.Indexed, Name.DeviceRGB, 255, pikepdf.String(FALLING)])
            ),
            np.frombuffer(FALLING, np.uint8).reshape(256, 3)[GREY[8]],
        )
    ],
    ("PDF, scan in JPEG; grey, RGB, CMYK", "as Pillow reads it", "8", "sRGB"): [
        dct_pdf(GREY[8], Name.DeviceGray, "L"),
        dct_pdf(RGB[8], Name.DeviceRGB, "RGB"),
        dct_pdf(INK[8], Name.DeviceCMYK, "CMYK"),
    ],
    ("PDF, scan in JPEG 2000, 8 or 16 bits", "bit for bit", "as the master", "sRGB"): [
        pdf_image(
            boxes.jp2(boxes.codestream(RGB[bits]), boxes.space(boxes.SRGB)), None, bits, RGB[bits], Name.JPXDecode
        )
        for bits in (8, 16)
    ],
    ("PDF, a page of several images", "as one picture", "8", "sRGB"): [strips_pdf],
}
