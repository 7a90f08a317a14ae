"""Pixels as pdfium draws them: of images that only it decodes, and of pages whose images make one picture."""

from io import BytesIO

import numpy as np
import pikepdf
import pypdfium2

from storage.documents.placing import Matrix
from storage.documents.rewriting import Rewriting
from storage.images.records import Pixels, Refusal

_MAX_BITMAP_BYTES = (1 << 31) - 1
"""pdfium counts a bitmap's bytes with 32 bits."""


def render_image(pdf: pikepdf.Pdf, image: pikepdf.Stream, width: int, height: int, *, grey: bool) -> Pixels:
    """An image of ``pdf`` alone, pixel for pixel, ``uint8``, (height, width, 3), or (height, width) as ``grey``.

    A stencil is black on white.
    """
    with pikepdf.new() as alone:
        copy = alone.copy_foreign(pdf.make_indirect(image))
        for key in ("/SMask", "/Mask", "/OC"):
            if key in copy:
                del copy[key]
        resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Scan=copy))
        return _render(alone, b"/Scan Do", resources, (width, 0, 0, height, 0, 0), width, height, grey)


def render_page_images(pdf: pikepdf.Pdf, page: pikepdf.Page, matrix: Matrix, width: int, height: int) -> Pixels:
    """All images of a page on white, without text and line work, (height, width, 3) ``uint8``.

    ``matrix`` is the upright rectangle of default user space that is taken.
    """
    content, resources = Rewriting(pdf, images=True).page(page)
    with pikepdf.new() as alone:
        holder = pdf.make_indirect(pikepdf.Dictionary(Resources=resources))
        copied = alone.copy_foreign(holder)
        across, up = width / matrix[0], height / matrix[3]
        to_pixels = (across, 0.0, 0.0, up, -matrix[4] * across, -matrix[5] * up)
        return _render(alone, content, copied["/Resources"], to_pixels, width, height)


def _render(
    alone: pikepdf.Pdf,
    content: bytes,
    resources: pikepdf.Object,
    matrix: Matrix,
    width: int,
    height: int,
    grey: bool = False,
) -> Pixels:
    """A page of one unit for each pixel, drawn."""
    if 4 * width * height > _MAX_BITMAP_BYTES:
        raise Refusal(f"has a page of {width} x {height} pixels, too large to be drawn; split it", "too_large")
    head = " ".join(f"{part:.10f}" for part in matrix) + " cm\n"
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=[0, 0, width, height],
        Resources=resources,
        Contents=alone.make_stream(head.encode() + content),
    )
    alone.pages.append(pikepdf.Page(page))
    file = BytesIO()
    alone.save(file, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)
    try:
        document = pypdfium2.PdfDocument(file.getvalue())
        try:
            drawn = document[0].render(scale=1, may_draw_forms=False, rev_byteorder=True, grayscale=grey).to_numpy()
            picture = np.array(drawn if grey else drawn[..., :3])
        finally:
            document.close()
    except pypdfium2.PdfiumError as error:
        raise Refusal("is damaged: a page cannot be drawn; copy it again from its source", "unreadable") from error
    if picture.shape[:2] != (height, width):
        raise Refusal("is damaged: a page cannot be drawn at its size", "unreadable")
    return picture
