"""The shape of the pixels in a Matroska file, written where players look for it.

PyAV gives the muxer no way to tell it (its streams take no sample aspect ratio), so it is put into the finished head:
the track's name is written longer than it is, and its surplus gives the room for the elements DisplayWidth,
DisplayHeight and DisplayUnit (RFC 9559, 5.1.4.1.28) in the same track. Nothing after the head moves.
"""

import os
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from storage.film.structure import level_one

# Ends the name of the track until its room is taken; long enough for all that is put in.
SURPLUS = "#" * 32
_TRACKS, _ENTRY, _VIDEO, _NAME, _CRC, _VOID = 0x1654AE6B, 0xAE, 0xE0, 0x536E, 0xBF, 0xEC
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_AS_ASPECT_RATIO = 3


def write_aspect(path: Path, aspect: Fraction) -> None:
    """Tell in the head of a Matroska file that its picture is ``aspect`` times as wide as it is high.

    The file's picture track must have a name that ends in ``SURPLUS``; it is taken off. Raises ``ValueError`` if
    there is no such track.
    """
    with path.open("r+b") as file:
        found = level_one(file, _TRACKS)
        if found is None:
            raise ValueError("no tracks")
        start, length = found
        file.seek(start)
        content = file.read(length)
        file.seek(start)
        file.write(_rewritten_tracks(content, aspect))
        file.flush()
        os.fsync(file.fileno())


def _rewritten_tracks(content: bytes, aspect: Fraction) -> bytes:
    parts = list(_elements(content))
    checked = bool(parts) and parts[0][0] == _CRC
    rest = b"".join(
        _element(identity, _rewritten_entry(data, aspect) if _is_marked(identity, data) else data, len(whole))
        for identity, data, whole in (parts[1:] if checked else parts)
    )
    if not any(_is_marked(identity, data) for identity, data, _ in parts):
        raise ValueError("no track with room in its name")
    return _element(_CRC, zlib.crc32(rest).to_bytes(4, "little")) + rest if checked else rest


def _is_marked(identity: int, data: bytes) -> bool:
    return identity == _ENTRY and any(
        name == _NAME and text.endswith(SURPLUS.encode()) for name, text, _ in _elements(data)
    )


def _rewritten_entry(entry: bytes, aspect: Fraction) -> bytes:
    """The track, as long as it was, with the aspect in place of its name's surplus."""
    parts = []
    for identity, data, whole in _elements(entry):
        if identity == _NAME:
            name = data[: -len(SURPLUS)]
            parts.append(_element(_NAME, name) if name else b"")
        elif identity == _VIDEO:
            kept = [
                part
                for kind, _, part in _elements(data)
                if kind not in (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)
            ]
            shape = [
                _element(_DISPLAY_WIDTH, _integer(aspect.numerator)),
                _element(_DISPLAY_HEIGHT, _integer(aspect.denominator)),
                _element(_DISPLAY_UNIT, _integer(_AS_ASPECT_RATIO)),
            ]
            parts.append(_element(_VIDEO, b"".join(kept + shape)))
        else:
            parts.append(whole)
    rewritten = b"".join(parts)
    room = len(entry) - len(rewritten)
    return rewritten + _element(_VOID, bytes(room - 2), room)


def _elements(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The elements of a master element: identity, content, and the whole of it."""
    position = 0
    while position < len(content):
        begin = position
        more = 8 - content[position].bit_length()
        identity = int.from_bytes(content[position : position + more + 1], "big")
        position += more + 1
        more = 8 - content[position].bit_length()
        marked = int.from_bytes(content[position : position + more + 1], "big")
        position += more + 1
        length = marked - (1 << (7 * (more + 1)))
        yield identity, content[position : position + length], content[begin : position + length]
        position += length


def _element(identity: int, data: bytes, size: int | None = None) -> bytes:
    """An element; of ``size`` bytes in all, if given, by a longer way to write its length."""
    head = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    width = 1
    while len(data) >= (1 << (7 * width)) - 1:
        width += 1
    if size is not None:
        width = size - len(head) - len(data)
    return head + (len(data) | 1 << (7 * width)).to_bytes(width, "big") + data


def _integer(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
