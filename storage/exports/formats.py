"""The formats of files as PREMIS names them: media types, and PRONOM keys where they are certain.

A PRONOM key says more than the database has on record of a source (which version of PDF, which marker in a JPEG), so
only files that this program wrote have one, and only where its writers leave one possibility.
"""

from collections.abc import Mapping

from storage.exports.records import FileFormat

_MEDIA_TYPES: Mapping[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "dng": "image/x-adobe-dng",
    "dpx": "image/x-dpx",
    "jpeg2000": "image/jp2",
    "jp2": "image/jp2",
    "pdf": "application/pdf",
    "matroska": "video/x-matroska",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mpeg": "video/mpeg",
    "ffv1": "video/x-matroska",
    "h264": "video/mp4",
    "prores": "video/quicktime",
}
_PRONOM: Mapping[str, str] = {
    "jp2": "x-fmt/392",  # JP2, ISO/IEC 15444-1
    "jpeg": "fmt/44",  # JFIF 1.02
    "png": "fmt/13",  # PNG 1.2, as the XMP lies in an iTXt chunk
    "ffv1": "fmt/569",  # Matroska
    "h264": "fmt/199",  # MPEG-4
    "prores": "x-fmt/384",  # QuickTime
}
_TIFF = "fmt/353"
_SURELY_NOT_BIG = 1 << 31
"""A TIFF of fewer bytes of pixels is never written as BigTIFF, which has a key of its own."""

UNKNOWN = FileFormat("application/octet-stream")


def format_of_source(name: str | None) -> FileFormat:
    """The format of a source or reference as the database names it, or as its suffix claims (with the dot)."""
    if name is None:
        return UNKNOWN
    name = name.lower().removeprefix(".")
    alias = {"jpg": "jpeg", "jpe": "jpeg", "tif": "tiff", "mkv": "matroska", "j2k": "jp2"}
    media_type = _MEDIA_TYPES.get(alias.get(name, name))
    return UNKNOWN if media_type is None else FileFormat(media_type)


def format_of_output(name: str | None, pixel_bytes: int | None = None) -> FileFormat:
    """The format of a file that this program wrote, as the database names it.

    Args:
        pixel_bytes: what the pixels of a picture come to without compression, if it is the only one in the file.
    """
    plain = format_of_source(name)
    if name == "tiff" and pixel_bytes is not None and pixel_bytes < _SURELY_NOT_BIG:
        return FileFormat(plain.name, _TIFF)
    return FileFormat(plain.name, _PRONOM.get(name or ""))
