"""Images: masters are identified and read here, derivatives written, with all that they carry."""

from storage.images.description import PictureDescription, describe
from storage.images.reading import MAX_PIXELS, identify, read_master, read_metadata
from storage.images.records import (
    DerivativeProvenance,
    ImageFacts,
    Master,
    MasterMetadata,
    WrittenDerivative,
)
from storage.images.writing import write_derivative

__all__ = [
    "MAX_PIXELS",
    "DerivativeProvenance",
    "ImageFacts",
    "Master",
    "MasterMetadata",
    "PictureDescription",
    "WrittenDerivative",
    "describe",
    "identify",
    "read_master",
    "read_metadata",
    "write_derivative",
]
