"""Writing derivatives: pixels as the master stores them, metadata that tells how the colour came about."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image

from storage.errors import StorageError
from storage.fixity import atomic_write, sha256_file
from storage.images.encoding import SRGB, Encoding, as_srgb
from storage.images.exif import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Exif,
    Field,
    build_exif,
    carried_over,
    parse_exif,
    rational,
)
from storage.images.jpeg2000_writer import write_jpeg2000
from storage.images.jpeg_writer import write_jpeg
from storage.images.png_writer import write_png
from storage.images.records import DerivativeProvenance, Master, Refusal, WrittenDerivative
from storage.images.reducing import reduced
from storage.images.rows import Pixels, Rows
from storage.images.tiff_writer import write_tiff
from storage.images.xmp import derivative_packet
from storage.paths import path_to_text

Format = Literal["tiff", "png", "jp2"]
"""Of a derivative of the master's size and depth."""
ACCESS_QUALITY = 90


def write_derivative(
    path: Path, rgb: Rows, master: Master, provenance: DerivativeProvenance, format: Format = "tiff"
) -> WrittenDerivative:
    """Write rows (H, W, 3) as the derivative of ``master``, whole or not at all.

    The rows are those of the master as stored, in its ``copy_encoding`` and ``bit_depth``, and keep its
    orientation tag, so that the two files lie over each other. The file carries the encoding's profile, the
    master's resolution, Exif, IPTC (not PNG) and XMP, and in the XMP what ``provenance`` says. The same
    arguments give the same bytes. Metadata of the master that is damaged is left out and noted.

    Raises ``StorageError`` ("disk_full", "not_written", "is_master") if the file cannot be written, and
    ``ValueError`` if the rows do not belong to the master.
    """
    if format not in get_args(Format):
        raise ValueError(f"format must be one of {get_args(Format)}, not {format!r}")
    depth = np.uint16 if master.bit_depth == 16 else np.uint8
    if rgb.shape != (*master.samples.shape[:2], 3) or rgb.dtype != depth:
        raise ValueError(
            f"pixels {rgb.shape} {rgb.dtype} do not fit a master {master.samples.shape} of {master.bit_depth} bits"
        )
    carried = _carried(master, provenance, f"image/{format}", master.copy_encoding)

    def write(partial: Path) -> tuple[str, ...]:
        icc, iptc, ppi = master.copy_encoding.icc, master.metadata.iptc, master.metadata.ppi
        if format == "tiff":
            write_tiff(partial, rgb, icc=icc, xmp=carried.xmp, iptc=iptc, exif=carried.exif, ppi=ppi)
            return ()
        block = build_exif(_with_resolution(carried.exif, ppi))
        if format == "jp2":
            write_jpeg2000(partial, rgb, icc=icc, xmp=carried.xmp, iptc=iptc, exif_block=block, ppi=ppi)
            return ()
        write_png(partial, rgb, icc=icc, xmp=carried.xmp, exif_block=block, ppi=ppi)
        return ("the IPTC-IIM block was left out: PNG has no place for it",) if iptc else ()

    written = _written(path, master, write, rgb.shape, master.bit_depth, format)
    return replace(written, notes=carried.notes + written.notes)


def write_access_copy(
    path: Path,
    rgb: Rows,
    master: Master,
    provenance: DerivativeProvenance,
    *,
    long_side: int | None = None,
    quality: int = ACCESS_QUALITY,
) -> WrittenDerivative:
    """Write rows as ``write_derivative`` takes them as a JPEG in sRGB for people to look at.

    Args:
        long_side: in pixels; a larger picture is reduced to it. None: as large as the master.
        quality: of JPEG, 1 to 100.

    Raises ``StorageError`` as ``write_derivative`` does, and "too_large" for what JPEG cannot hold.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, (long_side or max(height, width)) / max(height, width))
    shown: Rows = _EightBits(rgb, master.copy_encoding)
    if scale < 1:
        assert long_side is not None
        shown = _resized(rgb, master.copy_encoding, (max(1, round(height * scale)), max(1, round(width * scale))))
    if max(shown.shape[:2]) > 65_500:
        name = path_to_text(path.name)
        raise StorageError(f"{name} is too large for JPEG; give a long side, as in --access jpeg:4096", "too_large")
    ppi = master.metadata.ppi and (master.metadata.ppi[0] * scale, master.metadata.ppi[1] * scale)
    carried = _carried(master, provenance, "image/jpeg", SRGB)
    block = build_exif(_with_resolution(carried.exif, ppi))

    def write(partial: Path) -> tuple[str, ...]:
        return write_jpeg(
            partial,
            shown,
            quality=quality,
            icc=SRGB.icc,
            xmp=carried.xmp,
            iptc=master.metadata.iptc,
            exif_block=block,
            ppi=ppi,
        )

    written = _written(path, master, write, shown.shape, 8, "jpeg")
    return replace(written, notes=carried.notes + written.notes)


@dataclass(frozen=True)
class _Carried:
    """What a copy carries besides its pixels."""

    exif: Exif
    xmp: bytes
    notes: tuple[str, ...]


def _carried(master: Master, provenance: DerivativeProvenance, media_type: str, encoding: Encoding) -> _Carried:
    if provenance.when.tzinfo is None:
        raise ValueError("the provenance's time must know its time zone")
    exif, notes = _exif(master, encoding)
    name = path_to_text(master.path.name)
    xmp, xmp_notes = derivative_packet(master.metadata.xmp, name, master.sha256, provenance, media_type)
    return _Carried(exif, xmp, notes + xmp_notes)


def _exif(master: Master, encoding: Encoding) -> tuple[Exif, tuple[str, ...]]:
    metadata = master.metadata
    exif = Exif()
    damaged: tuple[str, ...] = ()
    if metadata.exif is not None:
        try:
            exif = parse_exif(metadata.exif)
        except Refusal:
            damaged = ("the master's Exif block is damaged and was left out",)
    carried, notes = carried_over(exif, metadata.orientation, is_srgb=encoding == SRGB)
    return carried, damaged + notes


def _with_resolution(exif: Exif, ppi: tuple[float, float] | None) -> Exif:
    """The main directory with the resolution in it, as Exif wants it; a TIFF writer has tags of its own."""
    if ppi is None:
        return exif
    image = dict(exif.image)
    image[X_RESOLUTION], image[Y_RESOLUTION] = rational(ppi[0]), rational(ppi[1])
    image[RESOLUTION_UNIT] = Field(3, 1, b"\2\0")
    return Exif(image, exif.exif, exif.gps, exif.interop)


class _EightBits:
    """Rows as 8-bit sRGB, converted when they are asked for."""

    def __init__(self, rows: Rows, encoding: Encoding) -> None:
        self._rows, self._encoding = rows, encoding
        self.shape = rows.shape
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, rows: slice, /) -> Pixels:
        return as_srgb(self._rows[rows], self._encoding, np.uint8)


def _resized(rows: Rows, encoding: Encoding, size: tuple[int, int]) -> Pixels:
    factor = max(1, max(rows.shape[:2]) // (2 * max(size)))
    image = Image.fromarray(reduced(rows, encoding, factor, np.uint8))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS))


def _written(
    path: Path,
    master: Master,
    write: Callable[[Path], tuple[str, ...]],
    shape: tuple[int, ...],
    bits: int,
    format: str,
) -> WrittenDerivative:
    refuse_master(path, master.path)
    try:
        with atomic_write(path) as partial:
            notes = write(partial)
            digest, size = sha256_file(partial), partial.stat().st_size
    except OSError as error:
        raise not_written(path, error) from error
    return WrittenDerivative(path, digest, size, shape[1], shape[0], bits, format, notes)


def refuse_master(path: Path, master: Path) -> None:
    """Raise ``StorageError`` "is_master" if the two are one file."""
    try:
        same = path.samefile(master)
    except OSError:
        return
    if same:
        name = path_to_text(path.name)
        raise StorageError(
            f"{name} is the master itself, which is never written to; choose another folder", "is_master"
        )


def not_written(path: Path, error: OSError) -> StorageError:
    """What keeps a file from being written, in words: "disk_full" or "not_written"."""
    name = path_to_text(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{name} could not be written: the disk is full; make room and run again", "disk_full")
    reason = (error.strerror or "unknown reason").lower()
    return StorageError(f"{name} could not be written ({reason}); check the output folder", "not_written")
