"""Masters in JPEG, PNG, WebP, JPEG 2000 and DNG without profiles, by the rows of the README's table."""

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from tests.storage.formats.making import Make, Read, Row, content, pillow
from tests.storage.formats.samples import (
    GREY,
    HEIGHT,
    INK,
    RGB,
    WIDTH,
    Pixels,
    few_bits,
    on_white,
    opacity,
    plain_inks,
    spread,
)
from tests.storage.images import jpeg2000_files as boxes
from tests.storage.images import test_dng as dng


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


def webp_with_alpha(path: Path) -> Read:
    picture = np.dstack([RGB[8], opacity(8)])
    Image.fromarray(picture, "RGBA").save(path, "WEBP", lossless=True, exact=True)
    return Read(on_white(RGB[8], opacity(8)), off=1)


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


PICTURE_MASTERS: dict[Row, list[Make]] = {
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
}
