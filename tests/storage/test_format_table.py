"""The tables of formats in README: each row is tried with files of its kind, and each test has its row.

Files are made here of a real photograph. What is read is compared with the samples that went in, or with what Pillow,
tifffile or pdfium's own users see; copies are read back by tifffile, Pillow and imagecodecs, never by our readers.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pikepdf
import pypdfium2
import pytest
import tifffile
from pikepdf import Array, Name
from PIL import ExifTags, Image, ImageCms, IptcImagePlugin

from storage.errors import UnreadableImage
from storage.images import DerivativeProvenance, Master, WrittenDerivative, write_access_copy, write_derivative
from storage.images.jpeg2000_boxes import EXIF_UUID, IPTC_UUID, XMP_UUID
from storage.images.rows import whole
from storage.images.srgb import srgb_profile
from storage.masters import identify_pages, read_master, write_document
from tests.flows.test_colour_spaces import SPACES, cmyk_profile, gamma, read_copy, table_rgb_profile
from tests.flows.test_colour_spaces import Space as ColourSpace
from tests.storage.documents import documents
from tests.storage.images import test_dng as dng
from tests.storage.images import test_jpeg2000 as boxes

Pixels = npt.NDArray[Any]
Row = tuple[str, ...]
README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.split("## What goes in, what comes out\n")[1].split("\n## ")[0]
PHOTOGRAPH = Path(__file__).parents[1] / "data" / "dust_bowl_home.jpg"
WIDTH, HEIGHT = 61, 45
COPIES = {"tiff": "copy.tif", "png": "copy.png", "jp2": "copy.jp2"}


def table(heading: str) -> list[Row]:
    """The rows of the README's table whose first column is called so."""
    (found,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", SECTION, re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in found.splitlines()]


def _photograph(bits: int) -> Pixels:
    """(45, 61, 3): every channel is different, and 16 bits are all in use."""
    with Image.open(PHOTOGRAPH) as image:
        rgb = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT))).astype(np.uint32)
    rgb[..., 2] = 255 - rgb[..., 2]
    if bits == 8:
        return rgb.astype(np.uint8)
    fine = np.random.default_rng(1).integers(0, 256, rgb.shape)
    return (rgb * 256 + fine).astype(np.uint16)


RGB = {8: _photograph(8), 16: _photograph(16)}
GREY = {bits: np.ascontiguousarray(rgb[..., 0]) for bits, rgb in RGB.items()}
WHITE = GREY[8] > 110
INK = {8: np.asarray(Image.fromarray(RGB[8]).convert("CMYK"))}
INK[8] = np.ascontiguousarray(np.dstack([INK[8][..., :3] // 2, 255 - GREY[8]]))
INK[16] = INK[8].astype(np.uint16) * 257


@dataclass(frozen=True)
class Read:
    """What is to be read of a master: ``samples``, from which each may be ``off`` by so much; its own profile."""

    samples: Pixels
    off: int = 0
    page: int = 1
    profile: bytes | None = None
    note: str = ""


Make = Callable[[Path], Read]
"""Writes a master to the path."""


def tiff(samples: Pixels, expected: Pixels | None = None, off: int = 0, **how: Any) -> Make:
    def make(path: Path) -> Read:
        tifffile.imwrite(path, samples, metadata=None, **how)
        wanted = samples if expected is None else expected
        if expected is None and how.get("photometric") in ("minisblack", "rgb") and samples.shape[-1] in (3, WIDTH):
            assert np.array_equal(tifffile.imread(path), samples)
        return Read(wanted, off, profile=how.get("iccprofile"))

    return make


def pillow(image: Image.Image, form: str, mode: str, off: int = 0, **how: Any) -> Make:
    """A file that Pillow writes, and what it reads of it in a mode."""

    def make(path: Path) -> Read:
        image.save(path, form, **how)
        with Image.open(path) as found:
            return Read(np.asarray(found.convert(mode)), off, profile=how.get("icc_profile"))

    return make


def content(data: bytes, samples: Pixels, off: int = 0, profile: bytes | None = None) -> Make:
    def make(path: Path) -> Read:
        path.write_bytes(data)
        return Read(samples, off, profile=profile)

    return make


def on_white(colour: Pixels, alpha: Pixels, premultiplied: bool = False) -> Pixels:
    top = np.iinfo(colour.dtype).max
    share = (alpha / top).reshape(alpha.shape + (1,) * (colour.ndim - 2))
    found = (colour if premultiplied else colour * share) + (1 - share) * top
    return np.clip(np.rint(found), 0, top).astype(colour.dtype)


def opacity(bits: int) -> Pixels:
    top = (1 << bits) - 1
    return np.linspace(0, top, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16 if bits == 16 else np.uint8)


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


def few_bits(bits: int) -> Pixels:
    return (GREY[8] >> (8 - bits)).astype(np.uint8)


def spread(values: Pixels, bits: int) -> Pixels:
    """Few bits over the full range of 8, or of 16."""
    full = 255 if bits <= 8 else 65535
    return np.rint(values / ((1 << bits) - 1) * full).astype(np.uint8 if bits <= 8 else np.uint16)


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


def png(kind: int, bits: int, samples: Pixels, expected: Pixels, *further: tuple[bytes, bytes], off: int = 0) -> Make:
    """A PNG by its chunks: colour type, bits, samples (H, W) or (H, W, channels) as they are to be stored."""
    if bits < 8:
        spread_out = (samples[..., np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
        lines = np.packbits(spread_out.reshape(HEIGHT, -1).astype(np.uint8), axis=1)
    else:
        lines = samples.astype(f">u{bits // 8}").reshape(HEIGHT, -1).view(np.uint8)
    packed = zlib.compress(np.pad(lines, ((0, 0), (1, 0))).tobytes())
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, kind, 0, 0, 0)), *further]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in (*chunks, (b"IDAT", packed), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return content(data, expected, off)


def palette_png(bits: int, transparent: bool = False) -> Make:
    colours = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3)).astype(np.uint8)
    chunks, alpha = [(b"PLTE", colours.tobytes())], np.full(1 << bits, 255, np.uint8)
    if transparent:
        alpha = np.linspace(0, 255, 1 << bits).astype(np.uint8)
        chunks.append((b"tRNS", alpha.tobytes()))
    values = few_bits(bits)
    return png(3, bits, values, on_white(colours[values], alpha[values]), *chunks, off=int(transparent))


def jpeg2000(samples: Pixels, bits: int, expected: Pixels, *header: bytes, bare: bool = False, off: int = 0) -> Make:
    stream = boxes.codestream(np.ascontiguousarray(samples), bits)
    return content(stream if bare else boxes.jp2(stream, *header), expected, off)


def palette_jp2() -> Make:
    colours = np.random.default_rng(8).integers(0, 256, (256, 3)).astype(np.uint8)
    palette = boxes.box(b"pclr", struct.pack(">HB", 256, 3) + b"\7\7\7" + colours.tobytes())
    mapping = boxes.box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3)))
    return jpeg2000(GREY[8], 8, colours[GREY[8]], boxes.space(boxes.SRGB), palette, mapping)


def raw_camera_file(path: Path) -> Read:
    """One even grey, which is to be seen as such whatever the way of developing."""
    scene = np.full((120, 160, 3), 0.4)
    tags = [*dng.camera_tags(), *dng.sensor_tags()]
    tifffile.imwrite(path, dng.mosaic(scene), photometric=32803, extratags=tags, metadata=None, software=False)
    return Read(np.rint(dng.encoded(scene)).astype(np.uint16), off=130)


def plain_inks(ink: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(ink, "CMYK").convert("RGB"))


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


def converted(samples: Pixels, mode: str, profile: bytes) -> Pixels:
    """8-bit samples in sRGB, by Pillow's own lcms."""
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION if mode == "CMYK" else ImageCms.Flags.NONE
    result = ImageCms.profileToProfile(
        Image.fromarray(samples, mode),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=flags,
    )
    assert result is not None
    return np.asarray(result)


def with_profile(name: str, bits: int) -> list[Make]:
    profile = SPACES[name].profile
    made = [
        tiff(RGB[bits], photometric="rgb", iccprofile=profile),
        icc_pdf(RGB[bits], profile),
        jpeg2000_with_profile(RGB[bits], profile),
    ]
    if bits == 16:
        packed = png(2, 16, RGB[16], RGB[16], (b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
        made.append(lambda path: replace(packed(path), profile=profile))
    else:
        image = Image.fromarray(RGB[8])
        made += [
            pillow(image, "PNG", "RGB", icc_profile=profile),
            pillow(image, "JPEG", "RGB", icc_profile=profile),
            pillow(image, "WEBP", "RGB", icc_profile=profile, lossless=True),
        ]
    return made


def jpeg2000_with_profile(samples: Pixels, profile: bytes) -> Make:
    made = boxes.jp2(boxes.codestream(samples, 8 * samples.itemsize), boxes.profile(profile))
    return content(made, samples, profile=profile)


def noted(make: Make, note: str) -> Make:
    return lambda path: replace(make(path), note=note)


def grey_tiff(bits: int, profile: bytes) -> Make:
    return tiff(GREY[bits], photometric="minisblack", iccprofile=profile)


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


def webp_with_alpha(path: Path) -> Read:
    picture = np.dstack([RGB[8], opacity(8)])
    Image.fromarray(picture, "RGBA").save(path, "WEBP", lossless=True, exact=True)
    return Read(on_white(RGB[8], opacity(8)), off=1)


def cmyk_jpeg_with_profile(path: Path) -> Read:
    Image.fromarray(INK[8], "CMYK").save(path, "JPEG", quality=95, icc_profile=cmyk_profile())
    with Image.open(path) as image:
        return Read(converted(np.asarray(image), "CMYK", cmyk_profile()), off=2)


SRGB = SPACES["sRGB"].profile
FALLING = bytes(range(255, -1, -1)) * 3
"""A palette."""
LINEAR = ColourSpace(gamma(1.0)).profile
LOSSLESS = (("lzw", False), ("lzw", True), ("zlib", False), ("zlib", True), ("packbits", False), (None, False))
"""Compressions of TIFF with or without predictor."""
MASTERS: dict[Row, list[Make]] = {
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
    ("JPEG; grey, RGB; baseline, progressive", "as Pillow reads it", "8", "sRGB"): [
        pillow(Image.fromarray(samples), "JPEG", mode, quality=90, progressive=progressive)
        for samples, mode in ((GREY[8], "L"), (RGB[8], "RGB"))
        for progressive in (False, True)
    ],
    ("JPEG, CMYK as Adobe writes it (inverted), without profile", "converted by a plain formula", "8", "sRGB"): [
        pillow(Image.fromarray(INK[8], "CMYK"), "JPEG", "RGB", quality=90)
    ],
    ("PNG, grey, 1, 2 or 4 bits", "over the range of 8 bits", "8", "sRGB"): [
        png(0, bits, few_bits(bits), spread(few_bits(bits), bits)) for bits in (1, 2, 4)
    ],
    ("PNG, grey or RGB, 8 or 16 bits", "bit for bit", "as the master", "sRGB"): [
        *(png(0, bits, GREY[bits], GREY[bits]) for bits in (8, 16)),
        *(png(2, bits, RGB[bits], RGB[bits]) for bits in (8, 16)),
    ],
    ("PNG, palette, 1 to 8 bits", "its colours", "8", "sRGB"): [palette_png(bits) for bits in (1, 2, 4, 8)],
    ("PNG, grey, RGB or palette with alpha", "laid on white", "as the master", "sRGB"): [
        *(
            png(4, bits, np.dstack([GREY[bits], opacity(bits)]), on_white(GREY[bits], opacity(bits)), off=1)
            for bits in (8, 16)
        ),
        *(
            png(6, bits, np.dstack([RGB[bits], opacity(bits)]), on_white(RGB[bits], opacity(bits)), off=1)
            for bits in (8, 16)
        ),
        palette_png(8, transparent=True),
    ],
    ("WebP; lossless, lossy", "as Pillow reads it", "8", "sRGB"): [
        pillow(Image.fromarray(RGB[8]), "WEBP", "RGB", lossless=lossless, quality=90) for lossless in (True, False)
    ],
    ("WebP with alpha", "laid on white", "8", "sRGB"): [webp_with_alpha],
    ("JPEG 2000 (JP2 or a bare codestream); grey or RGB, 8 or 16 bits", "bit for bit", "as the master", "sRGB"): [
        jpeg2000(samples[bits], bits, samples[bits], boxes.space(space), bare=bare)
        for samples, space in ((GREY, boxes.GREY), (RGB, boxes.SRGB))
        for bits in (8, 16)
        for bare in (False, True)
    ],
    ("JPEG 2000, 1 to 7 bits", "over the range of 8 bits", "8", "sRGB"): [
        jpeg2000(few_bits(bits), bits, spread(few_bits(bits), bits), boxes.space(boxes.GREY)) for bits in (1, 2, 4, 7)
    ],
    ("JPEG 2000, 9 to 15 bits", "over the range of 16 bits", "16", "sRGB"): [
        jpeg2000(samples[16] >> (16 - bits), bits, spread(samples[16] >> (16 - bits), bits), boxes.space(space))
        for samples, space in ((GREY, boxes.GREY), (RGB, boxes.SRGB))
        for bits in (9, 12, 15)
    ],
    ("JPEG 2000, palette", "its colours", "8", "sRGB"): [palette_jp2()],
    ("JPEG 2000, RGB with alpha", "laid on white", "as the master", "sRGB"): [
        jpeg2000(
            np.dstack([RGB[bits], opacity(bits)]),
            bits,
            on_white(RGB[bits], opacity(bits)),
            boxes.space(boxes.SRGB),
            boxes.meanings((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0)),
            off=1,
        )
        for bits in (8, 16)
    ],
    ("JPEG 2000, CMYK", "converted by a plain formula", "8", "sRGB"): [
        jpeg2000(INK[8], 8, plain_inks(INK[8]), boxes.space(boxes.CMYK))
    ],
    ("DNG", "developed: white balance as shot, no brightening", "16", "sRGB"): [raw_camera_file],
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
    ("Profile of sRGB, under any name", "bit for bit", "as the master", "sRGB"): [
        *(tiff(RGB[bits], photometric="rgb", iccprofile=SRGB) for bits in (8, 16)),
        pillow(Image.fromarray(RGB[8]), "PNG", "RGB", icc_profile=bytes(imagecodecs.cms_profile("srgb"))),
    ],
    (
        "RGB profile of matrix and curves (Adobe RGB, eciRGB v2, Display P3, ProPhoto RGB); in any format",
        "bit for bit",
        "as the master",
        "the master's own",
    ): [
        make
        for name in ("Adobe RGB (1998)", "eciRGB v2", "Display P3", "ProPhoto RGB")
        for bits in (8, 16)
        for make in with_profile(name, bits)
    ],
    ("Profile of a grey scale: gamma 1.8, gamma 2.2, dot gain 20 %", "bit for bit", "as the master", "sRGB"): [
        grey_tiff(bits, SPACES[name].profile)
        for bits in (8, 16)
        for name in ("grey gamma 1.8", "grey gamma 2.2", "dot gain 20 %")
    ],
    ("Profile of linear light, grey of 8 bits", "bit for bit", "16, so that no tones are lost", "sRGB"): [
        noted(grey_tiff(8, LINEAR), "converted to 16 bits")
    ],
    ("RGB profile with a table of colours", "converted to sRGB", "as the master", "sRGB"): [
        tiff(
            RGB[8], converted(RGB[8], "RGB", table_rgb_profile()), 1, photometric="rgb", iccprofile=table_rgb_profile()
        ),
        tiff(
            RGB[16],
            converted((RGB[16] >> 8).astype(np.uint8), "RGB", table_rgb_profile()).astype(np.uint16) * 257,
            700,
            photometric="rgb",
            iccprofile=table_rgb_profile(),
        ),
    ],
    ("CMYK with profile, 8 or 16 bits", "converted to sRGB", "as the master", "sRGB"): [
        tiff(INK[8], converted(INK[8], "CMYK", cmyk_profile()), 2, photometric="separated", iccprofile=cmyk_profile()),
        tiff(
            INK[16],
            converted(INK[8], "CMYK", cmyk_profile()).astype(np.uint16) * 257,
            700,
            photometric="separated",
            iccprofile=cmyk_profile(),
        ),
        cmyk_jpeg_with_profile,
    ],
    ("Profile that is damaged, or for another kind of picture", "bit for bit", "as the master", "sRGB"): [
        noted(tiff(RGB[8], photometric="rgb", iccprofile=SPACES["eciRGB v2"].profile[:200] + bytes(600)), "is damaged"),
        noted(tiff(RGB[8], photometric="rgb", iccprofile=cmyk_profile()), "another kind of picture"),
    ],
}
CASES = [
    pytest.param(row, make, id=f"{row[0]}-{number}")
    for row, made in MASTERS.items()
    for number, make in enumerate(made)
]


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    assert table("master") == list(MASTERS)
    assert table("metadata of the master") == list(METADATA)
    assert table("metadata of the copy") == list(KEPT)
    assert table("refused") == list(REFUSED)


@pytest.fixture(scope="module")
def provenance() -> DerivativeProvenance:
    return DerivativeProvenance(
        software="Archive Colorizer",
        version="0.1.0",
        ai_system="SSCN",
        ai_system_version="default 0123abcd",
        when=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def colours_for(master: Master) -> Pixels:
    """Samples of a copy that are different in every channel."""
    stored = whole(master.samples)
    depth = np.uint16 if master.bit_depth == 16 else np.uint8
    wide = stored.astype(depth) * (257 if stored.itemsize < np.dtype(depth).itemsize else 1)
    rgb = wide if wide.ndim == 3 else np.repeat(wide[..., np.newaxis], 3, axis=2)
    return np.asarray(rgb // np.array([1, 2, 3], depth))


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


XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Headline="A house in the dust"/></rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
).encode()
IPTC = b"\x1c\x02\x78\x00\x0cA farm house"
LABEL = b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PROFILE = SPACES["Adobe RGB (1998)"].profile
ORIENTATION, PPI = 6, 300.0
TAKEN, LATITUDE = "1936:04:01 10:00:00", (36.0, 30.0, 0.0)


def exif(*, resolution: bool = False) -> Image.Exif:
    """A caption, the time, the place, a maker's private note and the orientation."""
    made = Image.Exif()
    made[ExifTags.Base.ImageDescription] = "Abandoned house"
    made[ExifTags.Base.Orientation] = ORIENTATION
    made.get_ifd(ExifTags.IFD.Exif).update({36867: TAKEN, 37500: b"private to the maker"})
    made.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: LATITUDE})
    if resolution:
        made[ExifTags.Base.XResolution] = made[ExifTags.Base.YResolution] = PPI
        made[ExifTags.Base.ResolutionUnit] = 2
    return made


def exif_block() -> bytes:
    return exif().tobytes().removeprefix(b"Exif\0\0")


def _metadata_tiff(path: Path) -> None:
    tags = Image.Exif()
    tags.load(exif().tobytes())
    tags[700], tags[33723] = XMP, IPTC
    Image.fromarray(RGB[8]).save(path, "TIFF", dpi=(PPI, PPI), icc_profile=PROFILE, exif=tags)


def _metadata_jpeg(path: Path) -> None:
    resource = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
    extra = b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource
    how: dict[str, Any] = {"dpi": (PPI, PPI), "icc_profile": PROFILE, "exif": exif(), "xmp": XMP, "extra": extra}
    Image.fromarray(RGB[8]).save(path, "JPEG", **how)


def _metadata_png(path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    picture = Image.fromarray(RGB[8])
    picture.save(path, "PNG", dpi=(PPI, PPI), icc_profile=PROFILE, exif=exif(), pnginfo=texts)


def _metadata_webp(path: Path) -> None:
    how: dict[str, Any] = {"icc_profile": PROFILE, "exif": exif(resolution=True), "xmp": XMP, "lossless": True}
    Image.fromarray(RGB[8]).save(path, "WEBP", **how)


def _metadata_jp2(path: Path) -> None:
    uuids = ((EXIF_UUID, exif_block()), (XMP_UUID, XMP), (IPTC_UUID, IPTC))
    after = b"".join(boxes.box(b"uuid", name + body) for name, body in uuids)
    resolution = boxes.box(b"resc", struct.pack(">HHHHbb", 30000, 254, 30000, 254, 2, 2))
    header = (boxes.profile(PROFILE), boxes.box(b"res ", resolution))
    path.write_bytes(boxes.jp2(boxes.codestream(RGB[8]), *header, after=after))


def _metadata_dng(path: Path) -> None:
    tags = [*dng.camera_tags(ORIENTATION), *dng.sensor_tags()]
    tags += [(270, "s", 0, "Abandoned house", True)]
    tags += [(number, "B", len(block), block, True) for number, block in ((700, XMP), (33723, IPTC))]
    pointers = {34664: 34665, 34852: 34853}  # tifffile does not write Exif's own tags: those before, renamed below
    tags += [(number, "I", 1, 0, True) for number in pointers]
    how: dict[str, Any] = {"resolution": (PPI, PPI), "extratags": tags, "metadata": None, "software": False}
    tifffile.imwrite(path, dng.mosaic(np.full((64, 64, 3), 0.4)), photometric=32803, **how)
    with tifffile.TiffFile(path) as file:
        places = {number: file.pages.first.tags[number].offset for number in pointers}
    data = bytearray(path.read_bytes())
    data += bytes(len(data) % 2)
    camera, place = len(data), len(data) + 40
    data += struct.pack("<HHHIII", 1, 36867, 2, 20, camera + 18, 0) + f"{TAKEN}\0".encode() + bytes(2)
    data += struct.pack("<HHHI4sHHIII", 2, 1, 2, 2, b"N", 2, 5, 3, place + 30, 0)
    data += struct.pack("<6I", *(part for value in LATITUDE for part in (int(value), 1)))
    for number, start in ((34664, camera), (34852, place)):
        struct.pack_into("<HHII", data, places[number], pointers[number], 4, 1, start)
    path.write_bytes(data)


def _metadata_pdf(path: Path) -> None:
    """One inch for 300 pixels, and the page is shown turned to the right."""
    with pikepdf.new() as document:
        size = (WIDTH * 72 / PPI, HEIGHT * 72 / PPI)
        space = Array([Name.ICCBased, document.make_stream(PROFILE, N=3)])
        picture = documents.flate(document, RGB[8], space)
        page = f"q {size[0]:.4f} 0 0 {size[1]:.4f} 0 0 cm /Im0 Do Q {documents.HIDDEN_TEXT}"
        documents.add_page(document, {"Im0": picture}, page, (0, 0, *size), Rotate=90)
        document.Root["/Metadata"] = document.make_stream(XMP, Type=Name.Metadata, Subtype=Name.XML)
        document.docinfo["/Title"] = pikepdf.String("Box 3")
        document.attachments["notes.txt"] = b"found in the attic"
        document.save(path)


METADATA: dict[Row, Callable[[Path], None]] = {
    ("TIFF", "yes", "yes", "yes", "yes", "yes", "yes"): _metadata_tiff,
    ("JPEG", "yes", "yes", "yes", "yes", "yes", "yes"): _metadata_jpeg,
    ("PNG", "yes", "yes", "yes", "no", "yes", "yes"): _metadata_png,
    ("WebP", "yes", "yes", "yes", "no", "yes", "yes"): _metadata_webp,
    ("JPEG 2000", "yes", "yes", "yes", "yes", "yes", "yes"): _metadata_jp2,
    ("DNG", "yes", "yes", "yes", "yes", "yes", "no"): _metadata_dng,
    ("a PDF's page", "yes", "yes", "no", "no", "no", "yes"): _metadata_pdf,
}


@pytest.mark.parametrize(("row", "make"), [pytest.param(row, make, id=row[0]) for row, make in METADATA.items()])
def test_metadata_of_masters(tmp_path: Path, row: Row, make: Callable[[Path], None]) -> None:
    make(tmp_path / "master")
    found = read_master(tmp_path / "master").metadata
    caption = found.description == "Abandoned house"
    if caption:
        block = Image.Exif()
        block.load(b"Exif\0\0" + (found.exif or b""))
        caption = block.get_ifd(ExifTags.IFD.Exif)[36867] == TAKEN
        caption = caption and block.get_ifd(ExifTags.IFD.GPSInfo)[2] == LATITUDE
    is_there = (
        found.ppi is not None and np.allclose(found.ppi, PPI, atol=0.05),
        found.orientation == ORIENTATION,
        caption,
        found.iptc is not None and found.iptc.startswith(IPTC),
        found.xmp is not None and found.xmp.rstrip(b"\0") == XMP,
        found.icc == PROFILE,
    )
    assert row[1:] == tuple("yes" if one else "no" for one in is_there)


KEPT: dict[Row, str] = {
    ("ppi", "kept", "kept", "kept", "kept", "the page's size"): "ppi",
    ("orientation", "kept", "kept", "kept", "kept", "the page's turn"): "orientation",
    ("Exif with GPS", "kept", "kept", "kept", "kept", "–"): "exif",
    ("maker's notes in Exif", "left out, noted", "left out, noted", "left out, noted", "left out, noted", "–"): "maker",
    ("IPTC", "kept", "left out, noted", "kept", "kept", "–"): "iptc",
    ("XMP, with the label of machine-made colour added", "kept", "kept", "kept", "kept", "kept"): "xmp",
    ("profile of the copy", "embedded", "embedded", "embedded", "sRGB", "embedded"): "profile",
    ("text, title, attachments", "–", "–", "–", "–", "kept"): "document",
}


def _exif_of(path: Path) -> Image.Exif:
    if path.suffix != ".jp2":
        with Image.open(path) as image:
            found = image.getexif()
            for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                found.get_ifd(directory)  # while the file is open
            return found
    _, _, rest = path.read_bytes().partition(b"JpgTiffExif->JP2")
    found = Image.Exif()
    found.load(b"Exif\0\0" + rest)
    return found


def _said_of_copy(copy: WrittenDerivative, what: str) -> str:
    """What became of something that the master carried, in the table's words."""
    path = copy.path
    block = _exif_of(path)
    camera, place = block.get_ifd(ExifTags.IFD.Exif), block.get_ifd(ExifTags.IFD.GPSInfo)
    mark = "nothing"
    with Image.open(path) as image:
        if what == "ppi":
            kept = "dpi" in image.info and np.allclose(image.info["dpi"], PPI, atol=0.05)
        elif what == "orientation":
            upright = path.suffix == ".tif"  # as Pillow gives the size of a TIFF
            turned = image.size == ((copy.height, copy.width) if upright else (copy.width, copy.height))
            kept = turned and block[ExifTags.Base.Orientation] == ORIENTATION
        elif what == "exif":
            found = (block.get(ExifTags.Base.ImageDescription), camera.get(36867), place.get(2))
            kept = found == ("Abandoned house", TAKEN, LATITUDE)
        elif what == "maker":
            kept, mark = 37500 in camera, "MakerNote"
        elif what == "iptc":
            datasets = None if path.suffix == ".jp2" else IptcImagePlugin.getiptcinfo(image)
            in_box = bytes(IPTC_UUID + IPTC) in path.read_bytes()
            kept, mark = in_box or (datasets or {}).get((2, 120)) == b"A farm house", "IPTC"
        elif what == "xmp":
            data = path.read_bytes()
            kept = b"A house in the dust" in data and LABEL in data
        elif what == "profile":
            icc = image.info["icc_profile"] if path.suffix == ".jpg" else read_copy(path)[1]
            return {PROFILE: "embedded", srgb_profile(): "sRGB"}.get(icc, "wrong")
        else:
            return "–"
    if kept:
        return "kept"
    return "left out, noted" if any(mark in note for note in copy.notes) else "not there"


def _said_of_pdf(path: Path, what: str) -> str:
    """The same of a PDF, which is compared with the master beside it."""
    with pikepdf.open(path) as copy, pikepdf.open(path.with_name("master")) as master:
        page, before = copy.pages[0], master.pages[0]
        if what == "ppi":
            same = page.MediaBox == before.MediaBox
            return "the page's size" if same else "lost"
        if what == "orientation":
            return "the page's turn" if page.Rotate == before.Rotate == 90 else "lost"
        if what == "xmp":
            packet = copy.Root.Metadata.read_bytes()
            return "kept" if b"A house in the dust" in packet and LABEL in packet else "lost"
        if what == "profile":
            (picture,) = page.Resources.XObject.values()
            return "embedded" if picture.ColorSpace[1].read_bytes() == PROFILE else "wrong"
        if what == "document":
            kept = copy.docinfo["/Title"] == "Box 3" and copy.attachments["notes.txt"].get_file().read_bytes()
            texts = [
                pypdfium2.PdfDocument(file)[0].get_textpage().get_text_range()
                for file in (path, path.with_name("master"))
            ]
            return "kept" if kept == b"found in the attic" and texts[0] == texts[1] != "" else "lost"
    return "–"


@pytest.fixture(scope="module", params=[row for row in METADATA if "PDF" not in row[0]], ids=lambda row: row[0])
def copies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, provenance: DerivativeProvenance
) -> tuple[Row, list[WrittenDerivative]]:
    """A master's row and its copies in all formats."""
    folder = tmp_path_factory.mktemp("copies")
    METADATA[request.param](folder / "master")
    master = read_master(folder / "master")
    rgb = colours_for(master)
    made = [
        write_derivative(folder / name, rgb, master, provenance, form)  # type: ignore[arg-type]
        for form, name in COPIES.items()
    ]
    return request.param, [*made, write_access_copy(folder / "access.jpg", rgb, master, provenance)]


@pytest.mark.parametrize(("row", "what"), [pytest.param(row, what, id=what) for row, what in KEPT.items()])
def test_metadata_of_copies(copies: tuple[Row, list[WrittenDerivative]], row: Row, what: str) -> None:
    """A copy has what the row says, as far as its master had it."""
    master, written = copies
    had = dict(zip(("ppi", "orientation", "exif", "iptc", "xmp", "profile"), master[1:], strict=True))
    had["maker"] = had["exif"] if master[0] != "DNG" else "no"
    found = [_said_of_copy(copy, what) for copy in written]
    if what == "profile" and had[what] == "no":
        assert found == ["sRGB"] * 4
    elif had.get(what) == "no":
        assert found == ["not there"] * 4
    else:
        assert found == list(row[1:5])


@pytest.fixture(scope="module")
def copy_of_pdf(tmp_path_factory: pytest.TempPathFactory, provenance: DerivativeProvenance) -> Path:
    """Beside its master."""
    folder = tmp_path_factory.mktemp("pdf")
    _metadata_pdf(folder / "master")
    master = read_master(folder / "master")
    page = write_derivative(folder / "page.tif", colours_for(master), master, provenance)
    (folder / "copy.pdf").touch()
    write_document(folder / "copy.pdf", folder / "master", {1: page.path}, "pdf", provenance, master.sha256)
    return folder / "copy.pdf"


@pytest.mark.parametrize(("row", "what"), [pytest.param(row, what, id=what) for row, what in KEPT.items()])
def test_metadata_of_pdf_copies(copy_of_pdf: Path, row: Row, what: str) -> None:
    assert row[5] == _said_of_pdf(copy_of_pdf, what)


def test_an_access_copy_of_another_size_has_another_resolution(
    tmp_path: Path, provenance: DerivativeProvenance
) -> None:
    _metadata_jpeg(tmp_path / "master")
    master = read_master(tmp_path / "master")
    write_access_copy(tmp_path / "small.jpg", colours_for(master), master, provenance, long_side=30)
    with Image.open(tmp_path / "small.jpg") as image:
        assert max(image.size) == 30
        assert image.getexif()[ExifTags.Base.XResolution] == pytest.approx(PPI * 30 / WIDTH, abs=0.1)


def _copy_of_pages(tmp_path: Path, provenance: DerivativeProvenance, form: str, wanted: tuple[int, ...]) -> Path:
    path = tmp_path / "master"
    pages, sha256 = {}, ""
    for number in wanted:
        master = read_master(path, page=number)
        rgb, sha256 = colours_for(master), master.sha256
        pages[number] = write_derivative(tmp_path / f"page{number}.tif", rgb, master, provenance).path
    (tmp_path / "copy").touch()
    write_document(tmp_path / "copy", path, pages, form, provenance, sha256)  # type: ignore[arg-type]
    return tmp_path / "copy"


def test_a_tiff_of_several_pages_has_a_copy_of_as_many(tmp_path: Path, provenance: DerivativeProvenance) -> None:
    page_of_tiff(1)(tmp_path / "master")
    copy = _copy_of_pages(tmp_path, provenance, "tiff", (1, 2))
    with tifffile.TiffFile(copy) as found, tifffile.TiffFile(tmp_path / "master") as master:
        assert len(found.pages) == len(master.pages) == 3
        for number in (1, 2):
            wanted = colours_for(read_master(tmp_path / "master", page=number))
            assert np.array_equal(found.pages[number - 1].asarray(), wanted)
        assert np.array_equal(found.pages[2].asarray(), master.pages[2].asarray())


def _two_pages(path: Path) -> None:
    with pikepdf.new() as document:
        for samples in (RGB[8], RGB[16]):
            picture = documents.flate(document, samples, Name.DeviceRGB, 8 * samples.itemsize)
            page = f"q {WIDTH} 0 0 {HEIGHT} 0 0 cm /Im0 Do Q"
            documents.add_page(document, {"Im0": picture}, page, (0, 0, WIDTH, HEIGHT))
        documents.add_page(document, {}, "BT /F1 12 Tf 5 5 Td (Only text) Tj ET", (0, 0, WIDTH, HEIGHT))
        document.save(path)


def test_a_pdf_has_a_pdf_or_a_tiff_of_its_coloured_pages(tmp_path: Path, provenance: DerivativeProvenance) -> None:
    _two_pages(tmp_path / "master")
    with pikepdf.open(_copy_of_pages(tmp_path, provenance, "pdf", (1, 2))) as copy:
        assert len(copy.pages) == 3
        for page, bits in zip(copy.pages, (8, 16), strict=False):
            (picture,) = page.Resources.XObject.values()
            assert picture.BitsPerComponent == bits
        (picture,) = copy.pages[0].Resources.XObject.values()
        assert isinstance(picture, pikepdf.Stream)
        wanted = colours_for(read_master(tmp_path / "master", page=1))
        assert np.array_equal(np.asarray(pikepdf.PdfImage(picture).as_pil_image()), wanted)
    with tifffile.TiffFile(_copy_of_pages(tmp_path, provenance, "tiff", (1, 2))) as copy:
        assert [page.dtype for page in copy.pages] == [np.uint8, np.uint16]


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
    _metadata_pdf(path)
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
            _metadata_pdf,
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
        _metadata_pdf,
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
REFUSALS = [
    pytest.param(row, make, id=f"{row[0][:40]}-{number}")
    for row, made in REFUSED.items()
    for number, make in enumerate(made)
]


@pytest.mark.parametrize(("row", "make"), REFUSALS)
def test_refusals(tmp_path: Path, row: Row, make: Callable[[Path], object]) -> None:
    make(tmp_path / "scan no. 7")
    limit = 1000 if row[1] == "too_large" else 1_000_000
    with pytest.raises(UnreadableImage) as refused:
        read_master(tmp_path / "scan no. 7", max_pixels=limit)
    assert refused.value.error_type == row[1]
    assert refused.value.message.startswith("scan no. 7 ")
    assert "\n" not in refused.value.message
