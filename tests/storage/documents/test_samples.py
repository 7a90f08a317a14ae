"""Samples come out of a document as they were put in, whatever they are packed with."""

import base64
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pikepdf
import pytest
import tifffile
from pikepdf import Array, Dictionary, Name
from PIL import Image

from storage.documents import PageScan, identify_document, read_page
from storage.images.records import Refusal
from storage.images.srgb import srgb_profile
from tests.storage.documents.documents import (
    Pixels,
    black_and_white,
    colours,
    document,
    flate,
    group4,
    image,
    jbig2,
    jpeg,
    jpx,
    photograph,
)

W, H = 240, 180
Maker = Callable[[pikepdf.Pdf], Any]
BITS = np.packbits(black_and_white(), axis=1).tobytes()
INK = np.dstack([colours(), photograph()])


def read(tmp_path: Path, maker: Maker) -> PageScan:
    document(tmp_path / "a.pdf", maker)
    facts = identify_document(tmp_path / "a.pdf")[0].facts
    found = read_page(tmp_path / "a.pdf", 1, max_pixels=W * H)
    channels = {"grey": 1, "rgb": 3, "cmyk": 4}[found.samples.space]
    assert facts is not None
    assert (facts.width, facts.height, facts.channels) == (W, H, channels)
    assert facts.bit_depth == 8 * found.samples.colour.itemsize
    assert facts.has_icc == (found.icc is not None)
    assert found.samples.colour.shape == ((H, W) if channels == 1 else (H, W, channels))
    return found


def predicted(pixels: Pixels, bits: int = 8) -> bytes:
    """The PNG predictors all in turn, by the definitions of the PNG specification."""
    stored = pixels.astype(">u2") if bits == 16 else pixels
    rows = np.ascontiguousarray(stored).view(np.uint8).reshape(pixels.shape[0], -1).astype(int)
    step = (1 if pixels.ndim == 2 else pixels.shape[2]) * bits // 8
    made = b""
    for number, row in enumerate(rows):
        above = rows[number - 1] if number else np.zeros_like(row)
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        guess = left + above - corner
        nearest = np.where(abs(guess - above) <= abs(guess - corner), above, corner)
        first = (abs(guess - left) <= abs(guess - above)) & (abs(guess - left) <= abs(guess - corner))
        paeth = np.where(first, left, nearest)
        taken = [np.zeros_like(row), left, above, (left + above) // 2, paeth][number % 5]
        made += bytes([number % 5]) + ((row - taken) % 256).astype(np.uint8).tobytes()
    return zlib.compress(made)


def parameters(colours: int, bits: int, kind: int = 15) -> Dictionary:
    return Dictionary(Predictor=kind, Colors=colours, BitsPerComponent=bits, Columns=W)


def fax(pdf: pikepdf.Pdf, **more: Any) -> Any:
    settings = Dictionary(K=-1, Columns=W, Rows=H, **more)
    return image(
        pdf, group4(black_and_white()), W, H, Name.DeviceGray, 1, Filter=Name.CCITTFaxDecode, DecodeParms=settings
    )


def indexed(base: Any, table: bytes) -> Array:
    return Array([Name.Indexed, base, len(table) // 3 - 1, pikepdf.String(table)])


GREY, RGB = photograph(), colours()
DEEP, DEEP_RGB = colours(depth=16)[..., 0], colours(depth=16)
WHITE = black_and_white() * 255
PALETTE = bytes((i * k) % 256 for i in range(256) for k in (1, 3, 7))
LOOKED_UP = np.frombuffer(PALETTE, np.uint8).reshape(256, 3)

EXACT: dict[str, tuple[Maker, Pixels]] = {
    "grey": (lambda d: flate(d, GREY, Name.DeviceGray), GREY),
    "rgb": (lambda d: flate(d, RGB, Name.DeviceRGB), RGB),
    "cmyk": (lambda d: flate(d, INK, Name.DeviceCMYK), INK),
    "grey of 16 bits": (lambda d: flate(d, DEEP, Name.DeviceGray, 16), DEEP),
    "rgb of 16 bits": (lambda d: flate(d, DEEP_RGB, Name.DeviceRGB, 16), DEEP_RGB),
    "not packed": (lambda d: image(d, GREY.tobytes(), W, H, Name.DeviceGray), GREY),
    "calibrated grey": (lambda d: flate(d, GREY, Array([Name.CalGray, Dictionary(WhitePoint=[1, 1, 1])])), GREY),
    "calibrated rgb": (lambda d: flate(d, RGB, Array([Name.CalRGB, Dictionary(WhitePoint=[1, 1, 1])])), RGB),
    "inverted": (lambda d: flate(d, GREY, Name.DeviceGray, Decode=Array([1, 0])), 255 - GREY),
    "inverted 16 bits": (lambda d: flate(d, DEEP, Name.DeviceGray, 16, Decode=Array([1, 0])), 65535 - DEEP),
    "one bit": (lambda d: image(d, zlib.compress(BITS), W, H, Name.DeviceGray, 1, Filter=Name.FlateDecode), WHITE),
    "one bit inverted": (
        lambda d: image(d, BITS, W, H, Name.DeviceGray, 1, Decode=Array([1, 0])),
        255 - WHITE,
    ),
    "stencil": (lambda d: image(d, BITS, W, H, None, None, ImageMask=True), WHITE),
    "stencil inverted": (lambda d: image(d, BITS, W, H, None, None, ImageMask=True, Decode=Array([1, 0])), 255 - WHITE),
    "group 4": (fax, WHITE),
    "group 4, black is 1": (lambda d: fax(d, BlackIs1=True), 255 - WHITE),
    "jbig2": (lambda d: image(d, jbig2(black_and_white()), W, H, Name.DeviceGray, 1, Filter=Name.JBIG2Decode), WHITE),
    "jbig2 inverted": (
        lambda d: image(
            d, jbig2(black_and_white()), W, H, Name.DeviceGray, 1, Filter=Name.JBIG2Decode, Decode=Array([1, 0])
        ),
        255 - WHITE,
    ),
    "palette": (lambda d: flate(d, GREY, indexed(Name.DeviceRGB, PALETTE)), LOOKED_UP[GREY]),
    "palette of one bit": (
        lambda d: image(d, BITS, W, H, indexed(Name.DeviceRGB, bytes([9, 8, 7, 250, 240, 230])), 1),
        np.where(WHITE[..., None] > 0, (250, 240, 230), (9, 8, 7)),
    ),
    "jpeg 2000": (lambda d: image(d, jpx(GREY), W, H, Name.DeviceGray, Filter=Name.JPXDecode), GREY),
    "jpeg 2000 alone": (lambda d: image(d, jpx(RGB), W, H, None, None, Filter=Name.JPXDecode), RGB),
    "jpeg 2000 of 16 bits, packed again": (
        lambda d: image(
            d, zlib.compress(jpx(DEEP)), W, H, Name.DeviceGray, Filter=Array([Name.FlateDecode, Name.JPXDecode])
        ),
        DEEP,
    ),
    "a wrong check sum": (
        lambda d: image(
            d, zlib.compress(GREY.tobytes())[:-4] + b"sums", W, H, Name.DeviceGray, Filter=Name.FlateDecode
        ),
        GREY,
    ),
    "lzw": (
        lambda d: image(d, imagecodecs.lzw_encode(GREY.tobytes()), W, H, Name.DeviceGray, Filter=Name.LZWDecode),
        GREY,
    ),
    "run lengths": (
        lambda d: image(
            d, imagecodecs.packbits_encode(GREY.tobytes()) + b"\x80", W, H, Name.DeviceGray, Filter=Name.RunLengthDecode
        ),
        GREY,
    ),
    "letters": (
        lambda d: image(
            d,
            base64.a85encode(zlib.compress(GREY.tobytes())) + b"~>",
            W,
            H,
            Name.DeviceGray,
            Filter=Array([Name.ASCII85Decode, Name.FlateDecode]),
        ),
        GREY,
    ),
    "predicted": (
        lambda d: image(d, predicted(RGB), W, H, Name.DeviceRGB, Filter=Name.FlateDecode, DecodeParms=parameters(3, 8)),
        RGB,
    ),
    "predicted 16 bits": (
        lambda d: image(
            d, predicted(DEEP, 16), W, H, Name.DeviceGray, 16, Filter=Name.FlateDecode, DecodeParms=parameters(1, 16)
        ),
        DEEP,
    ),
    "predicted cmyk": (
        lambda d: image(
            d, predicted(INK), W, H, Name.DeviceCMYK, Filter=Name.FlateDecode, DecodeParms=parameters(4, 8)
        ),
        INK,
    ),
    "differences": (
        lambda d: image(
            d,
            zlib.compress(imagecodecs.delta_encode(RGB, axis=1).tobytes()),
            W,
            H,
            Name.DeviceRGB,
            Filter=Name.FlateDecode,
            DecodeParms=parameters(3, 8, 2),
        ),
        RGB,
    ),
}


@pytest.mark.parametrize("kind", EXACT)
def test_samples_without_loss(tmp_path: Path, kind: str) -> None:
    maker, expected = EXACT[kind]
    found = read(tmp_path, maker)
    assert np.array_equal(found.samples.colour, expected)
    assert found.samples.colour.dtype == (np.uint16 if "16" in kind else np.uint8)
    assert not found.is_lossy
    assert found.notes == ()


@pytest.mark.parametrize("options", [0, 1], ids=["one-dimensional", "two-dimensional"])
def test_group_3(tmp_path: Path, options: int) -> None:
    file = io.BytesIO()
    tags = {262: 0, 278: H, 292: options}
    Image.fromarray(WHITE).convert("1").save(file, "TIFF", compression="group3", tiffinfo=tags)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        page = tiff.pages[0]
        data = file.getvalue()[page.dataoffsets[0] : page.dataoffsets[0] + page.databytecounts[0]]
    settings = Dictionary(K=options, Columns=W, Rows=H, EndOfLine=True, EndOfBlock=False)
    found = read(
        tmp_path,
        lambda d: image(d, data, W, H, Name.DeviceGray, 1, Filter=Name.CCITTFaxDecode, DecodeParms=settings),
    )
    assert np.array_equal(found.samples.colour, WHITE)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits(tmp_path: Path, bits: int) -> None:
    values = photograph() >> (8 - bits)
    spread = ((values[..., None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8).reshape(H, -1)
    found = read(tmp_path, lambda d: image(d, np.packbits(spread, axis=1).tobytes(), W, H, Name.DeviceGray, bits))
    assert np.array_equal(found.samples.colour, values * (255 // (2**bits - 1)))


def test_jpegs_are_those_of_the_jpeg(tmp_path: Path) -> None:
    data = jpeg(photograph())
    found = read(tmp_path, lambda d: image(d, data, W, H, Name.DeviceGray, Filter=Name.DCTDecode))
    assert np.array_equal(found.samples.colour, imagecodecs.jpeg8_decode(data))
    assert found.is_lossy
    data = jpeg(colours())
    found = read(tmp_path, lambda d: image(d, data, W, H, Name.DeviceRGB, Filter=Name.DCTDecode))
    assert np.array_equal(found.samples.colour, imagecodecs.jpeg8_decode(data))


def test_a_jpeg_2000_with_loss(tmp_path: Path) -> None:
    data = jpx(photograph(), reversible=False)
    assert read(tmp_path, lambda d: image(d, data, W, H, Name.DeviceGray, Filter=Name.JPXDecode)).is_lossy


@pytest.mark.parametrize("inverted", [False, True])
def test_ink_of_a_jpeg(tmp_path: Path, inverted: bool) -> None:
    """The samples of a JPEG are ink as they are stored, unless /Decode turns them round, as Photoshop's does."""
    data = jpeg(INK, "CMYK", quality=100)
    stored = imagecodecs.jpeg8_decode(data, colorspace="CMYK", outcolorspace="CMYK")
    more = {"Decode": Array([1, 0] * 4)} if inverted else {}
    found = read(tmp_path, lambda d: image(d, data, W, H, Name.DeviceCMYK, Filter=Name.DCTDecode, **more))
    assert np.array_equal(found.samples.colour, 255 - stored if inverted else stored)


def test_profiles_come_with_the_samples(tmp_path: Path) -> None:
    def tagged(pdf: pikepdf.Pdf) -> Any:
        return flate(pdf, colours(), Array([Name.ICCBased, pdf.make_stream(srgb_profile(), N=3)]))

    assert read(tmp_path, tagged).icc == srgb_profile()

    def intended(pdf: pikepdf.Pdf) -> Any:
        profile = pdf.make_stream(srgb_profile(), N=3)
        pdf.Root.OutputIntents = Array([Dictionary(S=Name.GTS_PDFA1, DestOutputProfile=profile)])
        return flate(pdf, colours(), Name.DeviceRGB)

    assert read(tmp_path, intended).icc == srgb_profile()


def test_colours_that_only_a_renderer_knows(tmp_path: Path) -> None:
    def separated(pdf: pikepdf.Pdf) -> Any:
        tint = pdf.make_indirect(
            Dictionary(FunctionType=2, Domain=[0, 1], C0=Array([0, 0, 0, 0]), C1=Array([0, 0, 0, 1]), N=1)
        )
        return flate(pdf, photograph(), Array([Name.Separation, Name.Black, Name.DeviceCMYK, tint]))

    found = read(tmp_path, separated)
    assert found.samples.space == "rgb"
    assert found.notes
    assert np.corrcoef(found.samples.colour[..., 1].ravel(), 255.0 - photograph().ravel())[0, 1] > 0.99


def test_opacity_masks_do_not_change_the_samples(tmp_path: Path) -> None:
    def masked(pdf: pikepdf.Pdf) -> Any:
        soft = flate(pdf, np.full((H, W), 128, np.uint8), Name.DeviceGray)
        return flate(pdf, photograph(), Name.DeviceGray, SMask=soft)

    assert np.array_equal(read(tmp_path, masked).samples.colour, photograph())


def test_masked_colours_are_drawn_on_white(tmp_path: Path) -> None:
    found = read(tmp_path, lambda d: flate(d, photograph(), Name.DeviceGray, Mask=Array([0, 60])))
    expected = np.where(photograph() <= 60, 255, photograph())
    assert np.mean(np.abs(found.samples.colour.astype(int) - expected) > 3) < 0.01


CUT: dict[str, Maker] = {
    "flate": lambda d: image(d, zlib.compress(GREY.tobytes())[:-900], W, H, Name.DeviceGray, Filter=Name.FlateDecode),
    "raw": lambda d: image(d, GREY.tobytes()[:-1], W, H, Name.DeviceGray),
    "jpeg": lambda d: image(d, jpeg(GREY)[:-900], W, H, Name.DeviceGray, Filter=Name.DCTDecode),
    "jpeg 2000": lambda d: image(d, jpx(GREY)[:-900], W, H, Name.DeviceGray, Filter=Name.JPXDecode),
    "jbig2": lambda d: image(d, jbig2(black_and_white())[:-90], W, H, Name.DeviceGray, 1, Filter=Name.JBIG2Decode),
    "group 4": lambda d: image(
        d,
        group4(black_and_white())[:-300],
        W,
        H,
        Name.DeviceGray,
        1,
        Filter=Name.CCITTFaxDecode,
        DecodeParms=Dictionary(K=-1, Columns=W, Rows=H),
    ),
    "predicted": lambda d: image(
        d, predicted(RGB)[:-900], W, H, Name.DeviceRGB, Filter=Name.FlateDecode, DecodeParms=parameters(3, 8)
    ),
    "lzw": lambda d: image(
        d, imagecodecs.lzw_encode(GREY.tobytes())[:-900], W, H, Name.DeviceGray, Filter=Name.LZWDecode
    ),
}


@pytest.mark.parametrize("kind", CUT)
def test_pictures_that_are_not_whole(tmp_path: Path, kind: str) -> None:
    document(tmp_path / "a.pdf", CUT[kind])
    with pytest.raises(Refusal) as caught:
        read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
    assert caught.value.error_type == "truncated"
    assert "\n" not in caught.value.detail


def test_a_picture_of_another_size_than_the_document_says(tmp_path: Path) -> None:
    small = np.asarray(Image.fromarray(photograph()).resize((24, 18)))
    for name, data in ((Name.DCTDecode, jpeg(small)), (Name.JPXDecode, jpx(small))):
        document(tmp_path / "a.pdf", lambda d, n=name, b=data: image(d, b, W, H, Name.DeviceGray, Filter=n))
        with pytest.raises(Refusal, match="does not have the size"):
            read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
