"""The copies of one picture in all formats that are asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from storage.images import (
    DerivativeProvenance,
    Format,
    Master,
    Rows,
    WrittenDerivative,
    spooled,
    write_access_copy,
    write_derivative,
)

ACCESS = "jpeg"


def write_copies(
    rows: Rows,
    master: Master,
    provenance: DerivativeProvenance,
    formats: Sequence[str],
    places: Sequence[Path],
) -> list[WrittenDerivative]:
    """Write a colorized picture to each place in its format: `tiff`, `png`, `jp2`, `jpeg` or `jpeg:LONG SIDE`.

    Args:
        rows: as `storage.images.write_derivative` takes them; made only once, also for several copies.

    Raises:
        StorageError: a copy cannot be written.
    """
    if len(formats) > 1:
        rows = spooled(rows)
    return [_write(rows, master, provenance, name, place) for name, place in zip(formats, places, strict=True)]


def _write(rows: Rows, master: Master, provenance: DerivativeProvenance, name: str, place: Path) -> WrittenDerivative:
    kind, _, long_side = name.partition(":")
    if kind == ACCESS:
        return write_access_copy(place, rows, master, provenance, long_side=int(long_side) if long_side else None)
    return write_derivative(place, rows, master, provenance, cast(Format, kind))
