"""JPEG 2000: samples of every depth, colour space, palette and profile read as the standard says."""

import struct
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image

from storage.images.records import Pixels
from tests.storage.images.jpeg2000_files import (
    CMYK,
    GREY,
    LAB,
    SRGB,
    SYCC,
    box,
    codestream,
    jp2,
    meanings,
    profile,
    read,
    refused,
    space,
)


def to_range(values: Pixels, bits: int) -> Pixels:
    """Whole-number samples as a floating-point calculation scales them."""
    top = 255 if bits <= 8 else 65535
    return np.rint(values.astype(np.float64) * top / ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 10, 12, 15, 16])
def test_grey_of_every_depth(grey16: Pixels, bits: int) -> None:
    values = (grey16 >> (16 - bits)).astype(np.uint8 if bits <= 8 else np.uint16)
    header, samples = read(jp2(codestream(values, bits), space(GREY)))
    assert (header.format, header.channels, header.bit_depth) == ("jpeg2000", 1, 8 if bits <= 8 else 16)
    assert (header.width, header.height) == (320, 246)
    assert samples.space == "grey"
    assert np.array_equal(samples.colour, to_range(values, bits))


def test_rgb_of_8_and_16_bits(sepia: Pixels, rgb48: Pixels) -> None:
    for pixels in (sepia, rgb48):
        header, samples = read(jp2(codestream(pixels, mct=True), space(SRGB)))
        assert (header.channels, samples.space, samples.alpha) == (3, "rgb", None)
        assert samples.colour.dtype == pixels.dtype
        assert np.array_equal(samples.colour, pixels)


def test_a_codestream_without_boxes(sepia: Pixels) -> None:
    for pixels, kind in ((sepia, "rgb"), (sepia[..., 1], "grey")):
        header, samples = read(codestream(np.ascontiguousarray(pixels)))
        assert (samples.space, header.metadata.icc) == (kind, None)
        assert np.array_equal(samples.colour, pixels)
    assert refused(codestream(np.dstack([sepia, sepia[..., :1]]))) == "unsupported"


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_sycc_becomes_rgb(rgb48: Pixels, bits: int) -> None:
    rgb = (rgb48 >> (16 - bits)).astype(np.float64)
    red, green, blue = np.moveaxis(rgb, 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    half = 1 << (bits - 1)
    ycc = np.dstack([luma, (blue - luma) / 1.772 + half, (red - luma) / 1.402 + half])
    stored = np.clip(np.rint(ycc), 0, (1 << bits) - 1).astype(np.uint8 if bits == 8 else np.uint16)
    header, samples = read(jp2(codestream(stored, bits), space(SYCC)))
    assert (header.channels, samples.space) == (3, "rgb")
    wanted = to_range(rgb.astype(np.uint16), bits).astype(np.int64)
    step = 1 if bits == 8 else 65535 / ((1 << bits) - 1)
    assert np.abs(samples.colour.astype(np.int64) - wanted).max() <= np.ceil(1.5 * step)


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p"])
def test_colour_of_half_the_resolution(sepia: Pixels, layout: str) -> None:
    coder = av.CodecContext.create("jpeg2000", "w")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = 320, 246, layout, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(sepia, "rgb24").reformat(format=layout, dst_color_range="JPEG")
    made = b"".join(bytes(packet) for packet in [*coder.encode(frame), *coder.encode(None)])
    stream = made[made.index(b"jp2c") + 4 :]
    for content in (stream, jp2(stream, space(SYCC))):
        header, samples = read(content)
        assert (header.channels, samples.space) == (3, "rgb")
        assert np.abs(samples.colour.astype(int) - sepia).mean() < 3
    assert refused(jp2(stream, space(SRGB))) == "unsupported"
    uneven = bytearray(stream)
    uneven[43:45] = b"\1\2"  # the first channel's steps across and down
    assert refused(bytes(uneven)) == "unsupported"


def test_cmyk_counts_ink(sepia: Pixels) -> None:
    ink = np.asarray(Image.fromarray(sepia).convert("CMYK"))
    header, samples = read(jp2(codestream(ink), space(CMYK)))
    assert (header.channels, samples.space) == (4, "cmyk")
    assert np.array_equal(samples.colour, ink)


def test_channels_in_another_order_and_alpha(sepia: Pixels) -> None:
    alpha = np.linspace(0, 255, sepia.shape[0] * sepia.shape[1]).astype(np.uint8).reshape(sepia.shape[:2])
    stored = np.dstack([alpha, sepia[..., ::-1]])
    for kind, premultiplied in ((1, False), (2, True)):
        order = meanings((0, kind, 0), (1, 0, 3), (2, 0, 2), (3, 0, 1))
        header, samples = read(jp2(codestream(stored), space(SRGB), order))
        assert np.array_equal(samples.colour, sepia)
        assert samples.alpha is not None
        assert np.array_equal(samples.alpha, alpha)
        assert (samples.premultiplied, header.channels, header.metadata.notes) == (premultiplied, 3, ())
    header, samples = read(jp2(codestream(np.dstack([sepia, alpha])), space(SRGB)))
    assert samples.alpha is None
    assert "1 more channel was left out" in header.metadata.notes[0]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_files_as_pillow_writes_them(sepia: Pixels, mode: str) -> None:
    image = Image.fromarray(sepia).convert("RGBA")
    image.putalpha(image.getchannel("G"))
    out = BytesIO()
    image.convert(mode).save(out, "JPEG2000", tile_size=(64, 64), progression="RPCL", num_resolutions=3)
    _, samples = read(out.getvalue())
    bands = [np.asarray(band) for band in image.convert(mode).split()]
    if mode.endswith("A"):
        assert samples.alpha is not None
        assert np.array_equal(samples.alpha, bands.pop())
    assert np.array_equal(samples.colour, np.dstack(bands).squeeze())


def test_a_palette(sepia: Pixels) -> None:
    image = Image.fromarray(sepia).quantize(200)
    indices = np.asarray(image)
    colours = np.asarray(image.getpalette(), np.uint8).reshape(-1, 3)[:200]
    palette = box(b"pclr", struct.pack(">HB", len(colours), 3) + b"\7\7\7" + colours.tobytes())
    mapping = box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3)))
    content = jp2(codestream(indices), space(SRGB), palette, mapping)
    header, samples = read(content)
    assert (header.channels, header.bit_depth, samples.space) == (3, 8, "rgb")
    assert np.array_equal(samples.colour, colours[indices])
    deep = (colours.astype(np.uint16) << 4).astype(">u2").tobytes()
    twelve = box(b"pclr", struct.pack(">HB", len(colours), 3) + b"\x0b\x0b\x0b" + deep)
    header, samples = read(jp2(codestream(indices), space(SRGB), twelve, mapping))
    assert header.bit_depth == 16
    assert samples.colour.dtype == np.uint16
    assert np.array_equal(samples.colour, to_range(colours.astype(np.uint16) << 4, 12)[indices])
    assert refused(jp2(codestream(indices), space(SRGB), palette)) == "unreadable"
    assert refused(content.replace(box(b"pclr", palette[8:]), box(b"pclr", palette[8:-300]), 1)) == "unreadable"
    elsewhere = box(b"cmap", struct.pack(">HBB", 9, 1, 0) * 3)
    assert refused(jp2(codestream(indices), space(SRGB), palette, elsewhere)) == "unreadable"


def test_profiles(sepia: Pixels, adobe_rgb: bytes) -> None:
    stream = codestream(sepia)
    for method in (2, 3):
        header, samples = read(jp2(stream, profile(adobe_rgb, method)))
        assert header.metadata.icc == adobe_rgb
        assert np.array_equal(samples.colour, sepia)  # as stored: converting is not the reader's affair
        assert header.facts.has_icc
    header, _ = read(jp2(stream, profile(adobe_rgb), space(SYCC)))  # of several the first counts
    assert header.metadata.icc == adobe_rgb
    lab = adobe_rgb[:16] + b"Lab " + adobe_rgb[20:]
    assert refused(jp2(stream, profile(lab))) == "unsupported"
    assert refused(jp2(stream, space(LAB))) == "unsupported"
    assert refused(jp2(codestream(sepia[..., 0].copy()), profile(adobe_rgb))) == "unreadable"
