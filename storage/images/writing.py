"""Writing derivatives: pixels as the master stores them, metadata that tells how the colour came about."""

import errno
from pathlib import Path
from typing import Literal

import numpy as np

from storage.errors import StorageError
from storage.fixity import atomic_write, sha256_file
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
from storage.images.orientation import as_stored
from storage.images.png_writer import write_png
from storage.images.records import DerivativeProvenance, Master, Pixels, Refusal, WrittenDerivative
from storage.images.srgb import srgb_profile
from storage.images.tiff_writer import write_tiff
from storage.images.xmp import derivative_packet
from storage.paths import path_to_text


def write_derivative(
    path: Path,
    rgb: Pixels,
    master: Master,
    provenance: DerivativeProvenance,
    format: Literal["tiff", "png"] = "tiff",
) -> WrittenDerivative:
    """Write upright sRGB pixels (H, W, 3) as the derivative of ``master``, whole or not at all.

    The pixels must have the master's size and depth. They are stored in the master's rows and columns with
    its orientation tag, so that the two files lie over each other. The file carries an sRGB profile, the
    master's resolution, Exif, IPTC (TIFF only) and XMP, and in the XMP what ``provenance`` says. The same
    arguments give the same bytes. Metadata of the master that is damaged is left out and noted.

    Raises ``StorageError`` ("disk_full", "not_written", "is_master") if the file cannot be written, and
    ``ValueError`` if the pixels do not belong to the master.
    """
    if rgb.shape != (*master.pixels.shape[:2], 3) or rgb.dtype != master.pixels.dtype:
        raise ValueError(
            f"pixels {rgb.shape} {rgb.dtype} do not fit a master {master.pixels.shape} {master.pixels.dtype}"
        )
    if provenance.when.tzinfo is None:
        raise ValueError("the provenance's time must know its time zone")
    _refuse_master(path, master.path)
    metadata = master.metadata
    exif, notes = _exif(master)
    xmp, xmp_notes = derivative_packet(
        metadata.xmp, path_to_text(master.path.name), master.sha256, provenance, f"image/{format}"
    )
    notes += xmp_notes
    stored = as_stored(rgb, metadata.orientation)
    try:
        with atomic_write(path) as partial:
            if format == "tiff":
                write_tiff(
                    partial,
                    stored,
                    icc=srgb_profile(),
                    xmp=xmp,
                    iptc=metadata.iptc,
                    exif=exif,
                    ppi=metadata.ppi,
                )
            elif format == "png":
                if metadata.iptc:
                    notes += ("the IPTC-IIM block was left out: PNG has no place for it",)
                block = build_exif(_with_resolution(exif, metadata.ppi))
                write_png(partial, stored, icc=srgb_profile(), xmp=xmp, exif_block=block, ppi=metadata.ppi)
            else:
                raise ValueError(f"format must be tiff or png, not {format!r}")
            digest, size = sha256_file(partial), partial.stat().st_size
    except OSError as error:
        raise _not_written(path, error) from error
    bits = 16 if stored.dtype == np.uint16 else 8
    return WrittenDerivative(path, digest, size, stored.shape[1], stored.shape[0], bits, format, notes)


def _exif(master: Master) -> tuple[Exif, tuple[str, ...]]:
    metadata = master.metadata
    exif = Exif()
    damaged: tuple[str, ...] = ()
    if metadata.exif is not None:
        try:
            exif = parse_exif(metadata.exif)
        except Refusal:
            damaged = ("the master's Exif block is damaged and was left out",)
    carried, notes = carried_over(exif, metadata.orientation)
    return carried, damaged + notes


def _with_resolution(exif: Exif, ppi: tuple[float, float] | None) -> Exif:
    """The main directory with the resolution in it, as Exif wants it; a TIFF writer has tags of its own."""
    if ppi is None:
        return exif
    image = dict(exif.image)
    image[X_RESOLUTION], image[Y_RESOLUTION] = rational(ppi[0]), rational(ppi[1])
    image[RESOLUTION_UNIT] = Field(3, 1, b"\2\0")
    return Exif(image, exif.exif, exif.gps, exif.interop)


def _refuse_master(path: Path, master: Path) -> None:
    try:
        same = path.samefile(master)
    except OSError:
        return
    if same:
        name = path_to_text(path.name)
        raise StorageError(
            f"{name} is the master itself, which is never written to; choose another folder", "is_master"
        )


def _not_written(path: Path, error: OSError) -> StorageError:
    name = path_to_text(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{name} could not be written: the disk is full; make room and run again", "disk_full")
    reason = (error.strerror or "unknown reason").lower()
    return StorageError(f"{name} could not be written ({reason}); check the output folder", "not_written")
