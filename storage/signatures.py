"""What a file is, told from its first bytes, never from its name."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["photograph", "page", "film"]

SIGNATURE_BYTES = 512
"""How many first bytes of a file ``signature_of`` wants to see."""

PHOTOGRAPH_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".btf", ".png", ".webp", ".dng", ".dpx"}
    | {".jp2", ".j2k", ".jpf", ".jpx", ".j2c"}
)
FILM_SUFFIXES = frozenset({".mkv", ".webm", ".mp4", ".m4v", ".mov", ".avi", ".mpg", ".mpeg", ".m2v"})
SUFFIXES = PHOTOGRAPH_SUFFIXES | FILM_SUFFIXES | {".pdf"}
"""Suffixes with which a file claims to be a photograph, a page or a film."""

UNREAD_PICTURES = {
    "gif": "a GIF picture",
    "bmp": "a BMP picture",
    "psd": "a Photoshop document",
    "heif": "a HEIF or AVIF picture",
    "jpegxl": "a JPEG XL picture",
}
"""Picture formats that are recognised so that they can be refused by name."""


@dataclass(frozen=True)
class Signature:
    """A format that this program takes: its name and the kind of item that such a file is."""

    format: str
    kind: Kind


_PREFIXES: tuple[tuple[bytes, Signature], ...] = (
    (b"\xff\xd8\xff", Signature("jpeg", "photograph")),
    (b"\x89PNG\r\n\x1a\n", Signature("png", "photograph")),
    (b"II*\x00", Signature("tiff", "photograph")),
    (b"MM\x00*", Signature("tiff", "photograph")),
    (b"II+\x00\x08\x00\x00\x00", Signature("tiff", "photograph")),
    (b"MM\x00+\x00\x08\x00\x00", Signature("tiff", "photograph")),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", Signature("jpeg2000", "photograph")),
    (b"\xff\x4f\xff\x51", Signature("jpeg2000", "photograph")),
    (b"SDPX", Signature("dpx", "photograph")),
    (b"XPDS", Signature("dpx", "photograph")),
    (b"\x1a\x45\xdf\xa3", Signature("matroska", "film")),
    (b"\x00\x00\x01\xba", Signature("mpeg", "film")),
    (b"\x00\x00\x01\xb3", Signature("mpeg", "film")),
)

_UNREAD_PREFIXES = (
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"8BPS", "psd"),
    (b"\xff\x0a", "jpegxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jpegxl"),
)

_HEIF_BRANDS = {b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif", b"avis"}
_STILL_BRANDS_OTHER = {b"crx "}

_OTHER_CONTENT = (
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"RIFF", "sound or other RIFF data"),
    (b"ID3", "sound"),
)


def signature_of(head: bytes) -> Signature | None:
    """The format that ``head``, a file's first bytes, belongs to, or None if it is not taken here."""
    for prefix, signature in _PREFIXES:
        if head.startswith(prefix):
            return signature
    if head[:4] == b"RIFF":
        return {
            b"WEBP": Signature("webp", "photograph"),
            b"AVI ": Signature("avi", "film"),
        }.get(head[8:12])
    box = _first_box(head)
    if box == b"ftyp":
        still = head[8:12] in _HEIF_BRANDS | _STILL_BRANDS_OTHER
        return None if still else Signature("mp4", "film")
    if box in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return Signature("mp4", "film")  # QuickTime from before the ftyp box
    if len(head) >= 377 and head[0] == head[188] == head[376] == 0x47:
        return Signature("mpeg", "film")  # transport stream, 188-byte packets
    if head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0\t\n\f\r ").startswith(b"%PDF-"):
        return Signature("pdf", "page")
    return None


def unread_picture(head: bytes) -> str | None:
    """What a picture in a format that this program refuses is called, or None if it is no such picture."""
    for prefix, name in _UNREAD_PREFIXES:
        if head.startswith(prefix):
            return UNREAD_PICTURES[name]
    if _first_box(head) == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return UNREAD_PICTURES["heif"]
    if head[:2] == b"BM" and len(head) >= 30 and head[6:10] == b"\0\0\0\0" and head[26:28] == b"\1\0":
        return UNREAD_PICTURES["bmp"]
    return None


def describe_content(head: bytes) -> str:
    """What the content looks like to a person, for example ``"text"`` or ``"a ZIP archive ..."``."""
    for prefix, description in _OTHER_CONTENT:
        if head.startswith(prefix):
            return description
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if start.startswith(b"<?xml"):
        return "XML text"
    if _is_text(head):
        return "text"
    return "data of an unknown kind"


def _first_box(head: bytes) -> bytes | None:
    """The type of the box (ISO/IEC 14496-12) that a film starts with; None if its size is none that a box has.

    Words of four letters stand in any text; a box's type stands behind a size, which is not text. Only media
    data (mdat) grow so large that the first byte is not NUL, may run to the end (0) or have a longer size (1).
    """
    if len(head) < 8:
        return None
    size, box = int.from_bytes(head[:4], "big"), head[4:8]
    if box == b"mdat":
        return box if size in (0, 1) or (size >= 8 and not _is_text(head[:4])) else None
    return box if size >= 8 and head[0] == 0 else None


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
