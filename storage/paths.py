"""File names as text, reversibly.

A file name on Linux is any string of bytes without ``/`` and NUL, also one in Latin-1 from an old archive or
one with a line break in it. Databases, reports and messages need clean text, so what is not printable UTF-8
is written as ``\\xHH`` and a backslash itself as two.
"""

import os
import re
import unicodedata
from pathlib import Path, PurePath

_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ESCAPE = re.compile(rb"\\\\|\\x([0-9a-f]{2})")


def path_to_text(path: str | PurePath) -> str:
    r"""A path as clean UTF-8 text on one line; ``text_to_path`` gives the same path back, byte for byte.

    Bytes that are not valid UTF-8 and control characters become ``\xHH``, a backslash becomes two.
    """
    text = str(path)
    if text.isprintable() and "\\" not in text:
        return text  # the usual name; an undecodable byte is a lone surrogate, which is not printable
    parts = []
    for character in text:
        if character == "\\":
            parts.append("\\\\")
        elif _must_be_escaped(character):
            parts.extend(f"\\x{byte:02x}" for byte in os.fsencode(character))
        else:
            parts.append(character)
    return "".join(parts)


def text_to_path(text: str) -> Path:
    """The path that ``path_to_text`` wrote as ``text``.

    Raises ``ValueError`` for a backslash that starts no escape.
    """
    if "\\" not in text:
        return Path(text)
    raw = text.encode("utf-8")
    if b"\\" in _ESCAPE.sub(b"", raw):
        raise ValueError(f"not a path in the text form of this program: {text!r}")
    return Path(os.fsdecode(_ESCAPE.sub(_unescape, raw)))


def _must_be_escaped(character: str) -> bool:
    """Undecodable bytes, controls, line ends, and marks that would turn the direction of the text around."""
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _DIRECTION_MARKS


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode("ascii")) if match[1] else b"\\"
