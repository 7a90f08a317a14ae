"""Masters in TIFF without profiles, by the rows of the README's table."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from tests.storage.formats.making import Make, Read, Row, pillow, tiff
from tests.storage.formats.samples import GREY, INK, RGB, WHITE, few_bits, on_white, opacity, plain_inks, spread

LOSSLESS = (("lzw", False), ("lzw", True), ("zlib", False), ("zlib", True), ("packbits", False), (None, False))
"""Compressions of TIFF with or without predictor."""


def with_alpha(bits: int, channels: int, premultiplied: bool) -> Make:
    colour, alpha = (RGB if channels == 3 else GREY)[bits], opacity(bits)
    if premultiplied:
        colour = np.minimum(colour, alpha if channels == 1 else alpha[..., np.newaxis])
    return tiff(
        np.dstack([colour, alpha]),
        on_white(colour, alpha, premultiplied),
        1,
        photometric="rgb" if channels == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=["assocalpha" if premultiplied else "unassalpha"],
    )


def palette_tiff(bits: int) -> Make:
    colours = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3)).astype(np.uint16)

    def make(path: Path) -> Read:
        table = (320, "H", 3 << bits, (colours * 257).T.ravel(), True)
        tifffile.imwrite(path, few_bits(bits), photometric="minisblack", bitspersample=bits, extratags=[table])
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages.first.tags["PhotometricInterpretation"].overwrite(3)
        return Read(colours.astype(np.uint8)[few_bits(bits)])

    return make


def page_of_tiff(page: int) -> Make:
    def make(path: Path) -> Read:
        with tifffile.TiffWriter(path) as writer:
            for samples in (RGB[8], GREY[16], GREY[8]):
                writer.write(samples, metadata=None)
        return Read(tifffile.imread(path, key=page - 1), page=page)

    return make


def jpeg_in_tiff(photometric: str) -> Make:
    def make(path: Path) -> Read:
        tifffile.imwrite(
            path,
            RGB[8],
            photometric="rgb",
            compression="jpeg",
            compressionargs={"outcolorspace": photometric},
            metadata=None,
        )
        with Image.open(path) as image:
            return Read(np.asarray(image.convert("RGB")))

    return make


TIFF_MASTERS: dict[Row, list[Make]] = {
    ("TIFF, 1 bit; uncompressed, PackBits, LZW, Deflate, fax (RLE, Group 3, Group 4)", "as 0 and 255", "8", "sRGB"): [
        pillow(Image.fromarray(WHITE), "TIFF", "L", compression=compression)
        for compression in (None, "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_ccitt", "group3", "group4")
    ],
    ("TIFF, grey, 2 or 4 bits", "over the range of 8 bits", "8", "sRGB"): [
        tiff(few_bits(bits), spread(few_bits(bits), bits), photometric="minisblack", bitspersample=bits)
        for bits in (2, 4)
    ],
    ("TIFF, grey, 8 or 16 bits", "bit for bit", "as the master", "sRGB"): [
        tiff(GREY[bits], photometric="minisblack") for bits in (8, 16)
    ],
    ("TIFF, white is zero, 1, 8 or 16 bits", "black as 0", "as the master", "sRGB"): [
        *(tiff(GREY[bits], np.iinfo(GREY[bits].dtype).max - GREY[bits], photometric="miniswhite") for bits in (8, 16)),
        pillow(Image.fromarray(WHITE), "TIFF", "L", compression="group4", tiffinfo={262: 0}),
    ],
    ("TIFF, palette, 1 to 8 bits", "its colours", "8", "sRGB"): [palette_tiff(bits) for bits in (1, 2, 4, 8)],
    ("TIFF, RGB, 8 or 16 bits, also in separate planes", "bit for bit", "as the master", "sRGB"): [
        *(tiff(RGB[bits], photometric="rgb") for bits in (8, 16)),
        *(
            tiff(
                np.ascontiguousarray(RGB[bits].transpose(2, 0, 1)),
                RGB[bits],
                photometric="rgb",
                planarconfig="separate",
            )
            for bits in (8, 16)
        ),
    ],
    ("TIFF, CMYK without profile, 8 or 16 bits", "converted by a plain formula", "8", "sRGB"): [
        tiff(INK[bits], plain_inks(INK[8]), photometric="separated") for bits in (8, 16)
    ],
    ("TIFF, grey or RGB with alpha, 8 or 16 bits, premultiplied or not", "laid on white", "as the master", "sRGB"): [
        with_alpha(bits, channels, premultiplied)
        for bits in (8, 16)
        for channels in (1, 3)
        for premultiplied in (False, True)
    ],
    (
        "TIFF in strips or tiles; LZW, Deflate, PackBits; with predictor; big-endian; BigTIFF",
        "bit for bit",
        "as the master",
        "sRGB",
    ): [
        tiff(
            RGB[bits],
            photometric="rgb",
            compression=compression,
            predictor=predictor,
            byteorder=order,
            bigtiff=order == ">",
            **blocks,
        )
        for bits in (8, 16)
        for compression, predictor in LOSSLESS
        for order, blocks in (("<", {"rowsperstrip": 7}), (">", {"tile": (32, 16)}))
    ],
    ("TIFF with JPEG inside; grey, RGB, YCbCr", "as Pillow reads it", "8", "sRGB"): [
        pillow(Image.fromarray(GREY[8]), "TIFF", "L", compression="jpeg"),
        pillow(Image.fromarray(RGB[8]), "TIFF", "RGB", compression="jpeg"),
        jpeg_in_tiff("rgb"),
        jpeg_in_tiff("ycbcr"),
    ],
    ("TIFF of several pages", "bit for bit, each page for itself", "as the page", "sRGB"): [
        page_of_tiff(page) for page in (1, 2, 3)
    ],
}
