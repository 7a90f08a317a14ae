"""Masters in every row of the README's table, each with what a reader should find in it."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pikepdf
import tifffile
from pikepdf import Array, Name
from PIL import Image, ImageCms

from storage.images.srgb import srgb_profile
from tests.icc_profiles import SPACES, cmyk_profile, gamma, table_rgb_profile
from tests.icc_profiles import Space as ColourSpace
from tests.storage.documents import documents
from tests.storage.images import test_dng as dng
from tests.storage.images import test_jpeg2000 as boxes

Pixels = npt.NDArray[Any]
Row = tuple[str, ...]
PHOTOGRAPH = Path(__file__).parents[1] / "data" / "dust_bowl_home.jpg"
WIDTH, HEIGHT = 61, 45


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
