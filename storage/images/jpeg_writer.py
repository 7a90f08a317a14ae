"""Access copies as JPEG (ISO/IEC 10918-1, JFIF): bands coded one after the other, metadata in segments.

The coder starts afresh after a restart mark. So each band of rows is coded as a picture of its own, with the
standard's Huffman tables, and the bands' scans with restart marks between them are the scan of the whole.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.dom import minidom

import imagecodecs
import numpy as np

from storage.images.records import Pixels
from storage.images.rows import Rows
from storage.images.xmp import RDF, descriptions, parse_packet

MAX_SIDE = 65_500
"""Pixels; libjpeg reads and writes no more."""
FULL_COLOUR_FROM = 90
"""From this quality on colour is not halved in resolution."""
_MAX_BODY = 65_533
_MAX_RESTART = 65_535
_BAND_PIXELS = 1 << 20
_ICC_MARK, _EXIF_MARK = b"ICC_PROFILE\0", b"Exif\0\0"
_XMP_MARK, _EXTENSION_MARK = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP_MARK, _IPTC_RESOURCE = b"Photoshop 3.0\0", 0x0404
_NOTE = "http://ns.adobe.com/xmp/note/"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_BEGIN = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = b'\n<?xpacket end="w"?>'


def write_jpeg(
    path: Path,
    stored: Rows,
    *,
    quality: int,
    icc: bytes,
    xmp: bytes,
    iptc: bytes | None,
    exif_block: bytes | None,
    ppi: tuple[float, float] | None,
) -> tuple[str, ...]:
    """Write stored rows (H, W, 3), ``uint8``, and the metadata; notes on what found no room. Same input, same bytes.

    ``quality`` is libjpeg's, 1 to 100; from 90 on colour has full resolution (4:4:4), below half of it (4:2:0).
    Raises ``ValueError`` for sides over 65,500 pixels and for pixels that are not RGB of 8 bits.
    """
    if len(stored.shape) != 3 or stored.shape[2] != 3 or stored.dtype != np.uint8:
        raise ValueError(f"pixels {stored.shape} {stored.dtype} are not RGB of 8 bits")
    height, width = stored.shape[:2]
    if not 0 < max(height, width) <= MAX_SIDE or not min(height, width):
        raise ValueError(f"a picture of {width} x {height} pixels does not fit into a JPEG of {MAX_SIDE} at the most")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality}")
    metadata, notes = _metadata(icc, xmp, iptc, exif_block)
    unit = 8 if quality >= FULL_COLOUR_FROM else 16
    a_row = -(-width // unit)
    rows = max(1, min(_MAX_RESTART // a_row, _BAND_PIXELS // (a_row * unit * unit)))
    with path.open("wb") as file:
        file.write(b"\xff\xd8" + _jfif(ppi) + metadata)
        for number, stream in enumerate(_coded_bands(stored, rows * unit, quality)):
            tables, scan = _parts(stream)
            if number == 0:
                restart = b"" if rows * unit >= height else _segment(0xDD, struct.pack(">H", a_row * rows))
                file.write(_with_height(tables, height, restart))
            else:
                file.write(bytes((0xFF, 0xD0 + (number - 1) % 8)))
            file.write(scan)
        file.write(b"\xff\xd9")
    return notes


def _coded_bands(stored: Rows, height: int, quality: int) -> Iterator[bytes]:
    """Bands of so many rows from the top, each a JPEG of its own; a few of them are in memory at a time."""

    def encode(band: Pixels) -> bytes:
        return bytes(
            imagecodecs.jpeg8_encode(
                np.ascontiguousarray(band),
                level=quality,
                colorspace="rgb",
                outcolorspace="ycbcr",
                subsampling="444" if quality >= FULL_COLOUR_FROM else "420",
                optimize=False,
            )
        )

    threads = min(4, os.cpu_count() or 1)
    tops = list(range(0, stored.shape[0], height))
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(tops), 2 * threads):
            some = tops[first : first + 2 * threads]
            yield from pool.map(encode, (stored[top : min(top + height, stored.shape[0])] for top in some))


def _parts(stream: bytes) -> tuple[list[bytes], bytes]:
    """A JPEG's segments with quantization, frame, Huffman tables and scan header, and its scan without end mark."""
    position, tables = 2, []
    while True:
        marker = stream[position + 1]
        end = position + 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
        if not 0xE0 <= marker <= 0xEF and marker != 0xFE:
            tables.append(stream[position:end])
        position = end
        if marker == 0xDA:
            return tables, stream[position : stream.rindex(b"\xff\xd9")]


def _with_height(tables: list[bytes], height: int, restart: bytes) -> bytes:
    """The segments with the whole picture's height in the frame, and the restart interval before the scan."""
    written = b""
    for segment in tables:
        if segment[1] == 0xC0:
            segment = segment[:5] + struct.pack(">H", height) + segment[7:]
        written += restart + segment if segment[1] == 0xDA else segment
    return written


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def _jfif(ppi: tuple[float, float] | None) -> bytes:
    """APP0: JFIF 1.02 with whole pixels per inch, or an aspect of 1 where the resolution is not known."""
    unit, across, down = (0, 1, 1) if ppi is None else (1, *(max(1, min(65_535, round(value))) for value in ppi))
    return _segment(0xE0, b"JFIF\0" + struct.pack(">BBBHHBB", 1, 2, unit, across, down, 0, 0))


def _metadata(icc: bytes, xmp: bytes, iptc: bytes | None, exif_block: bytes | None) -> tuple[bytes, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    segments = b""
    if exif_block is not None:
        if len(exif_block) + len(_EXIF_MARK) <= _MAX_BODY:
            segments += _segment(0xE1, _EXIF_MARK + exif_block)
        else:
            notes += ("the Exif block was left out: it is longer than the 64 KB that JPEG has room for",)
    packets = _xmp_segments(xmp)
    if packets is None:
        notes += ("the XMP packet was left out: it is longer than JPEG has room for and cannot be divided",)
    else:
        segments += packets
    if iptc is not None:
        block = _photoshop(iptc)
        if len(block) <= _MAX_BODY:
            segments += _segment(0xED, block)
        else:
            notes += ("the IPTC-IIM block was left out: it is longer than the 64 KB that JPEG has room for",)
    room = _MAX_BODY - len(_ICC_MARK) - 2
    pieces = [icc[start : start + room] for start in range(0, len(icc), room)]
    if len(pieces) > 255:
        raise ValueError("the colour profile is too long for a JPEG")
    for number, piece in enumerate(pieces, 1):
        segments += _segment(0xE2, _ICC_MARK + bytes((number, len(pieces))) + piece)
    return segments, notes


def _photoshop(iptc: bytes) -> bytes:
    """The datasets as Photoshop's image resource, without a name and of even length."""
    return _PHOTOSHOP_MARK + b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)


def _xmp_segments(xmp: bytes) -> bytes | None:
    """The packet in one segment, or divided in two (ISO 16684-3, JPEG); None if it fits in neither way."""
    if len(_XMP_MARK) + len(xmp) <= _MAX_BODY:
        return _segment(0xE1, _XMP_MARK + xmp)
    divided = _divided(xmp)
    if divided is None:
        return None
    main, extension, digest = divided
    segments = _segment(0xE1, _XMP_MARK + main)
    head = _EXTENSION_MARK + digest.encode() + struct.pack(">I", len(extension))
    room = _MAX_BODY - len(head) - 4
    for offset in range(0, len(extension), room):
        segments += _segment(0xE1, head + struct.pack(">I", offset) + extension[offset : offset + room])
    return segments


def _divided(xmp: bytes) -> tuple[bytes, bytes, str] | None:
    """A main packet that fits into a segment, the extension with the longest properties, and its MD5 digest."""
    document, rest = parse_packet(xmp), parse_packet(xmp)
    if document is None or rest is None:
        return None
    # The same packet twice: each property is taken out of the one or the other.
    here, there = _properties(document), _properties(rest)
    order = sorted(range(len(here)), key=lambda number: -len(here[number].toxml()))
    placeholder = "0" * 32
    _note_extension(document, placeholder)
    moved = 0
    for number in order:
        if len(_XMP_MARK) + len(_packet(document)) <= _MAX_BODY:
            break
        _remove(here[number])
        moved += 1
    main = _packet(document)
    if len(_XMP_MARK) + len(main) > _MAX_BODY:
        return None
    for number in order[moved:]:
        _remove(there[number])
    for description in descriptions(_rdf(rest)):
        _keep_only_declarations(description)
    root = rest.documentElement
    assert root is not None
    extension = root.toxml("utf-8")
    digest = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    return main.replace(placeholder.encode(), digest.encode(), 1), extension, digest


def _rdf(document: minidom.Document) -> minidom.Element:
    return document.getElementsByTagNameNS(RDF, "RDF")[0]


def _properties(document: minidom.Document) -> list[minidom.Element]:
    return [
        node
        for description in descriptions(_rdf(document))
        for node in description.childNodes
        if isinstance(node, minidom.Element)
    ]


def _remove(node: minidom.Element) -> None:
    parent = node.parentNode
    assert parent is not None
    parent.removeChild(node)


def _keep_only_declarations(description: minidom.Element) -> None:
    """Take the properties that are written as attributes away: they are in the main packet."""
    for attribute in list(description.attributes.values()):
        if attribute.namespaceURI not in (_XMLNS, RDF):
            description.removeAttributeNode(attribute)


def _note_extension(document: minidom.Document, digest: str) -> None:
    rdf = _rdf(document)
    description = document.createElementNS(RDF, "rdf:Description")
    about = next((node.getAttributeNS(RDF, "about") for node in descriptions(rdf)), "")
    description.setAttributeNS(_XMLNS, "xmlns:rdf", RDF)
    description.setAttributeNS(_XMLNS, "xmlns:xmpNote", _NOTE)
    description.setAttributeNS(RDF, "rdf:about", about)
    description.setAttributeNS(_NOTE, "xmpNote:HasExtendedXMP", digest)
    rdf.appendChild(description)


def _packet(document: minidom.Document) -> bytes:
    root = document.documentElement
    assert root is not None
    return _BEGIN + root.toxml("utf-8") + _END
