"""Whether a document stores a scan with loss: then a copy of it need not be without."""

from storage.documents.filters import codec_data
from storage.documents.scans import Scan
from storage.documents.stored_images import StoredImage

_REVERSIBLE = 1


def is_lossy(scan: Scan) -> bool:
    """Whether any of the scan's images is compressed with loss."""
    return any(_is_lossy(image) for image in distinct_images(scan))


def distinct_images(scan: Scan) -> list[StoredImage]:
    """The images of a scan, each once however often it is drawn."""
    found: dict[tuple[int, int], StoredImage] = {}
    for number, part in enumerate(scan.parts):
        found.setdefault(part.stream.objgen if part.stream.is_indirect else (-number, 0), part)
    return list(found.values())


def _is_lossy(image: StoredImage) -> bool:
    if image.codec == "/DCTDecode":
        return True
    if image.codec != "/JPXDecode":
        return False
    return not _is_reversible(codec_data(image))


def _is_reversible(data: bytes) -> bool:
    """Whether a codestream's main header (ISO/IEC 15444-1, A.6.1) names the wavelet that can be undone exactly."""
    start = data.find(b"\xff\x4f\xff\x51")
    coding = data.find(b"\xff\x52", start)
    return start >= 0 and coding >= 0 and data[coding + 13 : coding + 14] == bytes([_REVERSIBLE])
