"""PDF documents for the tests, made with pikepdf of a real photograph."""

import io
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pikepdf
import tifffile
from pikepdf import Array, Dictionary, Name
from PIL import Image

PHOTOGRAPH = Path(__file__).parents[2] / "data" / "dust_bowl_home.jpg"
Pixels = npt.NDArray[Any]


def photograph(width: int = 240, height: int = 180) -> Pixels:
    """(height, width) uint8."""
    with Image.open(PHOTOGRAPH) as image:
        return np.asarray(image.convert("L").resize((width, height)))


def colours(width: int = 240, height: int = 180, depth: int = 8) -> Pixels:
    """(height, width, 3): the photograph in colours that differ from pixel to pixel."""
    grey = photograph(width, height).astype(np.uint32)
    made = np.stack([grey, grey * 3 // 4, 255 - grey // 2], axis=-1)
    return (made * 257 + 3).clip(0, 65535).astype(np.uint16) if depth == 16 else made.astype(np.uint8)


def black_and_white(width: int = 240, height: int = 180) -> Pixels:
    """(height, width) of 0 black and 1 white."""
    return (photograph(width, height) > 110).astype(np.uint8)


def jpeg(pixels: Pixels, mode: str | None = None, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "JPEG", quality=quality)
    return file.getvalue()


def jpx(pixels: Pixels, reversible: bool = True) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG2000", irreversible=not reversible)
    return file.getvalue()


def group4(white: Pixels) -> bytes:
    """CCITT Group 4 code in which black runs are black pixels."""
    file = io.BytesIO()
    Image.fromarray(white * 255).convert("1").save(
        file, "TIFF", compression="group4", tiffinfo={262: 0, 278: white.shape[0]}
    )
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        page = tiff.pages[0]
        assert len(page.dataoffsets) == 1
        return file.getvalue()[page.dataoffsets[0] : page.dataoffsets[0] + page.databytecounts[0]]


def jbig2(white: Pixels) -> bytes:
    """A page and one immediate generic region in MMR code (ISO/IEC 14492, 7.4.6), as PDF embeds it."""
    height, width = white.shape
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    page = size + bytes(8) + b"\0" + b"\0\0"
    region = size + bytes(8) + b"\0" + b"\1" + group4(white)

    def segment(number: int, kind: int, data: bytes) -> bytes:
        return number.to_bytes(4, "big") + bytes([kind, 0, 1]) + len(data).to_bytes(4, "big") + data

    return segment(0, 48, page) + segment(1, 38, region)


def image(pdf: pikepdf.Pdf, data: bytes, width: int, height: int, space: Any, bits: int = 8, **more: Any) -> Any:
    """An image object; ``more`` are further entries, None ones are left out."""
    entries = {"ColorSpace": space, "BitsPerComponent": bits, **more}
    return pdf.make_stream(
        data,
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=width,
        Height=height,
        **{key: value for key, value in entries.items() if value is not None},
    )


def grey_jpeg(pdf: pikepdf.Pdf, width: int = 240, height: int = 180) -> Any:
    return image(pdf, jpeg(photograph(width, height)), width, height, Name.DeviceGray, Filter=Name.DCTDecode)


def flate(pdf: pikepdf.Pdf, pixels: Pixels, space: Any, bits: int = 8, **more: Any) -> Any:
    height, width = pixels.shape[:2]
    stored = pixels.astype(">u2") if pixels.dtype == np.uint16 else pixels
    if bits < 8:
        raise ValueError("pack it first")
    return image(pdf, zlib.compress(stored.tobytes()), width, height, space, bits, Filter=Name.FlateDecode, **more)


def font(pdf: pikepdf.Pdf) -> Any:
    return pdf.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))


HIDDEN_TEXT = "BT 3 Tr /F1 12 Tf 20 100 Td (A letter of 1911) Tj ET"
FULL_PAGE = "q 240 0 0 180 0 0 cm /Im0 Do Q"


def add_page(
    pdf: pikepdf.Pdf,
    objects: Mapping[str, Any],
    content: str | bytes = f"{FULL_PAGE} {HIDDEN_TEXT}",
    box: tuple[float, ...] = (0, 0, 240, 180),
    **more: Any,
) -> pikepdf.Page:
    """A page whose user space has by default one unit for each pixel of the photograph."""
    page = Dictionary(
        Type=Name.Page,
        MediaBox=Array(list(box)),
        Resources=Dictionary(XObject=Dictionary(**objects), Font=Dictionary(F1=font(pdf))),
        Contents=pdf.make_stream(content.encode() if isinstance(content, str) else content),
        **more,
    )
    pdf.pages.append(pikepdf.Page(page))
    return pdf.pages[-1]


def document(path: Path, *makers: Callable[[pikepdf.Pdf], Any], **saving: Any) -> Path:
    """A document with one page for each maker, which is given the document and gives an image."""
    with pikepdf.new() as pdf:
        for maker in makers:
            add_page(pdf, {"Im0": maker(pdf)})
        pdf.save(path, **saving)
    return path
