"""Whether a film's file is as long as its container says: what a copy that broke off looks like.

The decoder alone does not tell: a film whose tail is missing often decodes without an error up to the last whole
frame. ISO base media files (ISO/IEC 14496-12), Matroska (RFC 9559) and AVI (RIFF) write down their own length.
MPEG program and transport streams (ISO/IEC 13818-1) do not; of those only a torn last packet can be seen.
"""

import os
from pathlib import Path
from typing import BinaryIO

_TS_PACKET = 188
_TS_SYNC = 0x47
_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067
_PACK = b"\x00\x00\x01\xba"
_LAST_PACKS = 1 << 20


def missing_bytes(path: Path) -> int | None:
    """How many bytes are missing at the end of a film's file, at the least; 0 if it is whole as far as can be told.

    None for containers that do not say how long they are. Raises ``OSError`` if the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            return _boxes(file, size)
        if head[:4] == _EBML.to_bytes(4, "big"):
            return _matroska(file, size)
        if head[:4] == b"RIFF":
            return _riff(file, size)
        if head[:1] == bytes([_TS_SYNC]) and _is_transport_stream(file, size):
            return -size % _TS_PACKET
        if head[:4] == _PACK:
            return _program_stream(file, size)
    return None


def _boxes(file: BinaryIO, size: int) -> int:
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            return 0  # this box reaches to the end of the file
        if length < 8:
            return 0  # not a box: padding after the film
        position += length
    return max(0, position - size)


def _matroska(file: BinaryIO, size: int) -> int | None:
    position = 0
    while position < size:
        file.seek(position)
        identity, length, start = _element(file)
        if length is None:
            return None  # written live: the length was never filled in
        position = start + length
        if identity == _SEGMENT:
            return max(0, position - size)
        if start == 0:
            return None
    return max(0, position - size)


def level_one(file: BinaryIO, wanted: int) -> tuple[int, int] | None:
    """Start and length of the content of an element directly in the segment of a Matroska file; None if it has none."""
    position = 0
    size = file.seek(0, os.SEEK_END)
    while position < size:
        file.seek(position)
        identity, length, start = _element(file)
        if identity == wanted and length is not None:
            return start, length
        if length is None and identity != _SEGMENT:
            return None
        position = start if identity == _SEGMENT else start + (length or 0)
    return None


def _element(file: BinaryIO) -> tuple[int, int | None, int]:
    """Identity, length of the content (None if unknown) and start of the content of the EBML element here."""
    identity = _variable_integer(file, keep_marker=True)
    length = _variable_integer(file, keep_marker=False)
    if identity is None or length is None:
        return 0, None, 0
    return identity, None if length < 0 else length, file.tell()


def _variable_integer(file: BinaryIO, *, keep_marker: bool) -> int | None:
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    if len(rest) < more:
        return None
    value = int.from_bytes(first + rest, "big")
    if keep_marker:
        return value
    value -= 1 << (7 * (more + 1))
    return -1 if value == (1 << (7 * (more + 1))) - 1 else value


def _riff(file: BinaryIO, size: int) -> int:
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(8)
        if head[:4] != b"RIFF":
            return 0
        length = int.from_bytes(head[4:8], "little")
        if length in (0, 0xFFFFFFFF):
            return 0
        position += 8 + length + length % 2
    return max(0, position - size - 1)  # the last padding byte is often left out


def _is_transport_stream(file: BinaryIO, size: int) -> bool:
    for packet in range(min(5, size // _TS_PACKET)):
        file.seek(packet * _TS_PACKET)
        if file.read(1) != bytes([_TS_SYNC]):
            return False
    return size >= 2 * _TS_PACKET


def _program_stream(file: BinaryIO, size: int) -> int:
    """What the last packets of the file lack, found by walking them from the last pack header on."""
    start = max(0, size - _LAST_PACKS)
    file.seek(start)
    tail = file.read()
    position = tail.rfind(_PACK)
    while position >= 0 and position + 6 <= len(tail):
        if tail[position : position + 3] != b"\x00\x00\x01":
            return 0  # padding or something else between the packets
        code = tail[position + 3]
        if code == 0xBA:
            is_mpeg2 = tail[position + 4] >> 6 == 1
            stuffing = tail[position + 13] & 7 if is_mpeg2 and position + 13 < len(tail) else 0
            position += 14 + stuffing if is_mpeg2 else 12
        elif code == 0xB9:
            return 0  # the end code
        elif code < 0xBB:
            return 0
        else:
            position += 6 + int.from_bytes(tail[position + 4 : position + 6], "big")
    return max(0, position - len(tail))
