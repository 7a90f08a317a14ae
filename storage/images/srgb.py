"""The sRGB ICC profile that derivatives carry, made from the standard's numbers, always the same bytes."""

import struct
from functools import cache

import numpy as np

_RED, _GREEN, _BLUE = (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)
"""Colorants of IEC 61966-2-1 adapted from D65 to D50 by the Bradford transform, as CIE XYZ."""
_WHITE = (0.9642, 1.0, 0.8249)
_CURVE_POINTS = 1024
_COPYRIGHT = b"No copyright, use freely\0"
_NAME = b"sRGB IEC61966-2.1"


@cache
def srgb_profile() -> bytes:
    """An ICC version 2 display profile of IEC 61966-2-1 (sRGB), dated to the standard's year."""
    curve = _curve()
    tags = [
        (b"desc", _description()),
        (b"cprt", b"text" + bytes(4) + _COPYRIGHT),
        (b"wtpt", _xyz(_WHITE)),
        (b"rXYZ", _xyz(_RED)),
        (b"gXYZ", _xyz(_GREEN)),
        (b"bXYZ", _xyz(_BLUE)),
        (b"rTRC", curve),
        (b"gTRC", curve),
        (b"bTRC", curve),
    ]
    position = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    placed: dict[bytes, int] = {}
    for name, content in tags:
        if content not in placed:  # the three curves share one place
            placed[content] = position + len(body)
            body += content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", placed[content], len(content))
    size = position + len(body)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 1999, 1, 1, 0, 0, 0, b"acsp")
    header = header.ljust(68, b"\0") + b"".join(_fixed(value) for value in _WHITE)
    return header.ljust(128, b"\0") + table + body


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(part) for part in value)


def _description() -> bytes:
    """textDescriptionType of ICC.1:2001-04, 6.5.17: ASCII, then empty Unicode and Macintosh parts."""
    text = _NAME + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)


def _curve() -> bytes:
    encoded = np.linspace(0, 1, _CURVE_POINTS)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    points = np.round(linear * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", _CURVE_POINTS) + points.tobytes()
