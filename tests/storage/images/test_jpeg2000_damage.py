"""JPEG 2000: codestreams that are cut, absurd or damaged are refused before decoding."""

import struct
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from storage.images import jpeg2000
from storage.images.records import Pixels
from storage.images.source import Source
from tests.storage.images.jpeg2000_files import SRGB, codestream, jp2, outcome, patched, read, refused, space


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
