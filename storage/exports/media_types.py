"""The media type of a file, told from its content."""

from pathlib import Path

from storage.exports.formats import format_of_source
from storage.signatures import SIGNATURE_BYTES, signature_of

PDF = "application/pdf"


def media_type_of(path: Path) -> str | None:
    """The media type of a file's content; None where it is no file that can be read, or of an unknown kind."""
    try:
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
    except OSError:
        return None
    if head[4:12] == b"ftypqt  ":
        return "video/quicktime"
    signature = signature_of(head)
    return None if signature is None else format_of_source(signature.format).name
