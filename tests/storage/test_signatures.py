"""What first bytes tell, and what only looks as if it told something."""

import struct

import pytest

from storage.signatures import Signature, signature_of, unread_picture

FILM = Signature("mp4", "film")
PDF = Signature("pdf", "page")


@pytest.mark.parametrize("word", ["wide", "free", "skip", "moov", "mdat", "ftyp"])
@pytest.mark.parametrize("before", [b"The ", b"a\r\n ", b"\xc3\xa0 \t", b"\0\0\0\x07", b"\0\0\0\2"])
def test_words_that_are_box_types_make_no_film(before: bytes, word: str) -> None:
    head = before + word.encode() + b" road near Nagasaki, about 1870\n"
    assert signature_of(head) is None
    assert unread_picture(before + b"ftypheic") is None


@pytest.mark.parametrize("size", [8, 24, 0xFFFFFF])
@pytest.mark.parametrize("box", [b"wide", b"free", b"skip", b"moov", b"mdat", b"ftyp"])
def test_boxes_with_a_size_are_a_film(box: bytes, size: int) -> None:
    assert signature_of(struct.pack(">I", size) + box + b"qt  " + bytes(40)) == FILM


@pytest.mark.parametrize("size", [0, 1, 0x01234567, 0x06000000])
def test_media_data_may_be_as_long_as_they_like(size: int) -> None:
    assert signature_of(struct.pack(">I", size) + b"mdat" + bytes(40)) == FILM


def test_a_box_of_a_still_picture_is_no_film() -> None:
    assert signature_of(b"\0\0\0\x18ftypheic" + bytes(40)) is None
    assert unread_picture(b"\0\0\0\x18ftypheic" + bytes(40)) == "a HEIF or AVIF picture"


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n", b"\xef\xbb\xbf \n"])
def test_a_pdf_starts_with_its_mark(before: bytes) -> None:
    assert signature_of(before + b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n") == PDF


@pytest.mark.parametrize("head", [b"Every PDF starts with %PDF-1.4\n", b"# %PDF-1.7", b"\x89%PDF-1.4"])
def test_a_text_about_pdf_is_none(head: bytes) -> None:
    assert signature_of(head) is None
