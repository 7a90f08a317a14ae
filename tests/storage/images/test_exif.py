"""What an Exif block says stays the same when its byte order changes."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from storage.images import DerivativeProvenance, read_master, write_derivative
from storage.images.exif import build_exif, parse_exif
from storage.images.records import Pixels

USER_COMMENT = 37510
GPS_AREA = 28


def block(order: str, pointer: int, tag: int, data: bytes) -> bytes:
    """An Exif block with one text in the directory that ``pointer`` leads to."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    main = struct.pack(order + "IHHHIII", 8, 1, pointer, 4, 1, 26, 0)
    below = struct.pack(order + "HHHIII", 1, tag, 7, len(data), 44, 0)
    return mark + main + below + data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("text", ["Box 12, Straße", "長崎 1870", "a"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_unicode_comment_reads_the_same(order: str, text: str, mark: str) -> None:
    encoding = "utf-16-le" if order == "<" else "utf-16-be"
    found = parse_exif(block(order, 34665, USER_COMMENT, b"UNICODE\0" + (mark + text).encode(encoding)))
    again = parse_exif(build_exif(found))
    assert again.exif[USER_COMMENT].data == b"UNICODE\0" + (mark + text).encode("utf-16-le")
    place = parse_exif(block(order, 34853, GPS_AREA, b"UNICODE\0" + text.encode(encoding)))
    assert place.gps[GPS_AREA].data == b"UNICODE\0" + text.encode("utf-16-le")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_comment_in_the_wrong_order_stays_as_it_is(mark: str) -> None:
    data = b"UNICODE\0" + (mark + "shelf 4").encode("utf-16-le")
    assert parse_exif(block(">", 34665, USER_COMMENT, data)).exif[USER_COMMENT].data == data


@pytest.mark.parametrize("data", [b"ASCII\0\0\0shelf 4", b"JIS\0\0\0\0\0\x30\x21", b"UNICODE\0", b"UNICODE\0a", b"UN"])
def test_other_comments_are_copied(data: bytes) -> None:
    data = data.ljust(5, b"\0")  # up to four bytes would stand in the directory itself
    assert parse_exif(block(">", 34665, USER_COMMENT, data)).exif[USER_COMMENT].data == data


@pytest.mark.parametrize("format", ["tiff", "png"])
def test_exiftool_reads_the_comment_of_a_derivative(
    tmp_path: Path, sepia: Pixels, provenance: DerivativeProvenance, format: str, exiftool: Callable[..., str]
) -> None:
    exif = b"Exif\0\0" + block(">", 34665, USER_COMMENT, b"UNICODE\0" + "長崎, 1870".encode("utf-16-be"))
    Image.fromarray(sepia).save(tmp_path / "a.jpg", exif=exif)
    master = read_master(tmp_path / "a.jpg")
    written = write_derivative(tmp_path / "out", master.pixels, master, provenance, format)
    assert exiftool("-s3", "-EXIF:UserComment", written.path).strip() == "長崎, 1870"
