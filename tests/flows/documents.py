"""Documents of several pages for tests: TIFF and PDF, made from photographs."""

import io
from pathlib import Path

import numpy as np
import pikepdf
import tifffile
from numpy.typing import NDArray
from pikepdf import Name
from PIL import Image

from tests.flows.conftest import grey16, picture

Pages = list[NDArray[np.uint8] | NDArray[np.uint16]]


def leaves() -> Pages:
    """Three photographs, grey, the second one of 16 bits."""
    return [
        np.asarray(picture("astronaut.png", 160).convert("L")),
        grey16(picture("coffee.png", 200)),
        np.asarray(picture("chelsea.png", 180).convert("L")),
    ]


def write_tiff(path: Path, pages: Pages) -> None:
    """Each page with a description of its own."""
    with tifffile.TiffWriter(path) as writer:
        for number, page in enumerate(pages, start=1):
            writer.write(
                page,
                compression="lzw",
                description=f"leaf {number}",
                resolution=(200, 200),
                metadata=None,
                rowsperstrip=32,
            )


def write_pdf(path: Path, pages: Pages, *, text_page: bool = True) -> None:
    """Scans as JPEG with invisible text over them, and a page that is text alone."""
    pdf = pikepdf.new()
    font = pdf.make_indirect(pikepdf.Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
    for number, page in enumerate(pages, start=1):
        eight_bit = page if page.dtype == np.uint8 else (page >> 8).astype(np.uint8)
        height, width = eight_bit.shape
        stream = io.BytesIO()
        Image.fromarray(eight_bit).save(stream, "JPEG", quality=92)
        scan = pdf.make_stream(
            stream.getvalue(), Type=Name.XObject, Subtype=Name.Image, Width=width, Height=height,
            ColorSpace=Name.DeviceGray, BitsPerComponent=8, Filter=Name.DCTDecode,
        )  # fmt: skip
        sheet = pdf.add_blank_page(page_size=(width / 2, height / 2))
        sheet.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Scan=scan), Font=pikepdf.Dictionary(F1=font))
        drawn = f"q {width / 2} 0 0 {height / 2} 0 0 cm /Scan Do Q BT 3 Tr /F1 9 Tf 9 9 Td (leaf {number}) Tj ET"
        sheet.Contents = pdf.make_stream(drawn.encode())
    if text_page:
        sheet = pdf.add_blank_page(page_size=(200, 100))
        sheet.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        sheet.Contents = pdf.make_stream(b"BT /F1 9 Tf 9 9 Td (an index of names) Tj ET")
    pdf.save(path)
