"""Putting together what a master carries, the same way for every format."""

from storage.images.exif import (
    DATETIME,
    DESCRIPTION,
    PAGE_NAME,
    SOFTWARE,
    Exif,
    orientation_of,
    parse_exif,
    ppi_of,
    text_of,
)
from storage.images.records import MasterMetadata, Refusal


def collect_metadata(
    *,
    exif_block: bytes | None,
    xmp: bytes | None,
    icc: bytes | None,
    iptc: bytes | None = None,
    ppi: tuple[float, float] | None = None,
    notes: tuple[str, ...] = (),
) -> MasterMetadata:
    """The metadata record; a damaged Exif block becomes a note. ``ppi`` of the format goes first."""
    exif = Exif()
    if exif_block is not None:
        exif_block = exif_block.removeprefix(b"Exif\0\0")
        try:
            exif = parse_exif(exif_block)
        except Refusal:
            notes += ("its Exif block is damaged and was left out of account",)
            exif_block = None
    return MasterMetadata(
        exif=exif_block,
        xmp=xmp,
        iptc=iptc,
        icc=icc,
        ppi=ppi or ppi_of(exif.image),
        orientation=orientation_of(exif.image),
        page_name=text_of(exif.image, PAGE_NAME),
        description=text_of(exif.image, DESCRIPTION),
        software=text_of(exif.image, SOFTWARE),
        datetime=text_of(exif.image, DATETIME),
        notes=notes,
    )
