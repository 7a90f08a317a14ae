"""From the bands that a decoder gives to a master: limits before memory, one encoding, one picture."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from storage.images.colour import Convert, understood, without_alpha
from storage.images.records import Header, Master, Refusal, Samples
from storage.images.rows import IN_MEMORY_BYTES, Pixels, Rows, Spool

_MAX_SIDE = 1 << 20
_ON_WHITE = "transparent parts were laid on white"


def check_limits(header: Header, max_pixels: int) -> None:
    """Refuse what is too large, or too short for what it claims to be, before anything is decoded."""
    pixels = header.width * header.height
    if pixels > max_pixels or max(header.width, header.height) > _MAX_SIDE:
        raise Refusal(
            f"claims {header.width:,} x {header.height:,} pixels, more than the limit of {max_pixels:,}; "
            "if that is its true size, raise the limit (--max-pixels, with --retry-failed) or scan it in parts",
            "too_large",
        )
    if header.pixel_bytes < header.least_bytes:
        raise Refusal(
            f"claims {header.width:,} x {header.height:,} pixels but is far too short to hold them; "
            "copy it again from its source",
            "truncated",
        )


def assembled(bands: Iterator[Samples], header: Header, sha256: str, path: Path, page: int = 1) -> Master:
    """The master that successive bands of rows make up; a picture that is too large for memory lies on disk.

    Raises ``Refusal`` if the bands have another size than the header says.
    """
    first = next(bands)
    understanding = understood(first, header.metadata.icc)
    notes = header.metadata.notes + understanding.notes
    parts = _converted(chain([first], bands), understanding.convert)
    del first
    samples, is_flattened = _collected(parts, header)
    if is_flattened:
        notes += (_ON_WHITE,)
    return Master(
        samples=samples,
        encoding=understanding.encoding,
        copy_encoding=understanding.copy_encoding,
        bit_depth=understanding.bit_depth,
        facts=header.facts,
        metadata=replace(header.metadata, notes=notes),
        sha256=sha256,
        path=path,
        page=page,
    )


def _converted(bands: Iterator[Samples], convert: Convert) -> Iterator[tuple[Pixels, bool]]:
    for band in bands:
        colour, is_flattened = without_alpha(band)
        yield convert(colour), is_flattened


def _collected(parts: Iterator[tuple[Pixels, bool]], header: Header) -> tuple[Rows, bool]:
    part, is_flattened = next(parts)
    shape = (header.height, header.width, *part.shape[2:])
    if part.shape[1] != header.width:
        raise _wrong_size()
    if part.shape[0] == header.height and part.nbytes <= IN_MEMORY_BYTES:
        return np.ascontiguousarray(part), is_flattened
    # Of a picture that comes in bands there never is more in this process's memory than a band.
    picture = Spool(shape, part.dtype)
    top = 0
    while True:
        if part.shape[1:] != shape[1:] or top + part.shape[0] > header.height:
            raise _wrong_size()
        picture.put(top, part)
        top += part.shape[0]
        following = next(parts, None)
        if following is None:
            break
        part, flattened = following
        is_flattened = is_flattened or flattened
    if top != header.height:
        raise _wrong_size()
    return picture, is_flattened


def _wrong_size() -> Refusal:
    return Refusal("is damaged: its picture does not have the size its header says", "unreadable")
