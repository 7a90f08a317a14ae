"""Images: masters are identified and read here, derivatives written, with all that they carry."""

from storage.images.description import PictureDescription, describe
from storage.images.encoding import SRGB, Encoding
from storage.images.reading import MAX_PIXELS, identify, identify_pages, read_master, read_metadata
from storage.images.records import (
    DerivativeProvenance,
    ImageFacts,
    Master,
    MasterMetadata,
    WrittenDerivative,
)
from storage.images.rows import Rows, spooled
from storage.images.writing import Format, write_access_copy, write_derivative

__all__ = [
    "MAX_PIXELS",
    "SRGB",
    "DerivativeProvenance",
    "Encoding",
    "Format",
    "ImageFacts",
    "Master",
    "MasterMetadata",
    "PictureDescription",
    "Rows",
    "WrittenDerivative",
    "describe",
    "identify",
    "identify_pages",
    "read_master",
    "read_metadata",
    "spooled",
    "write_access_copy",
    "write_derivative",
]
