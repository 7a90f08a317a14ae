"""JPEG 2000: boxes and codestreams read as the standard says, cut or absurd ones refused before decoding."""

import struct
import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from io import BytesIO
from pathlib import Path

import av
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from storage.images import jpeg2000, read_master
from storage.images.jpeg2000 import bands
from storage.images.jpeg2000_boxes import EXIF_UUID, IPTC_UUID, SIGNATURE, XMP_UUID
from storage.images.jpeg2000_writer import write_jpeg2000
from storage.images.records import Header, Pixels, Refusal, Samples
from storage.images.source import Source
from storage.images.srgb import srgb_profile

SRGB, GREY, SYCC, CMYK, LAB = 16, 17, 18, 12, 14
IPTC = b"\x1c\x02\x05\x00\x03Oak"


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def codestream(samples: Pixels, bits: int | None = None, *, mct: bool = False) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, codecformat="j2k", bitspersample=bits, mct=mct))


def jp2(stream: bytes, *boxes: bytes, after: bytes = b"") -> bytes:
    """A JP2 file with the codestream and, after the image header, what is given."""
    width, height = struct.unpack_from(">II", stream, 8)
    count, depth = struct.unpack_from(">HB", stream, 40)
    header = box(b"ihdr", struct.pack(">IIHBBBB", height, width, count, depth, 7, 0, 0))
    kind = box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return SIGNATURE + kind + box(b"jp2h", header + b"".join(boxes)) + after + box(b"jp2c", stream)


def space(number: int) -> bytes:
    return box(b"colr", b"\1\0\0" + struct.pack(">I", number))


def profile(content: bytes, method: int = 2) -> bytes:
    return box(b"colr", bytes((method, 0, 0)) + content)


def meanings(*entries: tuple[int, int, int]) -> bytes:
    return box(b"cdef", struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHH", *entry) for entry in entries))


def read(content: bytes) -> tuple[Header, Samples]:
    header = jpeg2000.read_header(Source(content))
    samples = jpeg2000.decode(content)
    assert samples.colour.shape[:2] == (header.height, header.width)
    return header, samples


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except Refusal as refusal:
        return refusal.error_type
    return "read"


def refused(content: bytes) -> str:
    """The kind of refusal, the same from the header as from decoding if the header refuses at all."""
    with pytest.raises(Refusal) as decoding:
        jpeg2000.decode(content)
    assert outcome(lambda: jpeg2000.read_header(Source(content))) in (decoding.value.error_type, "read")
    assert "\n" not in decoding.value.detail
    return decoding.value.error_type


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


def test_resolution_and_metadata(sepia: Pixels) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "A barn", 6
    block = exif.tobytes()
    capture = box(b"resc", struct.pack(">HHHHbb", 15000, 127, 23622, 1, 2, 0))
    display = box(b"resd", struct.pack(">HHHHbb", 2835, 1, 2835, 1, 0, 0))
    carried = [
        box(b"uuid", kind + content) for kind, content in ((XMP_UUID, b"<x/>"), (EXIF_UUID, block), (IPTC_UUID, IPTC))
    ]
    content = jp2(codestream(sepia), space(SRGB), box(b"res ", display + capture), after=b"".join(carried))
    header, _ = read(content)
    assert header.metadata.ppi == (600.0, 300.0)
    assert (header.metadata.xmp, header.metadata.iptc) == (b"<x/>", IPTC)
    assert (header.metadata.description, header.metadata.orientation) == ("A barn", 6)
    assert (header.facts.width, header.facts.height) == (246, 320)
    header, _ = read(jp2(codestream(sepia), space(SRGB), box(b"res ", display)))
    assert header.metadata.ppi == (72.01, 72.01)
    nowhere = box(b"res ", box(b"resc", struct.pack(">HHHHbb", 1, 0, 1, 0, 127, -128)))
    assert read(jp2(codestream(sepia), space(SRGB), nowhere))[0].metadata.ppi is None


def test_only_the_first_of_several_pictures(sepia: Pixels) -> None:
    header, samples = read(jp2(codestream(sepia), space(SRGB)) + box(b"jp2c", codestream(255 - sepia)))
    assert np.array_equal(samples.colour, sepia)
    assert header.metadata.notes == ("it holds 2 pictures; only the first was read",)


def test_long_and_open_boxes(sepia: Pixels) -> None:
    content = jp2(codestream(sepia), space(SRGB))
    start = content.index(b"jp2c") - 4
    stream = content[start + 8 :]
    endless = content[:start] + struct.pack(">I4s", 0, b"jp2c") + stream
    long = content[:start] + struct.pack(">I4sQ", 1, b"jp2c", 16 + len(stream)) + stream
    for variant in (endless, long):
        assert np.array_equal(read(variant)[1].colour, sepia)


@pytest.fixture(scope="module")
def tiled(sepia: Pixels) -> bytes:
    out = BytesIO()
    Image.fromarray(sepia).save(out, "JPEG2000", tile_size=(128, 128))
    return out.getvalue()


def test_every_cut_is_told(tiled: bytes, sepia: Pixels) -> None:
    whole = jp2(codestream(sepia), space(SRGB))
    for content in (tiled, whole, codestream(sepia)):
        for length in range(16, len(content), max(1, len(content) // 150)):
            assert refused(content[:length]) == "truncated", length
        assert refused(content[:-1]) == "truncated"


def test_a_cut_that_was_closed(tiled: bytes, sepia: Pixels) -> None:
    stream = codestream(sepia)
    first = stream.index(b"\xff\x90")
    for share in (0.2, 0.5, 0.9, 0.99, 0.9999):
        cut = int(len(stream) * share)
        assert refused(stream[:cut] + b"\xff\xd9") in ("truncated", "unreadable")
        length = struct.pack(">I", cut - first)
        assert refused(stream[: first + 6] + length + stream[first + 10 : cut] + b"\xff\xd9") == "unreadable"
    # whole tiles missing, the end mark in its place
    start = tiled.index(b"jp2c") + 4
    last = tiled.rindex(b"\xff\x90\0\x0a")
    assert refused(tiled[start:last] + b"\xff\xd9") == "truncated"


def test_tile_parts_that_are_missing(tiled: bytes) -> None:
    stream = bytearray(tiled[tiled.index(b"jp2c") + 4 :])
    first = stream.index(b"\xff\x90\0\x0a")
    assert stream[first + 11] == 1
    stream[first + 11] = 2  # so many parts this tile is said to have
    assert refused(bytes(stream)) == "truncated"
    stream[first + 10 : first + 12] = b"\1\2"  # and this is the second
    assert refused(bytes(stream)) == "truncated"


def test_a_length_left_open(sepia: Pixels) -> None:
    stream = codestream(sepia)
    first = stream.index(b"\xff\x90")
    open_end = stream[: first + 6] + bytes(4) + stream[first + 10 :]
    assert np.array_equal(read(open_end)[1].colour, sepia)
    assert refused(open_end[:-2]) in ("truncated", "unreadable")
    assert refused(open_end[: len(open_end) // 2]) in ("truncated", "unreadable")


def patched(stream: bytes, offset: int, layout: str, *values: int) -> bytes:
    changed = bytearray(stream)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)


ABSURD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no size": (lambda stream: patched(stream, 8, ">II", 0, 0), "unreadable"),
    "tiles of nothing": (lambda stream: patched(stream, 24, ">II", 0, 0), "unreadable"),
    "a million tiles": (lambda stream: patched(stream, 24, ">II", 1, 1), "too_large"),
    "tiles that begin after the picture": (lambda stream: patched(stream, 32, ">II", 9, 9), "unreadable"),
    "no channels": (lambda stream: patched(stream, 40, ">H", 0), "unreadable"),
    "channels that are not there": (lambda stream: patched(stream, 40, ">H", 16384), "unreadable"),
    "signed samples": (lambda stream: patched(stream, 42, ">BBBBBBB", 0x87, 1, 1, 0x87, 1, 1, 0x87), "unsupported"),
    "mixed depths": (lambda stream: patched(stream, 42, ">BBBB", 7, 1, 1, 8), "unsupported"),
    "38 bits": (lambda stream: patched(stream, 42, ">BBBBBBB", 37, 1, 1, 37, 1, 1, 37), "unsupported"),
    "extensions": (lambda stream: patched(stream, 6, ">H", 0x8000), "unsupported"),
    "steps of 255": (lambda stream: patched(stream, 43, ">BB", 255, 255), "unsupported"),
    "a thousand pixels for each that is there": (lambda stream: patched(stream, 8, ">II", 320000, 246), "truncated"),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_headers(sepia: Pixels, name: str) -> None:
    change, kind = ABSURD[name]
    assert refused(change(codestream(sepia))) == kind


def test_precincts_of_a_pixel_in_a_large_tile(sepia: Pixels) -> None:
    stream = codestream(sepia)
    coding = stream.index(b"\xff\x52")
    length = int.from_bytes(stream[coding + 2 : coding + 4], "big")
    body = bytearray(stream[coding + 4 : coding + 2 + length])
    body[0] |= 1
    marker = b"\xff\x52" + struct.pack(">H", 2 + len(body) + body[5] + 1) + bytes(body) + bytes(body[5] + 1)
    tiny = stream[:coding] + marker + stream[coding + 2 + length :]
    huge = patched(tiny, 8, ">IIIIII", 20000, 9000, 0, 0, 20000, 9000)
    assert refused(huge) == "unsupported"
    many_layers = patched(
        huge.replace(marker, b"\xff\x52" + stream[coding + 2 : coding + 2 + length]), coding + 6, ">H", 65535
    )
    assert refused(many_layers) in ("unsupported", "unreadable")


@pytest.mark.parametrize("seed", range(6))
def test_damage_anywhere_is_refused_or_read(tiled: bytes, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(40):
        content = bytearray(tiled)
        for place in rng.integers(12, 400 if seed % 2 else len(content), 3):
            content[place] = rng.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = outcome(partial(careful, bytes(content)))
            assert found in ("read", "truncated", "unreadable", "unsupported", "too_large")


def careful(content: bytes) -> None:
    """Read as the image room does, which refuses a size that is too large before it decodes."""
    header = jpeg2000.read_header(Source(content))
    if header.width * header.height < 1 << 22:
        jpeg2000.decode(content)


def test_boxes_that_do_not_end_or_fit(sepia: Pixels) -> None:
    content = jp2(codestream(sepia), space(SRGB))
    header = content.index(b"jp2h") - 4
    assert refused(patched(content, header, ">I", 5)) == "unreadable"
    assert refused(patched(content, content.index(b"colr") - 4, ">I", 900)) == "unreadable"
    assert refused(patched(content, content.index(b"ihdr") + 4, ">II", 246, 321)) == "unreadable"
    assert refused(content[:header] + box(b"free", b"") * 10_001 + content[header:]) == "unreadable"
    assert refused(content[:header]) == "truncated"


@pytest.mark.parametrize("order", ["LRCP", "RPCL"])
def test_tiles_decoded_one_by_one_are_those_of_the_whole(
    tmp_path: Path, rgb48: Pixels, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the picture begins within a tile, and where tiles come in several parts."""
    options = {"tile_size": (96, 64), "tile_offset": (0, 0), "offset": (40, 24), "progression": order}
    (tmp_path / "a.j2k").write_bytes(_by_pillow(rgb48[..., 0] >> 8, **options))
    alone = read_master(tmp_path / "a.j2k").pixels
    assert np.array_equal(alone, rgb48[..., 0] >> 8)
    monkeypatch.setattr("storage.images.jpeg2000.can_be_divided", lambda header: False)
    assert np.array_equal(read_master(tmp_path / "a.j2k").pixels, alone)


def test_a_large_picture_in_tiles_is_decoded_in_little_memory(tmp_path: Path, rgb48: Pixels) -> None:
    large = np.tile(rgb48, (9, 9, 1))
    write_jpeg2000(tmp_path / "a.jp2", large, icc=srgb_profile(), xmp=b"<x/>", iptc=None, exif_block=None, ppi=None)
    heights = [band.colour.shape[0] for band in bands(Source((tmp_path / "a.jp2").read_bytes()))]
    assert len(heights) > 1
    assert sum(heights) == large.shape[0]
    assert np.array_equal(read_master(tmp_path / "a.jp2").pixels, large)


def _by_pillow(samples: Pixels, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(samples.astype(np.uint8)).save(stream, "JPEG2000", no_jp2=True, irreversible=False, **options)
    return stream.getvalue()
