"""JPEG (ISO/IEC 10918-1, JFIF, Exif): headers without decoding, and pixels through libjpeg-turbo."""

import hashlib
import re
import struct
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image, JpegImagePlugin

from storage.images.exif import sane_ppi
from storage.images.metadata import collect_metadata
from storage.images.records import Header, MasterMetadata, Refusal, Samples
from storage.images.source import Source
from storage.images.xmp import joined

_MAX_SEGMENTS = 4096
_MAX_ICC_BYTES = 1 << 24
_MAX_XMP_BYTES = 1 << 22
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENDED_BY = re.compile(rb"HasExtendedXMP\s*(?:=\s*[\"']|>)\s*([0-9A-F]{32})")
_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_FRAMES = {0xC0: "baseline", 0xC1: "sequential", 0xC2: "progressive"}
_OTHER_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_FILLING = bytes(range(1, 255))
_CUT_OFF = "is cut off: the end of the picture is missing; copy it again from its source"


@dataclass
class _Markers:
    """What the segments before the first scan say, and where that scan starts."""

    frame: tuple[int, int, int, int, int] | None = None  # marker, bits, height, width, components
    jfif_ppi: tuple[float, float] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: dict[int, bytes] = field(default_factory=dict)
    icc_count: int = 0
    extended_xmp: dict[bytes, dict[int, bytes]] = field(default_factory=dict)  # digest: offset: part
    extended_bytes: int = 0
    components: bytes = b""  # the components' identifiers
    scan: int = 0
    needed: list[bytes] = field(default_factory=list)  # the segments that decoding needs


def read_header(source: Source) -> Header:
    """Size, depth and metadata of a JPEG; raises ``Refusal`` for what cannot be decoded here."""
    markers = _read_markers(source)
    return _header(markers)


def decode(data: bytes) -> Samples:
    """The whole picture's samples as stored; raises ``Refusal`` "truncated" if any of it is missing.

    That is told of a picture in one scan and of one in several (progressive), also where a cut stream was
    closed by an end mark: neither a scan nor the end of the last one may be missing.
    """
    markers = _read_markers(Source(data))
    header = _header(markers)
    end, scans = _end_of_scans(data, markers)
    # Only what decoding needs: hostile or damaged metadata never reach the decoder.
    start = b"".join([b"\xff\xd8", *markers.needed, data[markers.scan : end]])
    if scans == 1:
        # libjpeg pads a scan that stops early with grey and says nothing; kept from seeing the end mark, it
        # runs out of bytes instead, and that is an error. It looks up to 8 bytes ahead.
        image = _decoded(start + bytes(8))
    else:
        # Of several scans it wants to see the end mark. What lies between the last scan and that mark is
        # passed over; if it changes the picture, the scan was not at its end yet.
        image = _decoded(start + b"\xff\xd9")
        if not _same(image, _decoded(start + _FILLING + b"\xff\xd9")):
            raise Refusal(_CUT_OFF, "truncated")
    samples = np.asarray(image)
    if samples.shape[:2] != (header.height, header.width):
        raise Refusal("has a damaged JPEG header", "unreadable")
    if image.mode == "L":
        return Samples(samples, "grey")
    return Samples(samples, "cmyk" if image.mode == "CMYK" else "rgb")


def _decoded(stream: bytes) -> JpegImagePlugin.JpegImageFile:
    try:
        image = JpegImagePlugin.JpegImageFile(BytesIO(stream))
        image.load()
    except OSError as error:
        if "truncated" in str(error):
            raise Refusal(_CUT_OFF, "truncated") from error
        raise
    return image


def _same(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures of one size have the same samples; some rows at a time, to be sparing of memory."""
    boxes = ((0, top, one.width, min(top + 256, one.height)) for top in range(0, one.height, 256))
    return all(one.crop(box).tobytes() == other.crop(box).tobytes() for box in boxes)


def _end_of_scans(data: bytes, markers: _Markers) -> tuple[int, int]:
    """Where the last scan's data end, and how many scans are before it; raises ``Refusal`` if one is missing.

    In a progressive picture every scan gives some coefficients of some components down to some bit (Ss, Se,
    Al in the standard's words, Ah for the bit reached before); all 64 have to come down to bit 0.
    """
    assert markers.frame is not None
    progressive = markers.frame[0] == 0xC2
    reached: dict[int, list[int | None]] = {name: [None] * 64 for name in markers.components}
    _note_scan(reached, markers.needed[-1][4:], progressive)
    scans, position, end = 1, markers.scan, None
    while True:
        found = _SCAN_END.search(data, position)
        if found is None:
            raise Refusal(_CUT_OFF, "truncated")
        marker, position = data[found.end() - 1], found.end()
        end = found.start() if end is None else end
        if marker == 0xD9:
            break
        if marker in (0x01, 0xD8):  # these have no length
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if marker == 0xDA:
            scans, end = scans + 1, None
            _note_scan(reached, data[position + 2 : position + length], progressive)
        position += max(length, 2)
    if any(bit != 0 for bits in reached.values() for bit in bits):
        raise Refusal(_CUT_OFF, "truncated")
    return end, scans


def _note_scan(reached: dict[int, list[int | None]], header: bytes, progressive: bool) -> None:
    """Note what a scan brings: for each coefficient of its components the lowest bit reached so far."""
    count = header[0] if header else 0
    if len(header) < 4 + 2 * count:
        raise Refusal("is damaged: a JPEG scan has no proper header", "unreadable")
    first, last, bits = header[1 + 2 * count : 4 + 2 * count] if progressive else (0, 63, 0)
    before, low = bits >> 4, bits & 15
    for name in header[1 : 1 + 2 * count : 2]:
        for place in range(first, min(last, 63) + 1):
            known = reached.get(name)
            if known is not None and (before == 0 or known[place] == before):
                known[place] = low


def frame_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG stream, as the tiles of a TIFF contain them."""
    header = _header(_read_markers(Source(data)))
    return header.width, header.height


def ends_properly(data: bytes) -> bool:
    """Whether a JPEG stream has its end mark, after which only filling may follow."""
    return data.rstrip(b"\0").endswith(b"\xff\xd9")


def _header(markers: _Markers) -> Header:
    assert markers.frame is not None
    marker, bits, height, width, components = markers.frame
    if marker not in _FRAMES or bits != 8 or components not in (1, 3, 4):
        raise Refusal(
            f"is an unusual kind of JPEG ({bits} bits, {components} channels) that is not read here; "
            "convert it to TIFF",
            "unsupported",
        )
    if not width or not height:
        raise Refusal("has a damaged JPEG header: it gives no size", "unreadable")
    return Header("jpeg", width, height, components, 8, 1, _metadata(markers))


def _metadata(markers: _Markers) -> MasterMetadata:
    notes: tuple[str, ...] = ()
    icc = None
    if markers.icc:
        if len(markers.icc) == markers.icc_count == max(markers.icc):
            icc = b"".join(markers.icc[number] for number in sorted(markers.icc))
        else:
            notes += ("its colour profile is incomplete and was left out of account",)
    xmp = markers.xmp
    if markers.extended_xmp:
        extension = _extension(markers)
        whole = joined(xmp, extension) if xmp is not None and extension is not None else None
        if whole is None:
            notes += ("the extended part of its XMP is damaged and was left out of account",)
        xmp = whole or xmp
    return collect_metadata(
        exif_block=markers.exif,
        xmp=xmp,
        icc=icc,
        iptc=markers.iptc,
        ppi=markers.jfif_ppi,
        notes=notes,
    )


def _extension(markers: _Markers) -> bytes | None:
    """The extension that the main packet names, whole; None if a part of it is missing."""
    named = _EXTENDED_BY.search(markers.xmp or b"")
    parts = markers.extended_xmp.get(named[1], {}) if named is not None else {}
    extension = b"".join(parts[offset] for offset in sorted(parts))
    digest = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    return extension if named is not None and digest == named[1] else None


def _read_markers(source: Source) -> _Markers:
    markers = _Markers()
    position = 2
    for _ in range(_MAX_SEGMENTS):
        start = source.read(position, 2)
        if start == b"\xff\xff":  # filling
            position += 1
            continue
        marker = start[1]
        if start[0] != 0xFF or marker in (0x00, 0xD8, 0xD9):
            raise Refusal("is damaged: its JPEG segments do not follow each other", "unreadable")
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            position += 2
            continue
        length = struct.unpack(">H", source.read(position + 2, 2))[0]
        if length < 2:
            raise Refusal("is damaged: its JPEG segments do not follow each other", "unreadable")
        body = source.read(position + 4, length - 2)
        _note_segment(markers, marker, body)
        if not 0xE1 <= marker <= 0xFE or marker == 0xEE:
            markers.needed.append(start + struct.pack(">H", length) + body)
        position += 2 + length
        if marker == 0xDA:
            if markers.frame is None:
                raise Refusal("is damaged: it has no JPEG frame header", "unreadable")
            markers.scan = position
            return markers
    raise Refusal("is damaged: it has too many JPEG segments", "unreadable")


def _note_segment(markers: _Markers, marker: int, body: bytes) -> None:
    if marker in _FRAMES or marker in _OTHER_FRAMES:
        if len(body) < 6 or markers.frame is not None:
            raise Refusal("has a damaged JPEG header", "unreadable")
        bits, height, width, components = struct.unpack_from(">BHHB", body)
        markers.frame = (marker, bits, height, width, components)
        markers.components = body[6 : 6 + 3 * components : 3]
    elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
        unit, across, down = struct.unpack_from(">BHH", body, 7)
        factor = {1: 1.0, 2: 2.54}.get(unit)
        markers.jfif_ppi = sane_ppi(across * factor, down * factor) if factor else None
    elif marker == 0xE1 and body.startswith(b"Exif\0") and markers.exif is None:
        markers.exif = body[6:]
    elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        markers.xmp = body[29:]
    elif marker == 0xE1 and body.startswith(_EXTENSION):
        # 32 digits of the extension's MD5, its whole length, where this part belongs, and the part
        digest, content = body[len(_EXTENSION) : len(_EXTENSION) + 32], body[len(_EXTENSION) + 40 :]
        markers.extended_bytes += len(content)
        parts = markers.extended_xmp.setdefault(digest, {})
        if content and markers.extended_bytes <= _MAX_XMP_BYTES:
            parts[int.from_bytes(body[len(_EXTENSION) + 36 : len(_EXTENSION) + 40], "big")] = content
    elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        if len(body) - 14 + sum(map(len, markers.icc.values())) <= _MAX_ICC_BYTES:
            markers.icc[body[12]] = body[14:]
            markers.icc_count = body[13]
    elif marker == 0xED and body.startswith(b"Photoshop 3.0\0"):
        markers.iptc = iptc_of_photoshop(body[14:]) or markers.iptc


def iptc_of_photoshop(resources: bytes) -> bytes | None:
    """The IPTC-IIM block (resource 0x0404) among Photoshop's image resources, or None."""
    position = 0
    while position + 12 <= len(resources) and resources[position : position + 4] == b"8BIM":
        identifier = struct.unpack_from(">H", resources, position + 4)[0]
        name_bytes = resources[position + 6] + 1
        position += 6 + name_bytes + name_bytes % 2
        if position + 4 > len(resources):
            return None
        length = struct.unpack_from(">I", resources, position)[0]
        position += 4
        if identifier == 0x0404:
            block = resources[position : position + length]
            return block if len(block) == length and block.startswith(b"\x1c") else None
        position += length + length % 2
    return None
