"""JBIG2 streams as PDF embeds them (ISO/IEC 14492, 7.2): whether all segments are there."""

from storage.images.records import Refusal

_CUT_OFF = "is cut off or damaged: a part of a picture is missing; copy it again from its source"
_UNKNOWN_LENGTH = 0xFFFFFFFF
_MAX_SEGMENTS = 100_000


def check(data: bytes) -> None:
    """Raises ``Refusal`` "truncated" where a segment ends behind the data or there is none."""
    position = segments = 0
    while position < len(data) and data[position:].strip(b"\0\r\n"):
        length, position = _header(data, position)
        segments += 1
        if segments > _MAX_SEGMENTS:
            raise Refusal("is damaged: a picture has too many parts", "unreadable")
        if length == _UNKNOWN_LENGTH:  # its end is found by decoding it; nothing may follow that could be counted
            return
        position += length
        if position > len(data):
            raise Refusal(_CUT_OFF, "truncated")
    if not segments:
        raise Refusal(_CUT_OFF, "truncated")


def _header(data: bytes, start: int) -> tuple[int, int]:
    """A segment's length, and where its data begin."""
    head = data[start : start + 11]
    if len(head) < 11:
        raise Refusal(_CUT_OFF, "truncated")
    number, flags, referred = int.from_bytes(head[:4], "big"), head[4], head[5] >> 5
    position = start + 6
    if referred == 7:
        referred = int.from_bytes(head[5:9], "big") & 0x1FFFFFFF
        position = start + 9 + (referred + 8) // 8
    position += referred * (1 if number <= 256 else 2 if number <= 65536 else 4)
    position += 4 if flags & 0x40 else 1
    if position + 4 > len(data):
        raise Refusal(_CUT_OFF, "truncated")
    return int.from_bytes(data[position : position + 4], "big"), position + 4
